package work

import (
	"runtime"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
)

// memory is what an idle subscriber costs: heap, stacks, goroutines, those included in
// which it takes its events. It has taken one event, so that nothing is put off.
func memory(j Job, p peer.Peer) Result {
	bus := p.New(peer.Config{Buffer: j.Buffer})
	first := newCrew(bus, 1)
	if r := first.run(1, 1, j.Pace.Patience, 1); r.outcome != OK {
		return Result{Outcome: r.outcome, Detail: r.detail}
	}
	n := float64(j.Subscribers)
	silent := make([]silent, j.Subscribers) // not part of what is counted
	goroutines := runtime.NumGoroutine()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range silent {
		bus.Subscribe(silent[i].take)
	}
	first.expect(1, 1)
	if err := bus.Publish(newEvent(1, 0)); err != nil {
		return Result{Outcome: Failed, Detail: "Publish: " + err.Error()}
	}
	first.wait(j.Pace.Patience)
	settle()
	runtime.GC()
	runtime.ReadMemStats(&after)
	values := map[string]float64{
		HeapBytes:  max(0, float64(after.HeapAlloc)-float64(before.HeapAlloc)) / n,
		StackBytes: max(0, float64(after.StackInuse)-float64(before.StackInuse)) / n,
		Goroutines: float64(runtime.NumGoroutine()-goroutines) / n,
	}
	runtime.KeepAlive(silent)
	return Result{Values: values}
}

// silent takes an event and does nothing with it.
type silent struct{ got uint64 }

func (s *silent) take(peer.Event) { s.got++ }
