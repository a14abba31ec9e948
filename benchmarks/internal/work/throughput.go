package work

import (
	"runtime"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
)

// throughput is how long an event takes until all subscribers have it, where one comes
// after the other without a pause.
func throughput(j Job, p peer.Peer) Result {
	return stream(j, p, newCrew(p.New(peer.Config{Buffer: j.Buffer}), j.Subscribers))
}

// counted is throughput where subscribers only count, so that less of the time is theirs.
func counted(j Job, p peer.Peer) Result {
	return stream(j, p, newCounters(p.New(peer.Config{Buffer: j.Buffer}), j.Subscribers))
}

func stream(j Job, p peer.Peer, c *crew) Result {
	publishers := max(1, j.Publishers)
	events, r := c.calibrate(publishers, j, p.Bounds)
	if r.outcome == OK {
		runtime.GC()
		r = c.run(publishers, events, j.Pace.Patience, coarse)
	}
	if r.outcome != OK {
		return Result{Outcome: r.outcome, Detail: r.detail}
	}
	values := map[string]float64{
		EventNanos: float64(r.took.Nanoseconds()) / float64(events),
		Events:     float64(events),
	}
	if publishers > 1 && r.oneOrder {
		values[CommonOrder] = 1
	}
	return Result{Values: values}
}
