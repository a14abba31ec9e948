package work

import (
	"runtime/metrics"
	"slices"
	"time"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
)

// parked publishes one event at a time to subscribers that all wait for one: how long
// the publish occupies its caller, and how long it takes until the last one has it.
func parked(j Job, p peer.Peer) Result {
	const fewest, most = 5, 300
	c := newCrew(p.New(peer.Config{Buffer: j.Buffer}), j.Subscribers)
	var publish, last []float64
	for end := time.Now().Add(2 * j.Pace.Round); len(last) < fewest || time.Now().Before(end) && len(last) < most; {
		c.expect(1, 1)
		settle()
		began := time.Now()
		if err := c.bus.Publish(newEvent(1, 0)); err != nil {
			return Result{Outcome: Failed, Detail: "Publish: " + err.Error()}
		}
		returned := time.Since(began)
		if !c.wait(j.Pace.Patience) {
			return Result{Outcome: Lost, Detail: "not every parked subscriber got the event"}
		}
		if outcome, detail, _ := c.verify(1, 1); outcome != OK {
			return Result{Outcome: outcome, Detail: detail}
		}
		publish = append(publish, float64(returned.Nanoseconds()))
		last = append(last, float64(c.finished.Sub(began).Nanoseconds()))
	}
	// The first ones pay for what is there later.
	warm := len(last) / 4
	return Result{Values: map[string]float64{PublishNanos: median(publish[warm:]), LastNanos: median(last[warm:])}}
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return x[len(x)/2]
}

// settle waits until no goroutine but the caller's runs or could run, as the scheduler
// sees it. A peer with a goroutine that never rests ends it too, after a while.
func settle() {
	sample := []metrics.Sample{
		{Name: "/sched/goroutines/runnable:goroutines"},
		{Name: "/sched/goroutines/running:goroutines"},
	}
	for looks, idle := 0, 0; looks < 400 && idle < 2; looks++ {
		time.Sleep(50 * time.Microsecond)
		metrics.Read(sample)
		if sample[0].Value.Uint64() == 0 && sample[1].Value.Uint64() <= 1 {
			idle++
		} else {
			idle = 0
		}
	}
}
