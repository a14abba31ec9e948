package main

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
	"github.com/gobroadcast/broadcast/benchmarks/internal/work"
)

// scale is how much is measured and how long that may take.
type scale struct {
	pace        work.Pace
	subscribers []int
	buffers     []int
	publishers  []int         // subscribers with 8 publishers
	idle        int           // subscribers whose memory is measured
	runs        int           // of each job but those of misuse
	budget      time.Duration // after which nothing more is begun
	limit       time.Duration // for one child
}

func full() scale {
	return scale{
		pace:        work.Pace{Round: 80 * time.Millisecond, Patience: 3 * time.Second, Rate: 1000, Hold: time.Second},
		subscribers: []int{1, 10, 100, 1000, 10_000},
		buffers:     []int{64, 1024},
		publishers:  []int{1, 100},
		idle:        10_000,
		runs:        3,
		budget:      9*time.Minute + 30*time.Second,
		limit:       20 * time.Second,
	}
}

func quick() scale {
	return scale{
		pace:        work.Pace{Round: 15 * time.Millisecond, Patience: time.Second, Rate: 1000, Hold: 200 * time.Millisecond},
		subscribers: []int{1, 100, 1000},
		buffers:     []int{64},
		publishers:  []int{100},
		idle:        1000,
		runs:        1,
		budget:      50 * time.Second,
		limit:       6 * time.Second,
	}
}

// cells are the loads of the workloads that were asked for.
func (s scale) cells(workloads []string) (cells []work.Cell) {
	const buffer, some = 64, 100
	const fewSlots = 1_100_000 // so that a round can fill the buffers more than once
	all := map[string][]work.Cell{
		"stuck":   {{Subscribers: some, Buffer: buffer}},
		"memory":  {{Subscribers: s.idle, Buffer: buffer}},
		"churn":   {{Subscribers: some, Buffer: buffer}},
		"latency": {{Subscribers: some, Buffer: buffer}},
	}
	add := func(c work.Cell) { all[c.Workload] = append(all[c.Workload], c) }
	for _, b := range s.buffers {
		for _, n := range s.subscribers {
			add(work.Cell{Workload: "throughput", Subscribers: n, Buffer: b})
			if n*b <= fewSlots {
				add(work.Cell{Workload: "counted", Subscribers: n, Buffer: b})
			}
		}
	}
	for _, n := range s.subscribers {
		add(work.Cell{Workload: "parked", Subscribers: n, Buffer: buffer})
	}
	for _, n := range s.publishers {
		add(work.Cell{Workload: "publishers", Subscribers: n, Buffer: buffer, Publishers: 8})
	}
	misuses, _ := work.Misuses()
	for _, m := range misuses {
		add(work.Cell{Workload: "misuse", Buffer: 4, Misuse: m})
	}
	for _, w := range workloads {
		for _, c := range all[w] {
			c.Workload = w
			cells = append(cells, c)
		}
	}
	return cells
}

// step is jobs that may run at the same time, most often one.
type step struct {
	jobs []work.Job
	run  int
}

// plan is all steps, run after run: so the peers take turns, in another order in each
// run and cell, and a machine whose speed drifts changes all alike.
func (s scale) plan(peers []peer.Peer, workloads []string) (steps []step) {
	random := rand.New(rand.NewPCG(1, 2))
	for run := range s.runs {
		for _, c := range s.cells(workloads) {
			if c.Workload == "misuse" {
				if run == 0 { // what it shows is no matter of speed
					steps = append(steps, step{jobs: s.jobs(c, peers)})
				}
				continue
			}
			jobs := s.jobs(c, peers)
			random.Shuffle(len(jobs), func(i, k int) { jobs[i], jobs[k] = jobs[k], jobs[i] })
			for _, j := range jobs {
				steps = append(steps, step{[]work.Job{j}, run})
			}
		}
	}
	return steps
}

func (s scale) jobs(c work.Cell, peers []peer.Peer) (jobs []work.Job) {
	for _, p := range peers {
		if !p.TakesPart(c.Workload) {
			continue
		}
		jobs = append(jobs, work.Job{Peer: p.Name, Cell: c, Pace: s.pace})
	}
	return jobs
}

// nominal is about how long a step takes, to guess how long those take that are left.
func (s scale) nominal(st step) time.Duration {
	j := st.jobs[0]
	const start = 100 * time.Millisecond // of a process
	setUp := time.Duration(j.Subscribers) * 20 * time.Microsecond
	switch j.Workload {
	case "misuse":
		return start + s.pace.Patience*time.Duration(1+len(st.jobs)/atOnce)
	case "latency":
		return start + setUp + s.pace.Hold
	case "stuck":
		return start + setUp + 3*s.pace.Round + s.pace.Patience/2
	case "memory":
		return start + setUp
	}
	return start + setUp + 2*s.pace.Round
}

// names of the peers, in their order.
func names(peers []peer.Peer) []string {
	out := make([]string, 0, len(peers))
	for _, p := range peers {
		out = append(out, p.Name)
	}
	return slices.Clip(out)
}
