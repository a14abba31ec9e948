package broadcast_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
)

// benchEvent has the size that every figure of the README is for.
type benchEvent struct {
	Seq uint64
	_   [56]byte
}

// pairRounds is how often the two sides of a comparison take turns.
const pairRounds = 9

// side is one of the two that are compared: it does ops operations and returns
// how long these took, without what prepares and ends them.
type side func(ops int) time.Duration

// pair measures plain and ours in turns, in one run, so that a machine whose
// speed drifts changes both, and reports the median of the ratios round by
// round with their smallest and largest, and the median cost of each side.
// A ratio below 1 means that ours is faster.
func pair(b *testing.B, unit string, plain, ours side) {
	b.Helper()
	pairFrom(b, unit, 1, plain, ours)
}

// pairFrom is pair with at least so many operations.
func pairFrom(b *testing.B, unit string, ops int, plain, ours side) {
	b.Helper()
	for took, all := time.Duration(0), time.Duration(0); took < 20*time.Millisecond && all < 200*time.Millisecond; ops *= 2 {
		began := time.Now()
		took = plain(ops)
		all = time.Since(began) // with what prepares and ends it
	}
	ours(ops) // warm
	var plains, ourss, ratios []float64
	for b.Loop() {
		for range pairRounds {
			p, o := plain(ops), ours(ops)
			plains = append(plains, float64(p.Nanoseconds())/float64(ops))
			ourss = append(ourss, float64(o.Nanoseconds())/float64(ops))
			ratios = append(ratios, float64(o)/float64(p))
		}
	}
	b.ReportMetric(0, "ns/op") // of a round: says nothing
	b.ReportMetric(median(plains), "plain-ns/"+unit)
	b.ReportMetric(median(ourss), "ours-ns/"+unit)
	b.ReportMetric(median(ourss)-median(plains), "extra-ns/"+unit)
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(slices.Min(ratios), "ratio-min")
	b.ReportMetric(slices.Max(ratios), "ratio-max")
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return x[len(x)/2]
}

// BenchmarkPairRoom publishes to n channels that always have room, beside the
// loop that a service would write by hand. The buffers are emptied outside of
// the time that counts.
func BenchmarkPairRoom(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000, 10000} {
		b.Run(fmt.Sprintf("subs=%d", n), func(b *testing.B) {
			pair(b, "publish", roomLoop(n), roomHub(n, broadcast.Block))
		})
	}
}

// BenchmarkPairPolicyRoom is the same for each policy: with room all cost the
// same, but for a policy of the user's own nothing is asked either.
func BenchmarkPairPolicyRoom(b *testing.B) {
	for name, policy := range benchPolicies() {
		b.Run(fmt.Sprintf("policy=%s/subs=100", name), func(b *testing.B) {
			pair(b, "publish", roomLoop(100), roomHub(100, policy))
		})
	}
}

// BenchmarkPairPolicyFull publishes to n channels that are all full, beside the
// loops that a service would write by hand: a select with a default, which
// loses without counting, and that with a receive before it.
func BenchmarkPairPolicyFull(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000, 10000} {
		b.Run(fmt.Sprintf("policy=DropNewest/subs=%d", n), func(b *testing.B) {
			pair(b, "publish", fullLoop(n, sendOrDrop), fullHub(n, broadcast.DropNewest))
		})
		b.Run(fmt.Sprintf("policy=DropOldest/subs=%d", n), func(b *testing.B) {
			pair(b, "publish", fullLoop(n, sendOrDisplace), fullHub(n, broadcast.DropOldest))
		})
		b.Run(fmt.Sprintf("policy=PolicyFunc/subs=%d", n), func(b *testing.B) {
			dropNewest := broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { return broadcast.DropNewest })
			pair(b, "publish", fullLoop(n, sendOrDrop), fullHub(n, dropNewest))
		})
	}
}

// BenchmarkPairFilter publishes to n subscriptions with room that filter half
// of the events away, beside a loop that asks the same function.
func BenchmarkPairFilter(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("subs=%d", n), func(b *testing.B) {
			keep := func(e benchEvent) bool { return e.Seq%2 == 0 }
			chans := benchChans(n)
			hub := broadcast.New[benchEvent](benchBuffer, broadcast.Block)
			b.Cleanup(hub.Close)
			pair(b, "publish", inBuffers(chans, 2, func(i int) {
				event := benchEvent{Seq: uint64(i)}
				for _, ch := range chans {
					if keep(event) {
						ch <- event
					}
				}
			}), inBuffers(benchSubs(n, hub, broadcast.WithFilter(keep)), 2, func(i int) {
				_ = hub.Publish(b.Context(), benchEvent{Seq: uint64(i)})
			}))
		})
	}
}

// BenchmarkPairLossless publishes to n receivers that run, and ends when all
// have received everything.
func BenchmarkPairLossless(b *testing.B) {
	for _, buffer := range []int{16, 64, 1024} {
		for _, n := range []int{1, 2, 10, 100, 1000, 10000} {
			if n*buffer > 1_000_000 {
				continue
			}
			b.Run(fmt.Sprintf("buffer=%d/subs=%d", buffer, n), func(b *testing.B) {
				pair(b, "publish", losslessLoop(1, buffer, n), losslessHub(1, buffer, n))
			})
		}
	}
}

// BenchmarkPairPublishers is the same with several publishers. The loop gives
// its receivers no common order; the hub does.
func BenchmarkPairPublishers(b *testing.B) {
	for _, publishers := range []int{1, 2, 4, 8} {
		for _, n := range []int{1, 10, 100, 1000} {
			b.Run(fmt.Sprintf("publishers=%d/subs=%d", publishers, n), func(b *testing.B) {
				pair(b, "publish", losslessLoop(publishers, benchBuffer, n), losslessHub(publishers, benchBuffer, n))
			})
		}
	}
}

// BenchmarkPairStuck publishes to 99 receivers that run, beside the same with
// one more that is stuck. Block is left out of it: there, waiting is the point.
func BenchmarkPairStuck(b *testing.B) {
	for _, policy := range []broadcast.Action{broadcast.DropNewest, broadcast.DropOldest, broadcast.Eject} {
		b.Run(fmt.Sprintf("policy=%v/subs=100", policy), func(b *testing.B) {
			pair(b, "publish", stuckHub(b, 0, policy), stuckHub(b, 1, policy))
		})
	}
}

// BenchmarkPairSubscribe makes subscriptions and closes them while n others are
// live, beside channels in a map behind a mutex.
func BenchmarkPairSubscribe(b *testing.B) {
	for _, n := range []int{0, 1000, 100_000} {
		b.Run(fmt.Sprintf("live=%d", n), func(b *testing.B) {
			var mu sync.Mutex
			subs := map[chan benchEvent]struct{}{}
			hub := broadcast.New[benchEvent](benchBuffer, broadcast.Block)
			b.Cleanup(hub.Close)
			for range n {
				// The live ones have no buffer: they are not what is measured.
				subs[make(chan benchEvent)] = struct{}{}
				hub.Subscribe(broadcast.WithBuffer(0))
			}
			pair(b, "pair", timed(func() {
				ch := make(chan benchEvent, benchBuffer)
				mu.Lock()
				subs[ch] = struct{}{}
				mu.Unlock()
				mu.Lock()
				delete(subs, ch)
				mu.Unlock()
				close(ch)
			}), timed(func() {
				hub.Subscribe().Close()
			}))
		})
	}
}

// BenchmarkMemory reports what a subscription costs beside its channel.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		chans := make([]chan benchEvent, n)
		bare := allocated(func() {
			for i := range chans {
				chans[i] = make(chan benchEvent, 1)
			}
		})
		hub := broadcast.New[benchEvent](1, broadcast.Block)
		subs := make([]*broadcast.Subscription[benchEvent], n)
		all := allocated(func() {
			for i := range subs {
				subs[i] = hub.Subscribe()
			}
		})
		b.ReportMetric(float64(all-bare)/n, "B/subscription")
		runtime.KeepAlive(chans)
		hub.Close()
	}
}

// BenchmarkStats reads the counts of a hub with n live subscriptions.
func BenchmarkStats(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		hub := broadcast.New[benchEvent](1, broadcast.Block)
		for range n {
			hub.Subscribe()
		}
		b.Run(fmt.Sprintf("hub/subs=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				hub.Stats()
			}
		})
		b.Run(fmt.Sprintf("all/subs=%d", n), func(b *testing.B) {
			for b.Loop() {
				for range hub.Subscriptions() {
				}
			}
		})
		hub.Close()
	}
}

const benchBuffer = 64

func benchPolicies() map[string]broadcast.Policy {
	return map[string]broadcast.Policy{
		"Block":      broadcast.Block,
		"DropNewest": broadcast.DropNewest,
		"DropOldest": broadcast.DropOldest,
		"Eject":      broadcast.Eject,
		"BlockFor":   broadcast.BlockFor(time.Second, broadcast.Eject),
		"PolicyFunc": broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { return broadcast.DropOldest }),
	}
}

func benchChans(n int) []chan benchEvent {
	chans := make([]chan benchEvent, n)
	for i := range chans {
		chans[i] = make(chan benchEvent, benchBuffer)
	}
	return chans
}

func benchSubs(n int, hub *broadcast.Hub[benchEvent], opts ...broadcast.SubscribeOption) []<-chan benchEvent {
	subs := make([]<-chan benchEvent, n)
	for i := range subs {
		subs[i] = hub.Subscribe(opts...).C()
	}
	// The order in which a publish goes over them, so that draining leaves the
	// caches as it does for the loop.
	slices.Reverse(subs)
	return subs
}

// inBuffers runs publish and empties the buffers whenever they are full, where
// one of every that publishes is buffered.
func inBuffers[C ~chan benchEvent | ~<-chan benchEvent](chans []C, every int, publish func(i int)) side {
	return func(ops int) (took time.Duration) {
		for ops > 0 {
			n := min(ops, every*benchBuffer)
			ops -= n
			start := time.Now()
			for i := range n {
				publish(i)
			}
			took += time.Since(start)
			for _, ch := range chans {
				for range (n + every - 1) / every {
					<-ch
				}
			}
		}
		return took
	}
}

func roomLoop(n int) side {
	chans := benchChans(n)
	return inBuffers(chans, 1, func(int) {
		var event benchEvent
		for _, ch := range chans {
			ch <- event
		}
	})
}

func roomHub(n int, policy broadcast.Policy) side {
	ctx := context.Background()
	hub := broadcast.New[benchEvent](benchBuffer, policy)
	return inBuffers(benchSubs(n, hub), 1, func(int) {
		var event benchEvent
		_ = hub.Publish(ctx, event)
	})
}

func sendOrDrop(ch chan benchEvent, event benchEvent) {
	select {
	case ch <- event:
	default:
	}
}

func sendOrDisplace(ch chan benchEvent, event benchEvent) {
	select {
	case ch <- event:
	default:
		<-ch
		ch <- event
	}
}

func fullLoop(n int, send func(chan benchEvent, benchEvent)) side {
	chans := benchChans(n)
	for _, ch := range chans {
		for range benchBuffer {
			ch <- benchEvent{}
		}
	}
	return timed(func() {
		for _, ch := range chans {
			send(ch, benchEvent{})
		}
	})
}

func fullHub(n int, policy broadcast.Policy) side {
	ctx := context.Background()
	hub := broadcast.New[benchEvent](benchBuffer, policy)
	benchSubs(n, hub)
	for range benchBuffer {
		_ = hub.Publish(ctx, benchEvent{})
	}
	return timed(func() { _ = hub.Publish(ctx, benchEvent{}) })
}

func timed(op func()) side {
	return func(ops int) time.Duration {
		start := time.Now()
		for range ops {
			op()
		}
		return time.Since(start)
	}
}

func losslessLoop(publishers, buffer, n int) side {
	return func(ops int) time.Duration {
		chans := make([]chan benchEvent, n)
		var up, receivers sync.WaitGroup
		up.Add(n)
		for i := range chans {
			chans[i] = make(chan benchEvent, buffer)
			receivers.Go(func() {
				up.Done()
				receive(chans[i])
			})
		}
		up.Wait() // to begin is no part of it
		start := time.Now()
		concurrently(publishers, ops, func(event benchEvent) {
			for _, ch := range chans {
				ch <- event
			}
		})
		for _, ch := range chans {
			close(ch)
		}
		receivers.Wait()
		return time.Since(start)
	}
}

func losslessHub(publishers, buffer, n int) side {
	ctx := context.Background()
	return func(ops int) time.Duration {
		hub := broadcast.New[benchEvent](buffer, broadcast.Block)
		var up, receivers sync.WaitGroup
		up.Add(n)
		for range n {
			sub := hub.Subscribe()
			receivers.Go(func() {
				up.Done()
				receive(sub.C())
			})
		}
		up.Wait()
		start := time.Now()
		concurrently(publishers, ops, func(event benchEvent) {
			_ = hub.Publish(ctx, event)
		})
		hub.Close()
		receivers.Wait()
		return time.Since(start)
	}
}

// concurrently calls publish ops times, shared out among so many goroutines.
func concurrently(publishers, ops int, publish func(benchEvent)) {
	var running sync.WaitGroup
	for p := range publishers {
		running.Go(func() {
			for i := p; i < ops; i += publishers {
				publish(benchEvent{Seq: uint64(i)})
			}
		})
	}
	running.Wait()
}

// stuckHub publishes to 99 Block receivers that run and to stuck ones that
// never receive. It fails unless everything arrived and every loss is counted.
func stuckHub(b *testing.B, stuck int, policy broadcast.Policy) side {
	ctx := context.Background()
	return func(ops int) time.Duration {
		hub := broadcast.New[benchEvent](benchBuffer, broadcast.Block)
		var receivers sync.WaitGroup
		var received atomic.Int64
		for range 99 {
			sub := hub.Subscribe()
			receivers.Go(func() {
				n := int64(0)
				for range sub.C() {
					n++
				}
				received.Add(n)
			})
		}
		for range stuck {
			hub.Subscribe(broadcast.WithPolicy(policy))
		}
		start := time.Now()
		concurrently(1, ops, func(event benchEvent) {
			_ = hub.Publish(ctx, event)
		})
		hub.Close()
		receivers.Wait()
		took := time.Since(start)
		if want := int64(99 * ops); received.Load() != want {
			b.Errorf("99 receivers got %d events, want %d", received.Load(), want)
		}
		lost := uint64(stuck) * uint64(max(0, ops-benchBuffer))
		if policy == broadcast.Policy(broadcast.Eject) {
			lost = min(lost, uint64(stuck))
		}
		if got := hub.Stats().Dropped; got != lost {
			b.Errorf("%d drops counted, want %d", got, lost)
		}
		return took
	}
}

func receive(ch <-chan benchEvent) (sum uint64) {
	for event := range ch {
		sum += event.Seq
	}
	return sum
}

// allocated returns how much the heap has grown by what fn keeps.
func allocated(fn func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	fn()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}
