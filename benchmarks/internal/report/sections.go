package report

import (
	"fmt"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
	"github.com/gobroadcast/broadcast/benchmarks/internal/work"
)

func (d *document) throughput() {
	d.printf("## Throughput without loss\n\n")
	d.printf("One publisher publishes as fast as it can, all subscribers run, and the time ends when the last one has the last event. " +
		"The loop's row has deliveries a second, the others how many times that. Unbounded competitors need not wait for anyone and pay " +
		"in memory. Where a star stands, fewer events were published than a buffer holds, so that nobody was ever waited for.\n\n")
	d.byBuffer("throughput", func(buffer int) {
		d.plot(throughputPlot(buffer), fmt.Sprintf("Deliveries a second over subscribers, buffers of %d", buffer))
	})
}

// counted is throughput again, of those to whom it matters that verifying takes time.
func (d *document) counted() {
	d.printf("## Throughput where subscribers only count\n\n")
	d.printf("The same once more for the quickest, but a subscriber counts its events and adds up their numbers, which must come out " +
		"right, and does nothing else: what the fan-out itself costs. Their order is not looked at.\n\n")
	d.byBuffer("counted", func(int) {})
}

// byBuffer has a table for each size of buffer, and what comes behind it.
func (d *document) byBuffer(workload string, behind func(buffer int)) {
	buffers := map[int][]work.Cell{}
	var order []int
	for _, c := range cells(d.data.Results, workload) {
		if buffers[c.Buffer] == nil {
			order = append(order, c.Buffer)
		}
		buffers[c.Buffer] = append(buffers[c.Buffer], c)
	}
	for _, b := range order {
		d.printf("### Buffers of %s events\n\n", count(b))
		d.ratioTable(buffers[b], work.EventNanos, heads(buffers[b]), deliveries)
		behind(b)
	}
}

func throughputPlot(buffer int) string { return fmt.Sprintf("throughput-%d", buffer) }

// deliveries a second, from the time per event.
func deliveries(c work.Cell, s spread) string {
	if s.n == 0 {
		return ""
	}
	million := float64(c.Subscribers) * 1e3
	return ranged(spread{million / s.mid, million / s.high, million / s.low, s.n}, " M/s")
}

func heads(cells []work.Cell) (heads []string) {
	for _, c := range cells {
		heads = append(heads, size(c))
	}
	return heads
}

func plain(_ work.Cell, s spread) string { return nanos(s) }

func (d *document) parked() {
	list := cells(d.data.Results, "parked")
	d.printf("## One event to parked subscribers\n\n")
	d.printf("All subscribers wait for an event, one is published, and nothing else happens until the last one has it. " +
		"The loop's row has times, the others how many times as fast they were.\n\n")
	d.printf("### For how long Publish occupies its caller\n\n")
	d.ratioTable(list, work.PublishNanos, heads(list), plain)
	d.plot("publish", "How long a publish takes over subscribers, all parked")
	d.printf("### Until the last subscriber has it\n\n")
	d.ratioTable(list, work.LastNanos, heads(list), plain)
	d.plot("last", "Until the last subscriber has the event, over subscribers")
}

func (d *document) publishers() {
	list := cells(d.data.Results, "publishers")
	d.printf("## Several publishers\n\n")
	d.printf("The events of each publisher must keep their order. Whether all subscribers see all events in one and the same order is " +
		"in the last column: \"yes\" if they did in each run.\n\n")
	d.printf("The loop's row has deliveries a second.\n\n")
	rows := [][]string{{"competitor"}}
	for _, c := range list {
		rows[0] = append(rows[0], fmt.Sprintf("%d publishers, %s", c.Publishers, size(c)))
	}
	rows[0] = append(rows[0], "one order")
	for _, name := range d.peers("publishers") {
		row := []string{name}
		one := "yes"
		for _, c := range list {
			row = append(row, d.publishersCell(c, name))
			for _, r := range d.index[c][name] {
				if c.Subscribers > 1 && r.Values[work.CommonOrder] == 0 {
					one = "no"
				}
			}
		}
		rows = append(rows, append(row, one))
	}
	table(&d.Builder, rows)
}

func (d *document) publishersCell(c work.Cell, name string) string {
	switch bad := d.badness(c, name); {
	case bad != "":
		return bad
	case name == peer.Baseline:
		return deliveries(c, d.index.absolute(c, name, work.EventNanos))
	}
	return d.marked(c, name, work.EventNanos)
}

func (d *document) stuck() {
	for _, c := range cells(d.data.Results, "stuck") {
		d.printf("## One of %s is stuck\n\n", size(c))
		d.printf("One takes an event and never returns. \"Kept\" is the rate of the others, as a part of their rate without it. What is " +
			"held for the stuck one is per event published, and grows without end where it is not 0.\n\n")
		rows := [][]string{{"competitor", "kept", "held per event", "what the others got"}}
		for _, name := range d.peers("stuck") {
			kept := d.index.absolute(c, name, work.Kept)
			held := d.index.absolute(c, name, work.HeldBytes)
			row := []string{name, ranged(scaled(kept, 100), " %"), ranged(whole(held), " B"), "everything"}
			if r, bad := d.index.bad(c, name); bad {
				row = []string{name, percent(r.Values[work.Kept]), "", escape(string(r.Outcome) + ": " + r.Detail)}
			}
			rows = append(rows, row)
		}
		table(&d.Builder, rows)
	}
}

func percent(part float64) string { return digits(100*part) + " %" }

// whole drops what is less than a byte: it is what the collector left over.
func whole(s spread) spread {
	cut := func(x float64) float64 {
		if x < 1 {
			return 0
		}
		return x
	}
	return spread{cut(s.mid), cut(s.low), cut(s.high), s.n}
}

func (d *document) memory() {
	for _, c := range cells(d.data.Results, "memory") {
		d.printf("## Memory of an idle subscriber\n\n")
		d.printf("Of %s with buffers of %s events of 64 bytes, the goroutine of each included. The ratio is the "+
			"loop's memory to the competitor's.\n\n", size(c), count(c.Buffer))
		rows := [][]string{{"competitor", "heap", "stacks", "goroutines", "ratio"}}
		for _, name := range d.peers("memory") {
			if bad := d.badness(c, name); bad != "" {
				rows = append(rows, []string{name, bad, "", "", ""})
				continue
			}
			rows = append(rows, []string{
				name,
				ranged(whole(d.index.absolute(c, name, work.HeapBytes)), " B"),
				ranged(whole(d.index.absolute(c, name, work.StackBytes)), " B"),
				ranged(d.index.absolute(c, name, work.Goroutines), ""),
				d.marked(c, name, allBytes),
			})
		}
		table(&d.Builder, rows)
	}
}

func (d *document) churn() {
	for _, c := range cells(d.data.Results, "churn") {
		d.printf("## Churn under load\n\n")
		d.printf("A thousand times a second one goroutine subscribes and unsubscribes, while events go to %s that must lose nothing. "+
			"\"Kept\" is their rate, as a part of that without churn. What stays behind is in goroutines per 1,000 pairs.\n\n", size(c))
		rows := [][]string{{"competitor", "a pair takes", "ratio", "kept", "goroutines left"}}
		for _, name := range d.peers("churn") {
			if r, bad := d.index.bad(c, name); bad {
				rows = append(rows, []string{name, escape(string(r.Outcome) + ": " + r.Detail), "", "", ""})
				continue
			}
			rows = append(rows, []string{
				name,
				nanos(d.index.absolute(c, name, work.PairNanos)),
				d.marked(c, name, work.PairNanos),
				ranged(scaled(d.index.absolute(c, name, work.Kept), 100), " %"),
				ranged(d.index.absolute(c, name, work.LeftOver), ""),
			})
		}
		table(&d.Builder, rows)
	}
}

func (d *document) misuse() {
	list := cells(d.data.Results, "misuse")
	d.printf("## Misuse\n\n")
	d.printf("What happens where a program does what it should not. A deadlock is what has not returned in time.\n\n")
	rows := [][]string{{"competitor"}}
	names, what := work.Misuses()
	for _, c := range list {
		for i, n := range names {
			if n == c.Misuse {
				rows[0] = append(rows[0], what[i])
			}
		}
	}
	for _, name := range d.peers("misuse") {
		row := []string{name}
		for _, c := range list {
			row = append(row, d.misused(c, name))
		}
		rows = append(rows, row)
	}
	table(&d.Builder, rows)
}

func (d *document) misused(c work.Cell, name string) string {
	runs := d.index[c][name]
	if len(runs) == 0 {
		return ""
	}
	switch r := runs[0]; r.Outcome { // there is one run only
	case work.OK, work.Stalled:
		return escape(r.Detail)
	default:
		return escape(string(r.Outcome) + ": " + r.Detail)
	}
}

func (d *document) latency() {
	for _, c := range cells(d.data.Results, "latency") {
		var pace work.Pace
		for _, r := range d.data.Results {
			if r.Job.Cell == c {
				pace = r.Job.Pace
			}
		}
		d.printf("## Latency at a fixed rate\n\n")
		d.printf("%s events a second to %s. A latency counts from the moment when the event was due, whatever delayed "+
			"it. The publisher spins between two events, so that its timer is not what is measured. The ratio is that of the "+
			"99th percentile. A run has %s events: 99.9 %% and the largest are of the slowest one or few, and a single pause by the "+
			"operating system decides them.\n\n", count(pace.Rate), size(c), count(int(pace.Hold.Seconds()*float64(pace.Rate))))
		rows := [][]string{{"competitor", "median", "99 %", "99.9 %", "largest", "ratio"}}
		for _, name := range d.peers("latency") {
			if r, bad := d.index.bad(c, name); bad {
				rows = append(rows, []string{name, escape(string(r.Outcome) + ": " + r.Detail), "", "", "", ""})
				continue
			}
			row := []string{name}
			for _, metric := range []string{p50, p99, p999, work.MaxNanos} {
				row = append(row, nanos(d.index.absolute(c, name, metric)))
			}
			rows = append(rows, append(row, d.marked(c, name, p99)))
		}
		table(&d.Builder, rows)
		d.plot("latency", "Distribution of latencies")
	}
}
