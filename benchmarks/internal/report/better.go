package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
	"github.com/gobroadcast/broadcast/benchmarks/internal/work"
)

// contest is a metric by which competitors are compared.
type contest struct {
	workload, metric, what string
	more                   bool // more is better
}

var contests = []contest{
	{"throughput", work.EventNanos, "throughput", false},
	{"counted", work.EventNanos, "throughput, only counted", false},
	{"parked", work.PublishNanos, "time of a publish, all parked", false},
	{"parked", work.LastNanos, "time until the last parked subscriber has it", false},
	{"publishers", work.EventNanos, "throughput with 8 publishers", false},
	{"stuck", keptPart, "rate kept beside one that is stuck", true},
	{"memory", allBytes, "memory of an idle subscriber", false},
	{"churn", work.PairNanos, "time to subscribe and unsubscribe", false},
	{"churn", keptPart, "rate kept under churn", true},
	{"latency", p50, "median latency", false},
	{"latency", p99, "99th percentile of latency", false},
	{"latency", p999, "99.9th percentile of latency", false},
}

// winner is a competitor that has a better median than this library's best.
type winner struct {
	name     string
	times    float64
	overlaps bool // the ranges of the runs overlap
}

// better lists where others have better figures than the best of this library's kinds.
func (d *document) better() {
	ours := slices.ContainsFunc(d.data.Peers, func(n string) bool {
		p, ok := peer.Find(n)
		return ok && p.Ours()
	})
	if !ours {
		return
	}
	d.printf("## Where others are better\n\n")
	d.printf("Every median that is better than that of this library's best kind of subscriber, by how many times. Where the ranges of " +
		"the runs overlap it may be chance, and is said so. Who loses, reorders or stalls is not compared.\n\n")
	rows := [][]string{{"what", "this library's best", "better"}}
	ahead := map[string]bool{}
	for _, k := range contests {
		for _, c := range cells(d.data.Results, k.workload) {
			own, winners := d.winners(k, c)
			for _, w := range winners {
				ahead[w.name] = true
			}
			if len(winners) > 0 {
				rows = append(rows, []string{k.title(c), own, d.list(winners)})
			}
		}
	}
	if len(rows) == 1 {
		d.printf("Nowhere in this run.\n\n")
		return
	}
	table(&d.Builder, rows)
	d.printf("What they do differently:\n\n")
	for _, name := range d.data.Peers {
		if p, ok := peer.Find(name); ok && ahead[name] && p.Ahead != "" {
			d.printf("- **%s**: %s.\n", name, p.Ahead)
		}
	}
	d.printf("\n")
}

func (k contest) title(c work.Cell) string {
	if k.workload == "throughput" || k.workload == "counted" {
		return fmt.Sprintf("%s, %s, buffer %s", k.what, size(c), count(c.Buffer))
	}
	return fmt.Sprintf("%s, %s", k.what, size(c))
}

// winners are those that beat the best of this library, the best first.
func (d *document) winners(k contest, c work.Cell) (own string, winners []winner) {
	best := spread{}
	for _, name := range d.data.Peers {
		p, ok := peer.Find(name)
		s := d.index.absolute(c, name, k.metric)
		if ok && p.Ours() && !p.State && s.n > 0 && d.badness(c, name) == "" && (best.n == 0 || k.gain(s, best) > 1) {
			own, best = name, s
		}
	}
	if best.n == 0 {
		return "", nil
	}
	for _, name := range d.data.Peers {
		p, ok := peer.Find(name)
		s := d.index.absolute(c, name, k.metric)
		if !ok || p.Ours() || s.n == 0 || d.badness(c, name) != "" || k.gain(s, best) <= 1 {
			continue
		}
		winners = append(winners, winner{name, k.gain(s, best), s.low <= best.high && best.low <= s.high})
	}
	slices.SortStableFunc(winners, func(a, b winner) int { return cmp.Compare(b.times, a.times) })
	return own, winners
}

// gain is how many times better a is than b.
func (k contest) gain(a, b spread) float64 {
	if k.more {
		a, b = b, a
	}
	if a.mid == 0 && b.mid == 0 {
		return 1
	}
	return b.mid / a.mid
}

func (d *document) list(winners []winner) string {
	var texts []string
	for _, w := range winners {
		text := fmt.Sprintf("%s %s", w.name, digits(w.times))
		if w.overlaps {
			text += " (ranges overlap)"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

// wrong lists what went wrong in which measurement, misuse left out.
func (d *document) wrong() {
	d.printf("## What went wrong\n\n")
	rows := [][]string{{"competitor", "workload", "what", "detail"}}
	for _, w := range d.data.Workloads {
		for _, c := range cells(d.data.Results, w) {
			for _, name := range d.data.Peers {
				if r, bad := d.index.bad(c, name); bad && w != "misuse" {
					where := fmt.Sprintf("%s, %s, buffer %s", w, size(c), count(c.Buffer))
					rows = append(rows, []string{name, where, string(r.Outcome), escape(r.Detail)})
				}
			}
		}
	}
	if len(rows) == 1 {
		d.printf("Nothing: everyone delivered everything, in order.\n\n")
		return
	}
	table(&d.Builder, rows)
}

// competitors lists who was measured and how each was used.
func (d *document) competitors() {
	d.printf("## Competitors\n\n")
	rows := [][]string{{"name", "what", "version", "buffers", "how it is used"}}
	for _, name := range d.data.Peers {
		p, ok := peer.Find(name)
		if !ok {
			continue
		}
		version := "written here"
		if p.Module != "" {
			version = p.Module + " " + d.data.Versions[p.Module]
		}
		if p.Ours() {
			version = "this repository"
		}
		rows = append(rows, []string{p.Name, p.Title, version, buffers(p), escape(p.How)})
	}
	table(&d.Builder, rows)
}
