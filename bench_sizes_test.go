package broadcast_test

import (
	"sync"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
)

// BenchmarkPairSizes publishes events of different sizes to one reader with ReadBatch,
// beside a channel of as many slots.
func BenchmarkPairSizes(b *testing.B) {
	b.Run("bytes=8", pairOf[uint64])
	b.Run("bytes=64", pairOf[[8]uint64])
	b.Run("bytes=256", pairOf[[32]uint64])
	b.Run("bytes=1024", pairOf[[128]uint64])
	b.Run("bytes=4096", pairOf[[512]uint64])
	b.Run("pointer", pairOf[*[8]uint64])
}

func pairOf[T any](b *testing.B) {
	const slots = 1024
	var event T
	pair(b, "publish", func(ops int) time.Duration {
		ch := make(chan T, slots)
		return withOne(ops, func() { ch <- event }, func() { close(ch) }, func() {
			for range ch {
			}
		})
	}, func(ops int) time.Duration {
		hub := broadcast.New[T](1, broadcast.Block, broadcast.WithRing(slots))
		r, batch := hub.NewReader(), make([]T, 64)
		return withOne(ops, func() { _ = hub.Publish(bg, event) }, hub.Close, func() {
			for {
				if _, err := r.ReadBatch(bg, batch); err != nil {
					return
				}
			}
		})
	})
}

// withOne is how long so many publishes take, and end after them, until one that reads
// has everything.
func withOne(ops int, publish, end, read func()) time.Duration {
	var reader sync.WaitGroup
	reader.Go(read)
	start := time.Now()
	for range ops {
		publish()
	}
	end()
	reader.Wait()
	return time.Since(start)
}
