package work

import (
	"fmt"
	"runtime"
	"time"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
)

// stuck adds one subscriber that takes a single event and never returns from it, and
// looks what all others get. Whoever has a way of its own to have one that may not hold
// up the others uses it for that one.
func stuck(j Job, p peer.Peer) Result {
	bus := p.New(peer.Config{Buffer: j.Buffer, Stuck: true})
	c := newCrew(bus, j.Subscribers-1)
	events, without := c.calibrate(1, j, p.Bounds)
	if without.outcome == OK {
		without = c.steady(events, j.Pace.Patience)
	}
	if without.outcome != OK {
		return Result{Outcome: without.outcome, Detail: without.detail}
	}
	subscribe := bus.Subscribe
	if isolator, ok := bus.(peer.Isolator); ok {
		subscribe = isolator.SubscribeIsolated
	}
	never := make(chan struct{})
	subscribe(func(peer.Event) { <-never })
	before := heap()
	done := make(chan round)
	began := time.Now()
	go func() { done <- c.run(1, events, j.Pace.Patience, 1) }()
	// One that crawls is not waited for.
	enough := time.NewTimer(20*j.Pace.Round + 2*j.Pace.Patience)
	defer enough.Stop()
	var with round
	select {
	case with = <-done:
	case <-enough.C:
		with = round{took: time.Since(began), outcome: Crawled}
	}
	got := min(c.least(), events)
	values := map[string]float64{Got: float64(got)}
	switch {
	case with.outcome == OK:
		values[Kept] = without.took.Seconds() / with.took.Seconds()
		values[HeldBytes] = max(0, heap()-before) / float64(events)
	case with.outcome == Crawled:
		values[Kept] = float64(got) / float64(events) * without.took.Seconds() / with.took.Seconds()
		with.detail = fmt.Sprintf("%d of %d events in %.1f s", got, events, with.took.Seconds())
	case with.outcome == Stalled:
		values[Kept] = 0
		with.detail = fmt.Sprintf("%d of %d events, then nothing", got, events)
	}
	return Result{Outcome: with.outcome, Detail: with.detail, Values: values}
}

// heap is how much of it is in use.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
