package scenarios

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

var (
	scenario = flag.String("scenario", "", "run the schedules of this one")
	result   = flag.String("result", "", "write what was found to this file")
	options  sched.Options
)

func init() {
	flag.IntVar(&options.Bound, "bound", 1, "all schedules with so many preemptions")
	flag.IntVar(&options.Random, "random", 0, "instead: so many random ones")
	flag.IntVar(&options.Depth, "depth", 0, "of the random search; 0: 3")
	flag.Uint64Var(&options.Seed, "seed", 1, "of the random search")
	flag.StringVar(&options.Schedule, "schedule", "", "instead: this one")
	flag.IntVar(&options.Most, "most", 0, "cut after so many")
	flag.DurationVar(&options.Budget, "budget", 0, "cut after this time")
}

// TestSchedules is what the package explore runs, in sources that were
// instrumented.
func TestSchedules(t *testing.T) {
	if !sched.Instrumented {
		t.Skip("needs instrumented sources: go test ./internal/checks/explore runs it")
	}
	for _, s := range All {
		if s.Name != *scenario {
			continue
		}
		options.Progress = func(n int, since time.Duration) {
			fmt.Fprintf(os.Stderr, "%s: %d schedules, %.0f s\n", s.Name, n, since.Seconds())
		}
		report(sched.Explore(t, s.Build, options, report))
		return
	}
	t.Fatalf("there is no scenario %q", *scenario)
}

func report(r sched.Result) {
	text, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(*result, text, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
