package explore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

// Report is what was found in one scenario.
type Report struct {
	Scenario string
	sched.Result
	Story string // of the schedule that failed
	Err   error  // of the explorer
}

// String is a line of the table, and more if there is a failure.
func (r Report) String() string {
	how := "cut"
	switch {
	case r.Complete:
		how = "complete"
	case r.Random:
		how = "random"
	}
	switch {
	case r.Err != nil:
		return fmt.Sprintf("%-26s %v", r.Scenario, r.Err)
	case r.Failure != nil:
		return fmt.Sprintf("%-26s %12d %10s %7.1fs\nFAIL scenario=%s schedules=%d\n%s\n\n%s\n\nrepeat it with\n    %s\n",
			r.Scenario, r.Schedules, "FAILED", r.Seconds, r.Scenario, r.Schedules, r.Failure.What, r.Story,
			Replay(r.Scenario, r.Failure.Schedule))
	}
	return fmt.Sprintf("%-26s %12d %10s %7.1fs", r.Scenario, r.Schedules, how, r.Seconds)
}

// All runs the scenarios, so many at once, and tells each as it ends. It stops
// early when ctx ends.
func (e *Explorer) All(ctx context.Context, scenarios []string, o sched.Options, jobs int, tell func(Report)) []Report {
	var (
		mu      sync.Mutex
		reports []Report
		running sync.WaitGroup
		free    = make(chan struct{}, max(jobs, 1))
	)
	for _, name := range scenarios {
		free <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-free }()
			r := Report{Scenario: name}
			start := time.Now()
			r.Result, r.Err = e.Run(ctx, name, o)
			r.Seconds = time.Since(start).Seconds()
			if r.Failure != nil {
				r.Story, r.Err = e.Story(ctx, name, r.Failure.Schedule)
			}
			mu.Lock()
			defer mu.Unlock()
			reports = append(reports, r)
			if tell != nil && ctx.Err() == nil {
				tell(r)
			}
		})
	}
	running.Wait()
	if ctx.Err() != nil {
		reports = append(reports, Report{Scenario: "the rest", Err: errors.New("stopped")})
	}
	return reports
}

// Summary writes the sums, and returns an error if anything failed.
func Summary(w io.Writer, reports []Report) error {
	var schedules, steps, complete, random, cut, failed int
	for _, r := range reports {
		schedules += r.Schedules
		steps += r.Steps
		switch {
		case r.Err != nil || r.Failure != nil:
			failed++
		case r.Complete:
			complete++
		case r.Random:
			random++
		default:
			cut++
		}
	}
	fmt.Fprintf(w, "%d scenarios, %d schedules, %d steps; ", len(reports), schedules, steps)
	if random > 0 {
		fmt.Fprintf(w, "%d random, %d failed\n", random, failed)
	} else {
		fmt.Fprintf(w, "%d complete, %d cut, %d failed\n", complete, cut, failed)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d scenarios failed", failed, len(reports))
	}
	return nil
}
