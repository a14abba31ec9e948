package main

import (
	"context"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast/benchmarks/internal/child"
	"github.com/gobroadcast/broadcast/benchmarks/internal/work"
)

// atOnce is how many children of a step run at the same time. Steps of more than one job
// measure no time.
const atOnce = 8

// conduct runs the steps one after the other, until all are done or the budget is spent.
// It returns what was measured and how many steps were left out; the error is that of
// ctx, or of a child that could not be started. No child is left when it returns.
func conduct(ctx context.Context, s scale, steps []step, show *progress) (results []work.Result, left int, err error) {
	type key struct {
		peer string
		cell work.Cell
	}
	hopeless := map[key]bool{} // in the first run it did not end by itself: once is enough
	end := time.Now().Add(s.budget)
	for i, st := range steps {
		if time.Now().After(end) {
			return results, len(steps) - i, nil
		}
		show.begin(i, st)
		if k := (key{st.jobs[0].Peer, st.jobs[0].Cell}); len(st.jobs) == 1 && hopeless[k] {
			continue
		}
		got, err := together(ctx, s, st)
		if err != nil {
			return nil, 0, err
		}
		for _, r := range got {
			switch r.Outcome {
			case work.Stalled, work.Endless, work.Panicked, work.Failed:
				hopeless[key{r.Job.Peer, r.Job.Cell}] = true
			}
		}
		results = append(results, got...)
	}
	return results, 0, nil
}

// together runs the jobs of a step, and returns their results in the order of the jobs.
func together(ctx context.Context, s scale, st step) ([]work.Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	results := make([]work.Result, len(st.jobs))
	places := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for i, job := range st.jobs {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			r, err := child.Run(ctx, job, s.limit)
			if err != nil {
				cancel(err)
			}
			r.Run = st.run
			results[i] = r
		})
	}
	running.Wait()
	return results, context.Cause(ctx)
}
