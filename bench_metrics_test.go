package broadcast_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/prometheus/client_golang/prometheus"
)

// BenchmarkPairCollector publishes to n channels that always have room, to a hub
// without a collector and to one with.
func BenchmarkPairCollector(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("subs=%d", n), func(b *testing.B) {
			pair(b, "publish", roomHub(n, broadcast.Block), roomHubCollected(n))
		})
	}
}

func roomHubCollected(n int, opts ...broadcast.CollectorOption) side {
	ctx := context.Background()
	hub := broadcast.New[benchEvent](benchBuffer, broadcast.Block)
	broadcast.NewCollector("bench", hub, opts...)
	return inBuffers(benchSubs(n, hub), 1, func(int) {
		var event benchEvent
		_ = hub.Publish(ctx, event)
	})
}

// BenchmarkCollect scrapes a hub with 10,000 live subscriptions.
func BenchmarkCollect(b *testing.B) {
	for _, named := range []bool{false, true} {
		b.Run(fmt.Sprintf("subs=10000/named=%t", named), func(b *testing.B) {
			hub, reg := benchCollected(b, 10_000, named)
			_ = hub.Publish(b.Context(), benchEvent{})
			var times []float64
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				if _, err := reg.Gather(); err != nil {
					b.Fatal(err)
				}
				times = append(times, float64(time.Since(start).Microseconds()))
			}
			b.ReportMetric(median(times), "us/scrape")
		})
	}
}

// BenchmarkCollectDelay publishes to a hub with 10,000 subscriptions, all full,
// while nobody and then somebody scrapes it, fifty times a second. It reports the
// slowest of 200 publishes, in which about two scrapes fall, as the median of all
// rounds and the worst. (A scrape in a loop would measure the scheduler: it and
// the garbage collector then want more cores than there are.)
func BenchmarkCollectDelay(b *testing.B) {
	for _, scraping := range []bool{false, true} {
		b.Run(fmt.Sprintf("subs=10000/scraping=%t", scraping), func(b *testing.B) {
			hub, reg := benchCollected(b, 10_000, false)
			ctx, done := context.WithCancel(b.Context())
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				tick := time.NewTicker(20 * time.Millisecond)
				defer tick.Stop()
				for scraping {
					select {
					case <-tick.C:
						_, _ = reg.Gather()
					case <-ctx.Done():
						return
					}
				}
			}()
			const publishes = 200
			var slowest, middle []float64
			for b.Loop() {
				var times []float64
				for range publishes {
					start := time.Now()
					_ = hub.Publish(ctx, benchEvent{})
					times = append(times, float64(time.Since(start).Microseconds()))
				}
				slowest = append(slowest, slices.Max(times))
				middle = append(middle, median(times))
			}
			done()
			<-stopped
			b.ReportMetric(0, "ns/op") // of so many publishes: says nothing
			b.ReportMetric(median(middle), "us/publish")
			b.ReportMetric(median(slowest), "us/slowest")
			b.ReportMetric(slices.Max(slowest), "us/slowest-of-all")
		})
	}
}

func benchCollected(b *testing.B, n int, named bool) (*broadcast.Hub[benchEvent], *prometheus.Registry) {
	hub := broadcast.New[benchEvent](1, broadcast.DropNewest)
	b.Cleanup(hub.Close)
	for i := range n {
		var opts []broadcast.SubscribeOption
		if named {
			opts = append(opts, broadcast.WithName(fmt.Sprintf("subscription-%d", i)))
		}
		hub.Subscribe(opts...)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(broadcast.NewCollector("bench", hub))
	return hub, reg
}
