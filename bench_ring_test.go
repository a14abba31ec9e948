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

// BenchmarkPairReaders publishes to n readers that run and ends when all have
// everything, beside one channel of as many slots for each and a plain send loop. It
// publishes twice as many events as there are slots at least, so that these fill.
func BenchmarkPairReaders(b *testing.B) {
	for _, slots := range []int{64, 1024} {
		for _, n := range []int{1, 100, 1000, 10000} {
			if n*slots > 1_100_000 {
				continue // the channels alone would be most of a gigabyte
			}
			for _, how := range []string{"batch", "next"} {
				b.Run(fmt.Sprintf("slots=%d/readers=%d/%s", slots, n, how), func(b *testing.B) {
					pairFrom(b, "publish", 2*slots, losslessLoop(1, slots, n), losslessReaders(slots, n, how == "batch"))
				})
			}
		}
	}
}

func losslessReaders(slots, n int, batch bool) side {
	return func(ops int) time.Duration {
		hub := broadcast.New[benchEvent](1, broadcast.Block, broadcast.WithRing(slots))
		read := readNext
		if batch {
			read = readBatch
		}
		var up, readers sync.WaitGroup
		up.Add(n)
		for range n {
			r := hub.NewReader()
			readers.Go(func() { read(r, up.Done) })
		}
		up.Wait() // to begin, and to make a stack large enough for a batch, is no part of it
		start := time.Now()
		for i := range ops {
			_ = hub.Publish(bg, benchEvent{Seq: uint64(i)})
		}
		hub.Close()
		readers.Wait()
		return time.Since(start)
	}
}

func readNext(r *broadcast.Reader[benchEvent], up func()) (sum uint64) {
	up()
	for {
		event, err := r.Next(bg)
		if err != nil {
			return sum
		}
		sum += event.Seq
	}
}

func readBatch(r *broadcast.Reader[benchEvent], up func()) (sum uint64) {
	batch := make([]benchEvent, 64)
	up()
	for {
		n, err := r.ReadBatch(bg, batch)
		if err != nil {
			return sum
		}
		for i := range batch[:n] {
			sum += batch[i].Seq
		}
	}
}

// letPark waits until those who have just got an event have parked again.
func letPark() {
	for range 4 {
		time.Sleep(50 * time.Microsecond)
	}
}

// wave publishes one event at a time to n parked receivers, and waits until all
// have it and are parked again. It returns how long the publishes took, or how long
// it took until the last had the event.
func wave(n int, untilLast bool, start func(got func()), publish func()) side {
	var left atomic.Int64
	all := make(chan struct{}, 1)
	for range n {
		start(func() {
			if left.Add(-1) == 0 {
				all <- struct{}{}
			}
		})
	}
	return func(ops int) (took time.Duration) {
		for range ops {
			letPark()
			left.Store(int64(n))
			began := time.Now()
			publish()
			if !untilLast {
				took += time.Since(began)
			}
			<-all
			if untilLast {
				took += time.Since(began)
			}
		}
		return took
	}
}

// waveLoop sends to channels. With a context for each, the receivers select on that too.
func waveLoop(b *testing.B, n int, untilLast bool, life func() context.Context) side {
	chans := make([]chan benchEvent, 0, n)
	b.Cleanup(func() {
		for _, ch := range chans {
			close(ch)
		}
	})
	return wave(n, untilLast, func(got func()) {
		ch := make(chan benchEvent, benchBuffer)
		chans = append(chans, ch)
		if life == nil {
			go func() {
				for range ch {
					got()
				}
			}()
			return
		}
		ctx := life()
		go func() {
			for {
				select {
				case _, open := <-ch:
					if !open {
						return
					}
					got()
				case <-ctx.Done():
					return
				}
			}
		}()
	}, func() {
		for _, ch := range chans {
			ch <- benchEvent{}
		}
	})
}

func waveReaders(b *testing.B, n int, untilLast bool, life func() context.Context) side {
	hub := broadcast.New[benchEvent](1, broadcast.Block)
	b.Cleanup(hub.Close)
	return wave(n, untilLast, func(got func()) {
		r, ctx := hub.NewReader(), bg
		if life != nil {
			ctx = life()
		}
		go func() {
			for range r.All(ctx) {
				got()
			}
		}()
	}, func() { _ = hub.Publish(bg, benchEvent{}) })
}

// BenchmarkPairParked is how long a publish occupies its caller when n readers are
// parked.
func BenchmarkPairParked(b *testing.B) {
	for _, n := range []int{1, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("readers=%d", n), func(b *testing.B) {
			pair(b, "publish", waveLoop(b, n, false, nil), waveReaders(b, n, false, nil))
		})
	}
}

// BenchmarkParked is how long a publish occupies its caller when n readers are
// parked: the median and the 99th percentile of the publishes of all rounds. All have
// the event and are parked again before the next. It also reports the median of a send
// to one goroutine that is parked at a channel, in the same rounds, since a publish wakes
// one too; how long it took the readers to subscribe, and until the last of them had
// the event.
func BenchmarkParked(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("readers=%d", n), func(b *testing.B) {
			hub := broadcast.New[benchEvent](1, broadcast.Block)
			readers := make([]*broadcast.Reader[benchEvent], n)
			start := time.Now()
			for i := range readers {
				readers[i] = hub.NewReader()
			}
			b.ReportMetric(float64(time.Since(start).Milliseconds()), "subscribe-ms")
			var left atomic.Int64
			all := make(chan struct{}, 1)
			var running sync.WaitGroup
			for _, r := range readers {
				running.Go(func() {
					for range r.All(bg) {
						if left.Add(-1) == 0 {
							all <- struct{}{}
						}
					}
				})
			}
			ch := make(chan benchEvent, 1)
			running.Go(func() {
				for range ch {
					all <- struct{}{}
				}
			})
			micros := func(since time.Time) float64 { return float64(time.Since(since).Nanoseconds()) / 1e3 }
			var send, publish, last []float64
			for range b.N {
				letPark()
				left.Store(int64(n))
				began := time.Now()
				_ = hub.Publish(bg, benchEvent{})
				publish = append(publish, micros(began))
				<-all
				last = append(last, micros(began))
				letPark()
				began = time.Now()
				ch <- benchEvent{}
				send = append(send, micros(began))
				<-all
			}
			close(ch)
			slices.Sort(publish)
			b.ReportMetric(median(send), "send-us")
			b.ReportMetric(0, "ns/op") // of a wave with its pauses
			b.ReportMetric(median(publish), "publish-us")
			b.ReportMetric(publish[len(publish)*99/100], "publish-p99-us")
			b.ReportMetric(median(last), "last-us")
			hub.Close()
			running.Wait()
		})
	}
}

// BenchmarkPairUnread publishes beside 10,000 readers with DropOldest that nobody reads,
// against one of them.
func BenchmarkPairUnread(b *testing.B) {
	unread := func(n int) side {
		hub := broadcast.New[benchEvent](1, broadcast.DropOldest)
		b.Cleanup(hub.Close)
		for range n {
			hub.NewReader()
		}
		return timed(func() { _ = hub.Publish(bg, benchEvent{}) })
	}
	pair(b, "publish", unread(1), unread(10_000))
}

// BenchmarkLaggard is a publish for which a reader makes room one event at a time, a
// whole window behind, beside n others that have room: they are to be looked at seldom.
func BenchmarkLaggard(b *testing.B) {
	for _, n := range []int{10, 50_000} {
		b.Run(fmt.Sprintf("others=%d", n), func(b *testing.B) {
			hub := broadcast.New[benchEvent](1, broadcast.Block)
			b.Cleanup(hub.Close)
			slow := hub.NewReader()
			for range 1024 {
				_ = hub.Publish(bg, benchEvent{})
			}
			others := make([]*broadcast.Reader[benchEvent], n)
			for i := range others {
				others[i] = hub.NewReader()
			}
			left := 1024
			for b.Loop() {
				if left--; left == 0 { // the others are a window behind too
					b.StopTimer()
					for _, r := range others {
						r.Close()
					}
					for i := range others {
						others[i] = hub.NewReader()
					}
					left = 1024
					b.StartTimer()
				}
				_, _ = slow.Next(bg)
				_ = hub.Publish(bg, benchEvent{})
			}
		})
	}
}

// BenchmarkLoose publishes to one reader with Block, who sets the pace, beside n with DropOldest
// that read too.
func BenchmarkLoose(b *testing.B) {
	for _, n := range []int{0, 1, 15, 63, 1000} {
		b.Run(fmt.Sprintf("readers=%d", n), func(b *testing.B) {
			hub, end := besideLoose[benchEvent](n)
			b.ReportAllocs()
			for b.Loop() {
				_ = hub.Publish(bg, benchEvent{})
			}
			end()
		})
	}
}

// besideLoose makes a hub with one reader with Block and loose ones with DropOldest, all of
// which take batches. end closes it and waits for them.
func besideLoose[T any](loose int) (hub *broadcast.Hub[T], end func()) {
	hub = broadcast.New[T](1, broadcast.Block, broadcast.WithRing(1024))
	var up, readers sync.WaitGroup
	up.Add(loose + 1)
	for i := range loose + 1 {
		policy := broadcast.Block
		if i > 0 {
			policy = broadcast.DropOldest
		}
		r := hub.NewReader(broadcast.WithPolicy(policy))
		readers.Go(func() {
			batch := make([]T, chunk)
			up.Done()
			for {
				if _, err := r.ReadBatch(bg, batch); err != nil {
					return
				}
			}
		})
	}
	up.Wait()
	return hub, func() {
		hub.Close()
		readers.Wait()
	}
}

// BenchmarkPairLast is how long it takes until the last of n parked readers has it.
func BenchmarkPairLast(b *testing.B) {
	for _, n := range []int{1, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("readers=%d", n), func(b *testing.B) {
			pair(b, "publish", waveLoop(b, n, true, nil), waveReaders(b, n, true, nil))
		})
	}
}

// BenchmarkPairLastContexts is BenchmarkPairLast where each has a context of its own
// that can be canceled, which the receivers of the channels select on.
func BenchmarkPairLastContexts(b *testing.B) {
	for _, n := range []int{1, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("readers=%d", n), func(b *testing.B) {
			life := func() context.Context {
				ctx, cancel := context.WithCancel(bg)
				b.Cleanup(cancel)
				return ctx
			}
			pair(b, "publish", waveLoop(b, n, true, life), waveReaders(b, n, true, life))
		})
	}
}

// BenchmarkPairHop sends one event to and fro, beside two unbuffered channels.
func BenchmarkPairHop(b *testing.B) {
	for _, ctx := range []string{"background", "cancelable"} {
		b.Run(ctx, func(b *testing.B) {
			there, back := make(chan benchEvent), make(chan struct{})
			b.Cleanup(func() { close(there) })
			go func() {
				for range there {
					back <- struct{}{}
				}
			}()
			hub := broadcast.New[benchEvent](1, broadcast.Block)
			r, answer := hub.NewReader(), make(chan struct{})
			b.Cleanup(hub.Close)
			life, cancel := bg, context.CancelFunc(func() {})
			if ctx == "cancelable" {
				life, cancel = context.WithCancel(bg)
			}
			b.Cleanup(cancel)
			go func() {
				for range r.All(life) {
					answer <- struct{}{}
				}
			}()
			pair(b, "hop", timed(func() {
				there <- benchEvent{}
				<-back
			}), timed(func() {
				_ = hub.Publish(bg, benchEvent{})
				<-answer
			}))
		})
	}
}

// BenchmarkPairReady takes events that are there already, beside a channel.
func BenchmarkPairReady(b *testing.B) {
	const slots = 1024
	for _, how := range []string{"batch", "next"} {
		b.Run(how, func(b *testing.B) {
			ch := make(chan benchEvent, slots)
			hub := broadcast.New[benchEvent](1, broadcast.Block)
			r := hub.NewReader()
			events, batch := make([]benchEvent, slots), make([]benchEvent, 64)
			drain := func(fill func(), take func()) side {
				return func(ops int) (took time.Duration) {
					for range ops {
						fill()
						start := time.Now()
						take()
						took += time.Since(start)
					}
					return took
				}
			}
			pair(b, "1024-events", drain(func() {
				for range slots {
					ch <- benchEvent{}
				}
			}, func() {
				for range slots {
					<-ch
				}
			}), drain(func() { _, _ = hub.PublishBatch(bg, events) }, func() {
				for got := 0; got < slots; got++ {
					if how == "next" {
						_, _ = r.Next(bg)
						continue
					}
					n, _ := r.ReadBatch(bg, batch)
					got += n - 1
				}
			}))
		})
	}
}

// BenchmarkMemoryReader reports what a reader costs, without and while it is
// parked, beside its goroutine.
func BenchmarkMemoryReader(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		hub := broadcast.New[benchEvent](1, broadcast.Block)
		readers := make([]*broadcast.Reader[benchEvent], n)
		b.ReportMetric(float64(allocated(func() {
			for i := range readers {
				readers[i] = hub.NewReader()
			}
		}))/n, "B/reader")
		runtime.KeepAlive(readers)
		hub.Close()
	}
}

// BenchmarkPairRounds publishes an event, has all n readers answer it, and goes on then,
// beside a channel for each.
func BenchmarkPairRounds(b *testing.B) {
	for _, n := range []int{2, 4, 16, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("readers=%d", n), func(b *testing.B) {
			back := make(chan struct{}, n)
			round := func(publish func()) side {
				return timed(func() {
					publish()
					for range n {
						<-back
					}
				})
			}
			answer := func() { back <- struct{}{} }
			chans, hub := make([]chan benchEvent, n), broadcast.New[benchEvent](1, broadcast.Block)
			for i := range chans {
				ch, r := make(chan benchEvent, benchBuffer), hub.NewReader()
				chans[i] = ch
				go func() {
					for range ch {
						answer()
					}
				}()
				go func() {
					for range r.All(bg) {
						answer()
					}
				}()
			}
			b.Cleanup(func() {
				hub.Close()
				for _, ch := range chans {
					close(ch)
				}
			})
			pair(b, "round", round(func() {
				for _, ch := range chans {
					ch <- benchEvent{}
				}
			}), round(func() { _ = hub.Publish(bg, benchEvent{}) }))
		})
	}
}
