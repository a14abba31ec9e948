// Package sched runs a few goroutines one at a time, in an order that it
// chooses, and goes through the orders that there are: all with at most so many
// preemptions, or random ones. It is to be compiled into sources that the
// package instrument has rewritten, so that every operation by which goroutines
// meet (atomics, locks, channels, contexts) is a point where another may go on.
//
// It runs in a bubble of testing/synctest, which tells when all are blocked and
// lets time pass then. It explores interleavings as if memory were sequentially
// consistent; what weaker memory adds is left to the race detector.
package sched

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// X is a scenario in the making: what it says of a schedule's actors and of what
// must hold in the end.
type X struct {
	testing.TB // failures of it end the schedule; it is not safe for actors

	run    *run
	starts []func()
	checks []func()
	broken []string
}

// Go adds an actor. Its code may use what is instrumented, and for channels and
// contexts of the scenario the operations of this package.
func (x *X) Go(name string, f func()) {
	x.starts = append(x.starts, func() { x.run.spawn(name, f) })
}

// Clock adds the passing of d, once, whenever it may come: also while others
// could go on. Without it time passes only when nobody can.
func (x *X) Clock(d time.Duration) {
	x.starts = append(x.starts, func() {
		a := x.run.add("clock")
		a.parked, a.at, a.tick = true, fmt.Sprintf("%v pass", d), d
	})
}

// Check adds what must hold when all actors have ended.
func (x *X) Check(f func()) { x.checks = append(x.checks, f) }

// Errorf notes a failure.
func (x *X) Errorf(format string, args ...any) {
	x.broken = append(x.broken, fmt.Sprintf(format, args...))
}

// Error notes a failure.
func (x *X) Error(args ...any) { x.broken = append(x.broken, fmt.Sprint(args...)) }

// Fatalf notes a failure and ends the check.
func (x *X) Fatalf(format string, args ...any) {
	x.Errorf(format, args...)
	panic(stopped{})
}

// Fatal notes a failure and ends the check.
func (x *X) Fatal(args ...any) {
	x.Error(args...)
	panic(stopped{})
}

// Helper does nothing.
func (x *X) Helper() {}

// Failed tells whether there was a failure.
func (x *X) Failed() bool { return len(x.broken) > 0 }

type stopped struct{}

// Options say which schedules are to be run.
type Options struct {
	Bound    int           // all with at most so many preemptions
	Random   int           // instead: so many random ones
	Depth    int           // of the random search, from 1; 0: 3
	Seed     uint64        // of the first random one; the next has the next
	Schedule string        // instead: this one
	Most     int           // cut after so many; 0: no limit
	Budget   time.Duration // cut after this time; 0: no limit
	Progress func(schedules int, since time.Duration)
}

// Result is what was run.
type Result struct {
	Schedules int
	Steps     int  // of all of them
	Longest   int  // in steps
	Complete  bool // all there are with that bound
	Random    bool // they were
	Seconds   float64
	Failure   *Failure `json:",omitempty"`
	Lost      string   // what the explorer itself failed with; nothing was found
	Trace     string   // of a schedule that was asked for
}

// Failure is a schedule that breaks a law.
type Failure struct {
	What     string
	Schedule string
}

// Explore runs the scenario that build makes in each schedule, until one fails.
// With a failure it does not return to the caller, whose goroutines may hang, but
// calls report and ends the process.
func Explore(t *testing.T, build func(*X), o Options, report func(Result)) Result {
	start := time.Now()
	told := start
	res := Result{Random: o.Random > 0 && o.Schedule == ""}
	var x *X
	fail := func(what string) {
		res.add(x.run)
		res.Seconds = time.Since(start).Seconds()
		if x.run.lost {
			res.Lost = what
		} else {
			res.Failure = &Failure{What: what, Schedule: format(x.run.plan.taken())}
			res.Trace = x.run.story()
		}
		report(res)
		os.Exit(exitFailed)
	}
	defer watchdog(func() {
		fail(fmt.Sprintf("%s %v: somebody loops without one, or waits for what is not instrumented", Hang, hangs))
	})()
	one := func(p plan, tracing bool) (more bool) {
		x = &X{TB: t, run: newRun(p)}
		x.run.tracing = tracing
		beat.Add(1) // what the watchdog does when this stands still sees x
		synctest.Test(t, func(*testing.T) {
			x.once(build)
			if len(x.broken) > 0 {
				fail(strings.Join(x.broken, "\n"))
			}
		})
		res.add(x.run)
		res.Trace = x.run.story()
		if o.Progress != nil && res.Schedules%64 == 0 && time.Since(told) > tellEvery {
			told = time.Now()
			o.Progress(res.Schedules, time.Since(start))
		}
		return (o.Most == 0 || res.Schedules < o.Most) && (o.Budget == 0 || res.Schedules%64 != 0 || time.Since(start) < o.Budget)
	}
	defer func() { res.Seconds = time.Since(start).Seconds() }()
	switch {
	case o.Schedule != "":
		path, err := parse(o.Schedule)
		if err != nil {
			t.Fatal(err)
		}
		one(&replay{path: path}, true)
	case o.Random > 0:
		atRandom(o, one)
	default:
		res.Complete = depthFirst(o, one)
	}
	res.Seconds = time.Since(start).Seconds()
	return res
}

// atRandom runs as many random schedules as o says, or until one says that it is enough.
func atRandom(o Options, one func(plan, bool) (more bool)) {
	length := 100
	if o.Depth == 0 {
		o.Depth = 3
	}
	for i := range o.Random {
		p := newRandom(o.Seed+uint64(i), o.Depth, length)
		more := one(p, false)
		length = max(length, p.steps)
		if !more {
			return
		}
	}
}

// depthFirst runs all schedules within the bound, and tells whether it came to the end.
func depthFirst(o Options, one func(plan, bool) (more bool)) (complete bool) {
	s := &search{bound: o.Bound}
	for {
		more := one(s, false)
		if !s.next() {
			return true
		}
		if !more {
			return false
		}
	}
}

// tellEvery is the shortest time between two reports of progress.
const tellEvery = 10 * time.Second

// hangs is how long no choice may be made while a schedule runs. It is the time of the
// machine, so it is long.
const hangs = time.Minute

// watchdog calls hung when nothing has been chosen for that long, unless it is told to
// stop before.
func watchdog(hung func()) (stop func()) {
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(hangs)
		defer tick.Stop()
		for last := beat.Load(); ; {
			select {
			case <-tick.C:
			case <-done:
				return
			}
			now := beat.Load()
			if now == last {
				hung()
			}
			last = now
		}
	}()
	return func() {
		close(done)
		<-over
	}
}

// Valid returns an error that says what is wrong with a schedule, if something is.
func Valid(schedule string) error {
	_, err := parse(schedule)
	return err
}

// exitFailed is the status of a process that has found a failure.
const exitFailed = 3

func (res *Result) add(r *run) {
	res.Schedules++
	res.Steps += r.steps
	res.Longest = max(res.Longest, r.steps)
}

// once runs one schedule.
func (x *X) once(build func(*X)) {
	r := x.run
	building.Store(r)
	x.guard(func() { build(x) })
	building.Store(nil)
	synctest.Wait() // what the building has started, as hooks
	for _, start := range x.starts {
		start()
	}
	if !x.Failed() {
		active.Store(r)
		r.control()
		active.Store(nil)
		if r.failure != "" {
			x.Errorf("%s", r.failure)
		}
	}
	for _, check := range x.checks {
		if !x.Failed() {
			x.guard(check)
		}
	}
}

// guard runs f and notes what stops it.
func (x *X) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			if _, known := v.(stopped); !known {
				x.Errorf("panic: %v\n%s", v, stack())
			}
		}
	}()
	f()
}

// story tells who did what, one line for each operation, the same ones in a row
// only once.
func (r *run) story() string {
	var b strings.Builder
	for i := 0; i < len(r.trace); {
		s, n := r.trace[i], 1
		for i+n < len(r.trace) && r.trace[i+n] == s {
			n++
		}
		who := ""
		if i == 0 || r.trace[i-1].who != s.who {
			who = s.who
		}
		fmt.Fprintf(&b, "%4d  %-16s %s", i+1, who, s.what)
		if n > 1 {
			fmt.Fprintf(&b, ", %d times", n)
		}
		b.WriteString("\n")
		i += n
	}
	return b.String()
}
