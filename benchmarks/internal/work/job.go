// Package work puts a peer under load, the same for all, and verifies what its
// subscribers got.
package work

import (
	"fmt"
	"slices"
	"time"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
)

// Job is one measurement: one peer under one load, in a process of its own.
type Job struct {
	Peer string `json:"peer"`
	Cell
	Pace Pace `json:"pace"`
}

// Cell is a load. All peers are put under the same cells.
type Cell struct {
	Workload    string `json:"workload"`
	Subscribers int    `json:"subscribers,omitempty"`
	Buffer      int    `json:"buffer,omitempty"`
	Publishers  int    `json:"publishers,omitempty"`
	Misuse      string `json:"misuse,omitempty"`
}

// Pace is how long a job is to take.
type Pace struct {
	Round    time.Duration `json:"round"`    // of the measurement itself
	Patience time.Duration `json:"patience"` // without progress for so long, nothing more will come
	Rate     int           `json:"rate"`     // events a second where latency is measured
	Hold     time.Duration `json:"hold"`     // for so long
}

// Outcome is what became of a job, or of the events in it.
type Outcome string

// The outcomes. All but OK are shown in the report, and say what is wrong with the figures.
const (
	OK         Outcome = ""
	Lost       Outcome = "loses events"
	Duplicated Outcome = "duplicates events"
	Reordered  Outcome = "reorders events"
	Corrupted  Outcome = "corrupts events"
	Stalled    Outcome = "stalls"
	Crawled    Outcome = "crawls"
	Panicked   Outcome = "panics"
	Endless    Outcome = "did not end in time"
	Failed     Outcome = "failed"
)

// Result is what a job measured.
type Result struct {
	Job     Job                `json:"job"`
	Run     int                `json:"run"` // which of the runs of the same job
	Outcome Outcome            `json:"outcome,omitempty"`
	Detail  string             `json:"detail,omitempty"`
	Values  map[string]float64 `json:"values,omitempty"`
	Curve   []Point            `json:"curve,omitempty"`
}

// Point is one of a distribution of latencies.
type Point struct {
	Quantile float64 `json:"q"`
	Nanos    int64   `json:"ns"`
}

// The names of values.
const (
	EventNanos   = "event_ns"      // time per event, until all subscribers have it
	CommonOrder  = "common_order"  // 1: all subscribers saw the same order
	PublishNanos = "publish_ns"    // for how long a publish occupies its caller
	LastNanos    = "last_ns"       // until the last subscriber has the event
	Kept         = "kept"          // of the rate without what disturbs
	Got          = "got"           // events that each of the others got
	HeldBytes    = "held_bytes"    // heap that stays, per event
	HeapBytes    = "heap_bytes"    // per idle subscriber
	StackBytes   = "stack_bytes"   // per idle subscriber
	Goroutines   = "goroutines"    // per idle subscriber
	PairNanos    = "pair_ns"       // to subscribe and unsubscribe
	Events       = "events"        // in the round that was measured
	LeftOver     = "left_over"     // goroutines that stay, per 1,000 pairs
	MaxNanos     = "max_ns"        // the largest latency
	Achieved     = "achieved_rate" // events a second
)

type workload struct {
	name string
	what string
	run  func(Job, peer.Peer) Result
}

func workloads() []workload {
	return []workload{
		{"throughput", "events a second without loss, subscribers running", throughput},
		{"counted", "the same of the quickest, where subscribers only count: what verifying hides", counted},
		{"parked", "how long a publish takes, and until the last parked subscriber has the event", parked},
		{"stuck", "one subscriber of 100 takes nothing: what the others get", stuck},
		{"publishers", "8 publishers at once, and whether all subscribers see one order", throughput},
		{"memory", "bytes and goroutines of an idle subscriber", memory},
		{"churn", "subscribe and unsubscribe while 100 others must not lose anything", churn},
		{"misuse", "Close in a blocked Publish, unsubscribe inside the loop, double close, publish after close", misuse},
		{"latency", "tail latency at a fixed rate, from when an event was due", latency},
	}
}

// Names returns the names of the workloads and what each is about.
func Names() (names, what []string) {
	for _, w := range workloads() {
		names, what = append(names, w.name), append(what, w.what)
	}
	return names, what
}

// Run does the job. It may not return, where the peer does not: whoever calls it has a
// deadline and a process of its own for it.
func Run(j Job) Result {
	p, ok := peer.Find(j.Peer)
	if !ok {
		return Result{Job: j, Outcome: Failed, Detail: fmt.Sprintf("there is no competitor %q", j.Peer)}
	}
	return run(j, p)
}

func run(j Job, p peer.Peer) Result {
	all := workloads()
	i := slices.IndexFunc(all, func(w workload) bool { return w.name == j.Workload })
	if i < 0 {
		return Result{Job: j, Outcome: Failed, Detail: fmt.Sprintf("there is no workload %q", j.Workload)}
	}
	r := all[i].run(j, p)
	r.Job = j
	return r
}
