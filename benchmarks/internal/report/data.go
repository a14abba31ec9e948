// Package report makes a report of what was measured: Markdown with tables, and plots as
// SVG.
package report

import (
	"time"

	"github.com/gobroadcast/broadcast/benchmarks/internal/work"
)

// Data is a run of the benchmarks.
type Data struct {
	Started   time.Time         `json:"started"`
	Took      time.Duration     `json:"took"`
	Quick     bool              `json:"quick"`
	Only      string            `json:"only"`      // the competitors asked for, "" for all
	Workloads []string          `json:"workloads"` // those that were run
	Peers     []string          `json:"peers"`     // those that were run
	Steps     int               `json:"steps"`
	Left      int               `json:"left"` // steps that the time did not suffice for
	Machine   Machine           `json:"machine"`
	Versions  map[string]string `json:"versions"` // of modules
	Results   []work.Result     `json:"results"`
}

// Machine is where it ran.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"` // that Go uses
	Memory uint64 `json:"memory"`
	System string `json:"system"`
	Go     string `json:"go"`
	Commit string `json:"commit"`
}
