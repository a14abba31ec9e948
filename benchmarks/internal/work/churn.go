package work

import (
	"runtime"
	"time"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
)

// churnEvery is the time from one pair of subscribing and unsubscribing to the next: as
// for a server with a thousand connections a second. A churn without a pause would be as
// fast as the peer lets it, and what it takes from the others could not be compared.
const churnEvery = time.Millisecond

// churn subscribes and unsubscribes while events are published to others, who must not
// lose any.
func churn(j Job, p peer.Peer) Result {
	bus := p.New(peer.Config{Buffer: j.Buffer})
	c := newCrew(bus, j.Subscribers)
	events, without := c.calibrate(1, j, p.Bounds)
	if without.outcome == OK {
		without = c.steady(events, j.Pace.Patience)
	}
	if without.outcome != OK {
		return Result{Outcome: without.outcome, Detail: without.detail}
	}
	goroutines := runtime.NumGoroutine()
	stop, pairs := make(chan struct{}), make(chan []float64, 1)
	go func() { pairs <- comeAndGo(bus, stop) }()
	with := c.steady(events, j.Pace.Patience)
	close(stop)
	if with.outcome != OK {
		return Result{Outcome: with.outcome, Detail: with.detail}
	}
	var took []float64
	select {
	case took = <-pairs:
	case <-time.After(j.Pace.Patience):
		return Result{Outcome: Stalled, Detail: "unsubscribing does not return"}
	}
	settle()
	return Result{Values: map[string]float64{
		PairNanos: median(took),
		Kept:      float64(without.took) / float64(with.took),
		LeftOver:  max(0, float64(runtime.NumGoroutine()-goroutines)) * 1000 / float64(len(took)),
	}}
}

// comeAndGo subscribes and unsubscribes until stop is closed, at least once, and returns
// how long each pair took.
func comeAndGo(bus peer.Bus, stop <-chan struct{}) (took []float64) {
	next := time.NewTicker(churnEvery)
	defer next.Stop()
	for {
		began := time.Now()
		bus.Subscribe(func(peer.Event) {})()
		took = append(took, float64(time.Since(began).Nanoseconds()))
		select {
		case <-stop:
			return took
		case <-next.C:
		}
	}
}
