package work

import (
	"fmt"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
)

// recorder keeps latencies.
type recorder interface{ record(nanos int64) }

const (
	shortest = int64(time.Microsecond / 10)
	longest  = int64(time.Minute)
)

type histogram struct{ *hdrhistogram.Histogram }

func (h histogram) record(nanos int64) { _ = h.RecordValue(min(max(nanos, shortest), longest)) }

// quantiles are those that a curve is drawn from.
var quantiles = []float64{0, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 100}

// latency publishes at a fixed rate. An event's latency counts from when it was due, also
// where a publish before it took too long: what that delays is not left out.
func latency(j Job, p peer.Peer) Result {
	c := newCrew(p.New(peer.Config{Buffer: j.Buffer}), j.Subscribers)
	if r := c.run(1, uint64(j.Buffer), j.Pace.Patience, 1); r.outcome != OK { // warm
		return Result{Outcome: r.outcome, Detail: r.detail}
	}
	for _, s := range c.subs {
		s.latency = histogram{hdrhistogram.New(shortest, longest, 2)}
	}
	events := max(1, uint64(j.Pace.Hold.Seconds()*float64(j.Pace.Rate)))
	c.expect(events, 1)
	c.clock = time.Now()
	returned := make(chan error, 1)
	go func() { returned <- c.pace(events, time.Second/time.Duration(j.Pace.Rate), c.spin) }()
	if !c.wait(j.Pace.Patience) {
		return Result{Outcome: Stalled, Detail: fmt.Sprintf("a subscriber has %d of %d events", c.least(), events)}
	}
	if err := <-returned; err != nil {
		return Result{Outcome: Failed, Detail: "Publish: " + err.Error()}
	}
	outcome, detail, _ := c.verify(1, events)
	sum := hdrhistogram.New(shortest, longest, 2)
	for _, s := range c.subs {
		sum.Merge(s.latency.(histogram).Histogram)
	}
	r := Result{Outcome: outcome, Detail: detail, Values: map[string]float64{
		MaxNanos: float64(sum.Max()),
		Achieved: float64(events) / c.finished.Sub(c.clock).Seconds(),
	}}
	for _, q := range quantiles {
		r.Curve = append(r.Curve, Point{q, sum.ValueAtPercentile(q)})
	}
	return r
}

// pace publishes one event each time that one is due; wait waits for that. It never skips
// one: after a delay it publishes without a pause until it has caught up.
func (c *crew) pace(events uint64, every time.Duration, wait func(due time.Duration)) error {
	for seq := range events {
		due := time.Duration(seq) * every
		wait(due)
		e := newEvent(seq+1, 0)
		e.Due = due.Nanoseconds()
		if err := c.bus.Publish(e); err != nil {
			return err
		}
	}
	return nil
}

// spin waits until due, and lets others run meanwhile. A sleep in a program that is idle
// else is late by up to a millisecond, which would be most of what is measured.
func (c *crew) spin(due time.Duration) {
	for time.Since(c.clock) < due {
		runtime.Gosched()
	}
}
