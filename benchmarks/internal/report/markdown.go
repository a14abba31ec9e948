package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
	"github.com/gobroadcast/broadcast/benchmarks/internal/work"
)

// document is a report in the making.
type document struct {
	strings.Builder
	data  Data
	index index
	base  string // of the names of the plots
}

// markdown writes the report. base is what the names of its plots begin with.
func markdown(data Data, base string) string {
	data.Results = withLatencies(data.Results)
	d := &document{data: data, index: indexOf(data.Results), base: base}
	d.head()
	d.better()
	for _, w := range data.Workloads {
		if len(cells(data.Results, w)) == 0 {
			continue
		}
		switch w {
		case "throughput":
			d.throughput()
		case "counted":
			d.counted()
		case "parked":
			d.parked()
		case "stuck":
			d.stuck()
		case "publishers":
			d.publishers()
		case "memory":
			d.memory()
		case "churn":
			d.churn()
		case "misuse":
			d.misuse()
		case "latency":
			d.latency()
		}
	}
	d.wrong()
	d.competitors()
	return strings.TrimRight(d.String(), "\n") + "\n"
}

func (d *document) printf(format string, args ...any) { fmt.Fprintf(d, format, args...) }

func (d *document) head() {
	m := d.data.Machine
	d.printf("# Benchmarks\n\n")
	command := "go run ./benchmarks"
	if d.data.Quick {
		command += " -quick"
	}
	if d.data.Only != "" {
		command += fmt.Sprintf(" -only '%s'", d.data.Only)
	}
	if all, _ := work.Names(); !slices.Equal(all, d.data.Workloads) {
		command += " -workload " + strings.Join(d.data.Workloads, ",")
	}
	d.printf("Made by `%s` on %s, in %v.", command, d.data.Started.Format("2006-01-02"), d.data.Took.Round(time.Second))
	var facts []string
	if m.CPU != "" {
		facts = append(facts, m.CPU)
	}
	facts = append(facts, plural(m.Cores, "core"))
	if m.Memory > 0 {
		facts = append(facts, fmt.Sprintf("%.0f GiB", float64(m.Memory)/(1<<30)))
	}
	facts = append(facts, m.System, m.Go)
	if m.Commit != "" {
		facts = append(facts, "commit "+m.Commit)
	}
	d.printf(" Machine: %s.\n\n", strings.Join(facts, ", "))
	switch {
	case d.data.Quick:
		d.printf("**A quick run: one short measurement of each. It shows magnitudes, not differences of a few tens of percent.**\n\n")
	case d.data.Only != "":
		d.printf("**Not all competitors were run.**\n\n")
	}
	if d.data.Left > 0 {
		d.printf("**The time did not suffice: %d of %d measurements were left out.**\n\n", d.data.Left, d.data.Steps)
	}
	d.printf(`Each measurement is a process of its own; the competitors take turns, in another order each time. Events have 64
bytes, a subscriber is one goroutine, and each does the same with an event: it verifies its check and its place in the
order. That takes each the same time, and may change who waits for whom: the workload "counted" has the quickest once more where
subscribers only count. What is not in order is said in the tables, and listed under [What went wrong](#what-went-wrong). Figures are medians of the
runs, with the smallest and the largest in brackets. Ratios are to the hand-written loop (%[1]s%[2]s%[1]s) in the same run, and
above 1 is better. "best" is the best of all, **bold** this library's best.

`, "`", peer.Baseline)
}

// size names a cell by its numbers of subscribers.
func size(c work.Cell) string { return plural(c.Subscribers, "subscriber") }

// ratioTable has a row for each peer and a column for each cell: how many times as fast
// as the loop it was by the metric. The loop's own row has what it measured.
func (d *document) ratioTable(columns []work.Cell, metric string, heads []string, absolute func(work.Cell, spread) string) {
	rows := [][]string{append([]string{"competitor"}, heads...)}
	for _, name := range d.peers(columns[0].Workload) {
		row := []string{name}
		if p, ok := peer.Find(name); ok && !p.Bounds {
			row[0] += " (" + buffers(p) + ")"
		}
		for _, c := range columns {
			switch {
			case d.badness(c, name) != "":
				row = append(row, d.badness(c, name))
			case name == peer.Baseline:
				text := absolute(c, d.index.absolute(c, name, metric))
				if best, _ := d.leaders(c, metric); best == name {
					text += " best"
				}
				row = append(row, text+d.star(c, name))
			default:
				row = append(row, d.marked(c, name, metric)+d.star(c, name))
			}
		}
		rows = append(rows, row)
	}
	table(&d.Builder, rows)
}

// peers are those that take part in a workload.
func (d *document) peers(workload string) (names []string) {
	for _, name := range d.data.Peers {
		if p, ok := peer.Find(name); !ok || p.TakesPart(workload) {
			names = append(names, name)
		}
	}
	return names
}

// buffers is what a peer keeps for a subscriber that is behind.
func buffers(p peer.Peer) string {
	switch {
	case p.State:
		return "the latest of each key"
	case p.Bounds:
		return "bounded"
	}
	return "unbounded"
}

// star marks a throughput for which no buffer was ever full.
func (d *document) star(c work.Cell, name string) string {
	p, ok := peer.Find(name)
	if s := d.index.absolute(c, name, work.Events); ok && p.Bounds && s.n > 0 && s.mid < float64(c.Buffer) {
		return " \\*"
	}
	return ""
}

// badness is what is said in place of a figure.
func (d *document) badness(c work.Cell, name string) string {
	if r, bad := d.index.bad(c, name); bad {
		return string(r.Outcome)
	}
	return ""
}

// marked is a ratio; the best of this library is bold, and the best of all says so.
func (d *document) marked(c work.Cell, name, metric string) string {
	s := d.index.faster(c, name, metric)
	text := ranged(s, "")
	if s.n == 0 {
		return text
	}
	best, ours := d.leaders(c, metric)
	if name == ours {
		text = "**" + text + "**"
	}
	if name == best {
		text += " best"
	}
	return text
}

// leaders are the fastest of all, and of this library, by a metric that is a time.
func (d *document) leaders(c work.Cell, metric string) (best, ours string) {
	var bestNanos, oursNanos float64
	for _, name := range d.data.Peers {
		s := d.index.absolute(c, name, metric)
		p, ok := peer.Find(name)
		if s.n == 0 || d.badness(c, name) != "" || p.State {
			continue
		}
		if best == "" || s.mid < bestNanos {
			best, bestNanos = name, s.mid
		}
		if ok && p.Ours() && (ours == "" || s.mid < oursNanos) {
			ours, oursNanos = name, s.mid
		}
	}
	return best, ours
}

func (d *document) plot(name, text string) { d.printf("![%s](%s)\n\n", text, d.base+"-"+name+".svg") }
