package report

import (
	"slices"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
	"github.com/gobroadcast/broadcast/benchmarks/internal/work"
)

// index finds results.
type index map[work.Cell]map[string][]work.Result

func indexOf(results []work.Result) index {
	x := index{}
	for _, r := range results {
		if x[r.Job.Cell] == nil {
			x[r.Job.Cell] = map[string][]work.Result{}
		}
		x[r.Job.Cell][r.Job.Peer] = append(x[r.Job.Cell][r.Job.Peer], r)
	}
	return x
}

// cells are those of a workload, in the order in which they were measured.
func cells(results []work.Result, workload string) (cells []work.Cell) {
	for _, r := range results {
		if r.Job.Workload == workload && !slices.Contains(cells, r.Job.Cell) {
			cells = append(cells, r.Job.Cell)
		}
	}
	return cells
}

// spread is the median of some runs, with the smallest and the largest.
type spread struct {
	mid, low, high float64
	n              int
}

func spreadOf(x []float64) spread {
	if len(x) == 0 {
		return spread{}
	}
	x = slices.Sorted(slices.Values(x))
	mid := x[len(x)/2]
	if len(x)%2 == 0 {
		mid = (x[len(x)/2-1] + x[len(x)/2]) / 2
	}
	return spread{mid, x[0], x[len(x)-1], len(x)}
}

// bad is what is wrong with what a peer did in a cell: the first run in which something
// was.
func (x index) bad(c work.Cell, peer string) (work.Result, bool) {
	for _, r := range x[c][peer] {
		if r.Outcome != work.OK {
			return r, true
		}
	}
	return work.Result{}, false
}

// values of the runs in which all was right.
func (x index) values(c work.Cell, peer, metric string) (values []float64) {
	for _, r := range x[c][peer] {
		if v, ok := r.Values[metric]; ok && r.Outcome == work.OK {
			values = append(values, v)
		}
	}
	return values
}

// absolute is what a peer measured. n is 0 where there is nothing.
func (x index) absolute(c work.Cell, peer, metric string) spread {
	return spreadOf(x.values(c, peer, metric))
}

// faster is how many times as fast as the hand-written loop a peer was, by a metric that
// is a time: run by run, since the two ran close to each other in each.
func (x index) faster(c work.Cell, name, metric string) spread {
	var ratios []float64
	for _, r := range x[c][name] {
		v := r.Values[metric]
		if r.Outcome != work.OK || v <= 0 {
			continue
		}
		for _, base := range x[c][peer.Baseline] {
			if base.Run == r.Run && base.Outcome == work.OK && base.Values[metric] > 0 {
				ratios = append(ratios, base.Values[metric]/v)
			}
		}
	}
	return spreadOf(ratios)
}

// quantile makes a value of a latency.
func quantile(r work.Result, q float64) (nanos float64, ok bool) {
	for _, p := range r.Curve {
		if p.Quantile == q {
			return float64(p.Nanos), true
		}
	}
	return 0, false
}

// withLatencies puts the latencies that tables and comparisons are made of among the
// values.
func withLatencies(results []work.Result) []work.Result {
	results = slices.Clone(results)
	for i, r := range results {
		values := map[string]float64{}
		for name, v := range r.Values {
			values[name] = v
		}
		for name, q := range latencies {
			if ns, ok := quantile(r, q); ok {
				values[name] = ns
			}
		}
		if heap, ok := r.Values[work.HeapBytes]; ok {
			values[allBytes] = heap + r.Values[work.StackBytes]
		}
		if kept, ok := r.Values[work.Kept]; ok {
			values[keptPart] = min(1, kept)
		}
		results[i].Values = values
	}
	return results
}

// Values that are made of others.
const (
	allBytes = "all_bytes"
	keptPart = "kept_part" // of the rate, all of it at most: more is chance
	p50      = "p50_ns"
	p99      = "p99_ns"
	p999     = "p999_ns"
)

var latencies = map[string]float64{p50: 50, p99: 99, p999: 99.9}
