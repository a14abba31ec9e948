package broadcast_test

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
)

// BenchmarkPairSizes publishes events of different sizes to one reader with ReadBatch,
// beside a channel of as many slots. Both have held events before.
func BenchmarkPairSizes(b *testing.B) {
	b.Run("bytes=8", func(b *testing.B) { pairOf[[1]uint64](b, nil) })
	b.Run("bytes=64", func(b *testing.B) { pairOf[[8]uint64](b, nil) })
	b.Run("bytes=256", func(b *testing.B) { pairOf[[32]uint64](b, nil) })
	b.Run("bytes=1024", func(b *testing.B) { pairOf[[128]uint64](b, nil) })
	b.Run("bytes=4096", func(b *testing.B) { pairOf[[512]uint64](b, nil) })
	b.Run("pointer", func(b *testing.B) { pairOf(b, func() *benchEvent { return new(benchEvent) }) })
}

// pairOf publishes what fresh returns, or always the same event, which is not zero.
func pairOf[T any](b *testing.B, fresh func() T) {
	const slots = 1024
	if fresh == nil {
		var event T
		for words, i := reflect.ValueOf(&event).Elem(), 0; i < words.Len(); i++ {
			words.Index(i).SetUint(uint64(i) + 1)
		}
		fresh = func() T { return event }
	}
	pair(b, "publish", func(ops int) time.Duration {
		ch := make(chan T, slots)
		for range slots {
			ch <- fresh()
		}
		for range slots {
			<-ch
		}
		return withOne(b, ops, func() { ch <- fresh() }, func() { close(ch) }, func() (got int) {
			for range ch {
				got++
			}
			return got
		})
	}, func(ops int) time.Duration {
		hub := broadcast.New[T](1, broadcast.Block, broadcast.WithRing(slots))
		for range slots {
			_ = hub.Publish(bg, fresh())
		}
		r, batch := hub.NewReader(), make([]T, 64)
		return withOne(b, ops, func() { _ = hub.Publish(bg, fresh()) }, hub.Close, func() (got int) {
			for {
				n, err := r.ReadBatch(bg, batch)
				if err != nil {
					return got
				}
				got += n
			}
		})
	})
}

// withOne is how long so many publishes take, and end after them, until one that reads
// has everything.
func withOne(b *testing.B, ops int, publish, end func(), read func() int) (took time.Duration) {
	var reader sync.WaitGroup
	got := 0
	reader.Go(func() { got = read() })
	start := time.Now()
	for range ops {
		publish()
	}
	end()
	reader.Wait()
	took = time.Since(start)
	if got != ops {
		b.Fatalf("%d of %d events arrived", got, ops)
	}
	return took
}

// BenchmarkOpening is how long the publish takes that opens a chunk of the ring, beside
// the one behind it: medians. One reader with Block and others with DropOldest run.
func BenchmarkOpening(b *testing.B) {
	for _, loose := range []int{0, 1, 64, 65} {
		b.Run(fmt.Sprintf("bytes=64/loose=%d", loose), func(b *testing.B) { opening[[8]uint64](b, loose) })
	}
	b.Run("bytes=1024/loose=0", func(b *testing.B) { opening[[128]uint64](b, 0) })
	b.Run("bytes=4096/loose=0", func(b *testing.B) { opening[[512]uint64](b, 0) })
}

func opening[T any](b *testing.B, loose int) {
	hub, end := besideLoose[T](loose)
	var event T
	var opens, others []time.Duration
	for b.Loop() {
		for i := range chunk {
			start := time.Now()
			_ = hub.Publish(bg, event)
			switch took := time.Since(start); i {
			case 0:
				opens = append(opens, took)
			case 1:
				others = append(others, took)
			}
		}
	}
	end()
	for unit, took := range map[string][]time.Duration{"opening-ns": opens, "other-ns": others} {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), unit)
	}
	b.ReportMetric(0, "ns/op")
}
