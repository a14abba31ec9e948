package broadcast_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
)

func coalescingOf(keys, crowd int) (*broadcast.CoalescingHub[int, benchEvent], []*broadcast.CoalescingSubscription[int, benchEvent]) {
	hub := broadcast.NewCoalescing[int, benchEvent]()
	for k := range keys {
		_ = hub.Publish(k, benchEvent{})
	}
	subs := make([]*broadcast.CoalescingSubscription[int, benchEvent], crowd)
	for i := range subs {
		subs[i] = hub.Subscribe()
	}
	return hub, subs
}

// publishOver publishes ops values over all keys.
func publishOver(hub *broadcast.CoalescingHub[int, benchEvent], keys int) side {
	return func(ops int) time.Duration {
		start := time.Now()
		for i := range ops {
			_ = hub.Publish(i%keys, benchEvent{Seq: uint64(i)})
		}
		return time.Since(start)
	}
}

// BenchmarkPairCoalescingCrowd is a publish to many subscribers that do not
// read, against one to a single one. That must cost the same.
func BenchmarkPairCoalescingCrowd(b *testing.B) {
	for _, keys := range []int{1, 10_000} {
		for _, crowd := range []int{1000, 10_000} {
			b.Run(fmt.Sprintf("keys=%d/N=%d", keys, crowd), func(b *testing.B) {
				one, _ := coalescingOf(keys, 1)
				many, _ := coalescingOf(keys, crowd)
				defer one.Close()
				defer many.Close()
				pair(b, "publish", publishOver(one, keys), publishOver(many, keys))
			})
		}
	}
}

// BenchmarkCoalescingPublish is what a publish costs by itself.
func BenchmarkCoalescingPublish(b *testing.B) {
	for _, keys := range []int{1, 100, 10_000} {
		for _, crowd := range []int{1, 10_000} {
			b.Run(fmt.Sprintf("keys=%d/N=%d", keys, crowd), func(b *testing.B) {
				hub, _ := coalescingOf(keys, crowd)
				defer hub.Close()
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					_ = hub.Publish(i%keys, benchEvent{})
					i++
				}
			})
		}
	}
}

// BenchmarkPairCoalescingDirty is a wake-up with ten changed keys among 10,000,
// against one among ten: a subscriber must pay for what is dirty only.
func BenchmarkPairCoalescingDirty(b *testing.B) {
	const dirty = 10
	wake := func(keys int) side {
		hub, subs := coalescingOf(keys, 1)
		b.Cleanup(hub.Close)
		dst := make([]broadcast.Update[int, benchEvent], keys)
		_, _ = subs[0].ReadBatch(bg, dst) // the state that it starts with
		at := 0
		return func(ops int) (took time.Duration) {
			for range ops {
				for range dirty {
					at = (at + 7919) % keys
					_ = hub.Publish(at, benchEvent{})
				}
				start := time.Now()
				n := 0
				for subs[0].Stats().Len > 0 {
					m, _ := subs[0].ReadBatch(bg, dst)
					n += m
				}
				took += time.Since(start)
				if n == 0 {
					panic("nothing was dirty")
				}
			}
			return took
		}
	}
	pair(b, "wake", wake(dirty), wake(10_000))
}

// BenchmarkCoalescingDeliver is one update of a pass over all keys.
func BenchmarkCoalescingDeliver(b *testing.B) {
	const keys = 10_000
	for _, how := range []string{"Next", "ReadBatch"} {
		b.Run(how, func(b *testing.B) {
			hub, subs := coalescingOf(keys, 1)
			defer hub.Close()
			dst := make([]broadcast.Update[int, benchEvent], 100)
			n, took := 0, time.Duration(0)
			for b.Loop() {
				for k := range keys {
					_ = hub.Publish(k, benchEvent{})
				}
				start := time.Now()
				for subs[0].Stats().Len > 0 {
					if how == "Next" {
						_, _ = subs[0].Next(bg)
						n++
						continue
					}
					m, _ := subs[0].ReadBatch(bg, dst)
					n += m
				}
				took += time.Since(start)
			}
			b.ReportMetric(0, "ns/op") // of a pass, with the publishes
			b.ReportMetric(float64(took.Nanoseconds())/float64(n), "ns/delivery")
		})
	}
}
