package sched

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"
)

// active is the run that the instrumented operations report to; nil lets them
// pass. One process explores one schedule at a time. building is the run whose
// scenario is being made.
var active, building atomic.Pointer[run]

// beat counts choices and schedules, for the watchdog: code that loops without an
// operation never comes to the next.
var beat atomic.Uint64

// maxSteps ends a schedule in which nothing ends.
const maxSteps = 20000

// How a failure begins that is none of a law: the schedule went on and on, or an
// actor did without coming to an operation.
const (
	NoEnd = "no end after"
	Hang  = "no operation for"
)

// patience is how long, in the time of the bubble, nobody may be able to go on.
const patience = 24 * time.Hour

// run is one schedule. Only one actor runs at a time, so nothing here needs a
// lock: what the running one writes is seen by the next through release, and
// by the controller through synctest.Wait.
type run struct {
	plan    plan
	actors  []*actor
	current *actor
	chosen  *actor               // picked by an actor, to be resumed by the controller
	stirred bool                 // the last operation may have woken someone
	held    map[*sync.Mutex]bool // the mutexes that an actor has
	arrived chan struct{}        // one token: somebody has come to a yield point
	options []*actor             // of the last pick; reused
	steps   int
	failure string
	lost    bool // failure is the explorer's own
	trace   []step

	order   atomic.Uint64 // only for what happens before what
	mu      sync.Mutex
	sending map[uintptr]int // how many wait to send, by unbuffered channel; guarded by mu
	tracing bool
}

// actor is a goroutine that runs only when it is told to.
type actor struct {
	id      int
	name    string
	release chan struct{} // one token: go on
	parked  bool          // at a yield point
	done    bool
	wants   *sync.Mutex   // it cannot go on while somebody has this
	tick    time.Duration // not a goroutine but the passing of this time
	at      string        // the operation it is about to do
	prio    int           // of the random search
}

// step is what is told of a schedule: who did what.
type step struct{ who, what string }

func newRun(p plan) *run {
	return &run{plan: p, held: map[*sync.Mutex]bool{}, sending: map[uintptr]int{}}
}

// add makes an actor whose goroutine is to come.
func (r *run) add(name string) *actor {
	a := &actor{id: len(r.actors), name: name, release: make(chan struct{}, 1)}
	r.actors = append(r.actors, a)
	r.plan.joined(a)
	return a
}

// spawn starts f as an actor. It runs when it is first picked.
func (r *run) spawn(name string, f func()) {
	a := r.add(name)
	a.parked, a.at = true, "start"
	go r.body(a, f)
}

func (r *run) body(a *actor, f func()) {
	defer func() {
		if v := recover(); v != nil && r.failure == "" {
			r.failure = fmt.Sprintf("%s panicked: %v\n%s", a.name, v, stack())
		}
		a.done = true
	}()
	<-a.release
	f()
}

// point is the yield before an operation that does not wait. It returns the
// actor that does it.
func (r *run) point(label string) *actor {
	a := r.current
	r.yield(a, nil, label)
	return a
}

// yield lets anybody go on instead of a, which is the current actor.
func (r *run) yield(a *actor, wants *sync.Mutex, label string) {
	a.wants, a.at = wants, label
	a.parked = true
	if r.stirred || r.failure != "" {
		r.wait(a)
		return
	}
	// Everyone else is parked or blocked, so the choice can be made here, without
	// a turn of the controller.
	next := r.pick()
	switch {
	case next == a:
		r.enter(a)
		return
	case next != nil && next.tick == 0:
		r.resume(next)
	default:
		r.chosen = next
	}
	<-a.release
	a.wants = nil
}

// after is the yield behind an operation that may have waited. a need not be
// the current actor any more.
func (r *run) after(a *actor, label string) {
	r.synchronise()
	a.wants, a.at = nil, label
	a.parked = true
	r.wait(a)
}

func (r *run) wait(a *actor) {
	select {
	case r.arrived <- struct{}{}:
	default:
	}
	<-a.release
	a.wants = nil
}

func (r *run) enter(a *actor) {
	a.parked = false
	r.current = a
	if r.tracing {
		r.trace = append(r.trace, step{a.name, a.at})
	}
}

func (r *run) resume(a *actor) {
	r.enter(a)
	a.release <- struct{}{}
}

// pick chooses who goes on, or nil if nobody can.
func (r *run) pick() *actor {
	r.options = r.options[:0]
	current := r.current
	preempting := current != nil && current.parked && r.enabled(current)
	if preempting {
		r.options = append(r.options, current)
	}
	for _, a := range r.actors {
		if a != current && a.parked && r.enabled(a) {
			r.options = append(r.options, a)
		}
	}
	r.steps++
	beat.Add(1)
	switch {
	case len(r.options) == 0:
		return nil
	case r.steps > maxSteps:
		r.fail(fmt.Sprintf("%s %d steps", NoEnd, maxSteps))
		return nil
	case len(r.options) == 1:
		return r.options[0]
	}
	i, err := r.plan.actor(r.options, preempting)
	if err != nil {
		r.lose(err)
		return nil
	}
	return r.options[i]
}

func (r *run) enabled(a *actor) bool { return a.wants == nil || !r.held[a.wants] }

func (r *run) fail(why string) {
	if r.failure == "" {
		r.failure = why
	}
}

// choose picks one of n ways in which an operation may go.
func (r *run) choose(n int) int {
	i, err := r.plan.pick(n)
	if err != nil {
		r.lose(err)
		return 0
	}
	return i
}

// lose ends the schedule because the plan does not fit it.
func (r *run) lose(err error) {
	if r.failure == "" {
		r.failure, r.lost = err.Error(), true
	}
}

// send tells that so many more wait to send on the unbuffered channel ch.
func (r *run) send(ch uintptr, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sending[ch] += n
}

// sends tells whether somebody waits to send on the unbuffered channel ch.
func (r *run) sends(ch uintptr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sending[ch] > 0
}

// control runs the schedule to its end, on the goroutine that made the bubble.
func (r *run) control() {
	// Made here, because what a bubble waits for must be of the bubble.
	r.arrived = make(chan struct{}, 1)
	for {
		synctest.Wait()
		r.stirred = false
		if r.failure != "" || r.finished() {
			return
		}
		next := r.chosen
		r.chosen = nil
		if next == nil {
			next = r.pick()
		}
		switch {
		case r.failure != "":
			return
		case next == nil:
			r.idle()
		case next.tick != 0:
			r.enter(next)
			next.done = true
			r.synchronise()
			time.Sleep(next.tick)
		default:
			r.resume(next)
		}
	}
}

// synchronise orders what the controller has looked at before what those do whom time
// wakes.
func (r *run) synchronise() { r.order.Add(1) }

// idle lets time pass until somebody has something to do. Whoever wakes then, it is
// nobody's preemption that another goes on before.
func (r *run) idle() {
	r.current = nil
	r.synchronise()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-r.arrived:
	case <-t.C:
		r.fail(r.deadlock())
	}
}

func (r *run) finished() bool {
	for _, a := range r.actors {
		if !a.done && (a.tick != 0 || a.parked || a.at != dormant) {
			return false
		}
	}
	return true
}

func (r *run) deadlock() string {
	var b strings.Builder
	b.WriteString("deadlock: nobody can go on")
	for _, a := range r.actors {
		if a.done || a.at == dormant {
			continue
		}
		how := "blocked in"
		if a.parked {
			how = "waits for the lock at"
		}
		fmt.Fprintf(&b, "\n\t%s %s %s", a.name, how, a.at)
	}
	return b.String()
}
