// Explore runs the schedules of the scenarios and tells what it found.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"
	"time"

	"github.com/gobroadcast/broadcast/internal/checks/explore"
	"github.com/gobroadcast/broadcast/internal/checks/scenarios"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

const help = `Explore runs small programs with a hub in every schedule, or in many, and checks
the laws in each. Run it from the root of the repository:

    go run ./internal/checks/cmd/explore                 all with at most one preemption
    go run ./internal/checks/cmd/explore -bound 2        with at most two
    go run ./internal/checks/cmd/explore -random 10000   random ones, so many for each scenario
    go run ./internal/checks/cmd/explore -list           which scenarios there are
    go run ./internal/checks/cmd/explore -scenario batch -schedule 0x14,1,0x3
                                                         one schedule, step by step

It exits with 1 if a law is broken, and prints the schedule that does it with the
command that repeats it. docs/proof.md says what this shows and what it cannot.

`

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "explore:", err)
		os.Exit(1)
	}
}

func run() error {
	var (
		o     sched.Options
		which = flag.String("scenario", "", "only those whose names match this regular expression")
		list  = flag.Bool("list", false, "list the scenarios")
		jobs  = flag.Int("j", runtime.GOMAXPROCS(0), "how many scenarios at once")
	)
	optionFlags(&o)
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), help)
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := check(o, *jobs); err != nil {
		return err
	}
	chosen, err := choose(*which)
	switch {
	case err != nil:
		return err
	case *list:
		for _, s := range chosen {
			fmt.Printf("%-26s %s\n", s.Name, s.About)
		}
		return nil
	case o.Schedule != "" && len(chosen) != 1:
		return errors.New("a schedule belongs to one scenario: pass -scenario too")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	e, err := explore.New(ctx, nil)
	switch {
	case ctx.Err() != nil:
		return errStopped
	case err != nil:
		return err
	}
	defer e.Close()
	e.Progress = os.Stderr
	if o.Schedule != "" {
		return one(ctx, e, chosen[0].Name, o)
	}
	if o.Random > 0 {
		fmt.Printf("random schedules, -seed %d -depth %d\n", o.Seed, o.Depth)
	}
	fmt.Printf("%-26s %12s %10s %8s\n", "scenario", "schedules", "", "time")
	var names []string
	for _, s := range chosen {
		names = append(names, s.Name)
	}
	reports := e.All(ctx, names, o, *jobs, func(r explore.Report) { fmt.Println(r) })
	if ctx.Err() != nil {
		return errStopped
	}
	return explore.Summary(os.Stdout, reports)
}

// optionFlags are those that say how to search.
func optionFlags(o *sched.Options) {
	flag.IntVar(&o.Bound, "bound", 1, "how many preemptions at most")
	flag.IntVar(&o.Random, "random", 0, "how many random schedules for each scenario, instead of all")
	flag.IntVar(&o.Depth, "depth", 3, "how many orderings the bugs need that a random schedule is made for")
	flag.Uint64Var(&o.Seed, "seed", uint64(time.Now().UnixNano()), "of the first random schedule")
	flag.StringVar(&o.Schedule, "schedule", "", "the one to repeat; needs -scenario")
	flag.IntVar(&o.Most, "most", 0, "cut each scenario after so many schedules")
	flag.DurationVar(&o.Budget, "budget", 0, "cut each scenario after this time")
}

// choose returns the scenarios whose names match the expression, all for an empty one.
func choose(which string) (chosen []scenarios.Scenario, err error) {
	pattern, err := regexp.Compile("^(" + which + ")$")
	if err != nil {
		return nil, err
	}
	for _, s := range scenarios.All {
		if which == "" || pattern.MatchString(s.Name) {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no scenario matches %q: see -list", which)
	}
	return chosen, nil
}

var errStopped = errors.New("stopped")

// check refuses what makes no sense.
func check(o sched.Options, jobs int) error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unknown argument %q: pass -scenario to choose, -h for help", flag.Arg(0))
	case o.Bound < 0:
		return errors.New("-bound is negative: pass 0 or more preemptions")
	case o.Random < 0:
		return errors.New("-random is negative: pass how many schedules, or leave it out for all with a bound")
	case o.Depth < 1:
		return errors.New("-depth is too small: pass 1 or more")
	case o.Most < 0:
		return errors.New("-most is negative: pass how many schedules, or 0 for no limit")
	case o.Budget < 0:
		return errors.New("-budget is negative: pass a time, or 0 for no limit")
	case jobs < 1:
		return errors.New("-j is too small: pass 1 or more")
	case o.Schedule != "":
		return sched.Valid(o.Schedule)
	}
	return nil
}

// one repeats a schedule and shows its steps.
func one(ctx context.Context, e *explore.Explorer, scenario string, o sched.Options) error {
	res, err := e.Run(ctx, scenario, o)
	switch {
	case ctx.Err() != nil:
		return errStopped
	case err != nil:
		return err
	}
	fmt.Println(res.Trace)
	if res.Failure != nil {
		return errors.New(res.Failure.What)
	}
	fmt.Println("\nall laws hold")
	return nil
}
