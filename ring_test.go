package broadcast_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/broadcasttest"
	"github.com/stretchr/testify/require"
)

// counted are events of which a test knows how many are still reachable.
type counted struct{ alive atomic.Int64 }

func (c *counted) event() *[64]byte {
	e := new([64]byte)
	c.alive.Add(1)
	runtime.AddCleanup(e, func(c *counted) { c.alive.Add(-1) }, c)
	return e
}

// remain waits until at most n are reachable, and returns how many are.
func (c *counted) remain(n int64) int64 {
	for range 100 {
		runtime.GC()
		if c.alive.Load() <= n {
			break
		}
		runtime.Gosched()
	}
	return c.alive.Load()
}

// Law 7: the ring holds its capacity and at most two chunks, and a reader that stalls
// pins one chunk more, until it has been told of its end.
func TestLaw7_StalledReaderPinsOneChunk(t *testing.T) {
	for _, capacity := range []int{1, 63, 64, 65, 500} {
		for _, policy := range []broadcast.Action{broadcast.DropOldest, broadcast.Eject} {
			var c counted
			hub := newHub[*[64]byte](t, 1, policy, broadcast.WithRing(capacity))
			stalled, parked := hub.NewReader(), hub.NewReader()
			require.NoError(t, hub.Publish(bg, c.event()))
			_, err := stalled.Next(bg)
			require.NoError(t, err)
			for range 3000 {
				require.NoError(t, hub.Publish(bg, c.event()))
			}
			limit := int64(capacity + 3*chunk)
			require.LessOrEqual(t, c.remain(limit), limit, "capacity %d", capacity)
			require.GreaterOrEqual(t, c.alive.Load(), int64(capacity))

			stalled.Close()
			_, err = stalled.Next(bg)
			require.Error(t, err)
			require.LessOrEqual(t, c.remain(limit-chunk), limit-chunk, "it has been told that it has ended")
			runtime.KeepAlive(stalled)
			runtime.KeepAlive(parked)
		}
	}
}

// The ring appears with the first reader, also in the middle of publishing, and the
// reader gets everything from there on.
func TestRing_FirstReaderInTheMiddleOfPublishing(t *testing.T) {
	for offset := range 70 { // wherever in a chunk
		hub := newHub[int](t, 1, broadcast.Block)
		publish(t, hub, span(1, offset)...)
		r := follow(hub)
		publish(t, hub, span(offset+1, offset+200)...)
		require.Equal(t, span(offset+1, offset+200), r.rest(t))
		early := follow(hub, broadcast.WithResumeAfter(0))
		require.Equal(t, offset, int(early.Stats().Dropped), "what was before the ring")
		early.take(t, 1)
		require.EqualValues(t, offset, early.Missed())
	}
	hub := newHub[int](t, 1, broadcast.Block)
	var publishing sync.WaitGroup
	var stop atomic.Bool
	publishing.Go(func() {
		for i := 1; !stop.Load(); i++ {
			_ = hub.Publish(bg, i)
		}
	})
	for hub.Stats().Published < 100 {
		runtime.Gosched()
	}
	var readers []*follower[int]
	for range 5 {
		readers = append(readers, follow(hub))
		for range 2000 {
			for _, r := range readers {
				r.take(t, 1)
				require.EqualValues(t, r.got[len(r.got)-1], r.Seq())
			}
		}
	}
	stop.Store(true)
	for _, r := range readers {
		r.Close()
	}
	publishing.Wait()
	for _, r := range readers {
		require.Equal(t, span(r.got[0], r.got[0]+len(r.got)-1), r.got, "no gap")
	}
}

func TestRing_FirstReaderWhileAPublisherWaits(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block)
		sub := hub.Subscribe()
		publish(t, hub, 1)
		pub := async(func() error { return hub.Publish(bg, 2) })
		pub.requireBlocked(t, "for the subscription")
		r := follow(hub)
		require.EqualValues(t, 2, r.Seq(), "event 2 had its number")
		<-sub.C()
		require.NoError(t, pub.returned(t, "room"))
		<-sub.C()
		publish(t, hub, 3)
		require.Equal(t, []int{3}, r.take(t, 1).got)
	})
}

// Capacity is exact for every capacity and type.
func TestLaw9_RingCapacityIsExact(t *testing.T) {
	for capacity := 1; capacity < 200; capacity++ {
		hub := newHub[struct{}](t, 1, broadcast.DropOldest, broadcast.WithRing(capacity))
		r := hub.NewReader()
		for i := range 400 {
			require.NoError(t, hub.Publish(bg, struct{}{}))
			s := r.Stats()
			require.Equal(t, min(i+1, capacity), s.Len)
			require.EqualValues(t, max(0, i+1-capacity), s.Dropped)
		}
	}
	type huge [60_000]byte
	hub := newHub[huge](t, 1, broadcast.Block, broadcast.WithRing(1))
	r := hub.NewReader()
	require.NoError(t, hub.Publish(bg, huge{59_999: 7}))
	got, err := r.Next(bg)
	require.NoError(t, err)
	require.EqualValues(t, 7, got[59_999])
}

// Readers that come, are stalled and go while others publish: the laws hold, and the
// race detector sees no slot that is written after it was read.
func TestLaw2_ReadersUnderLoad(t *testing.T) {
	const publishers, each = 3, 4000
	hub := newHub[int](t, 1, broadcast.DropOldest, broadcast.WithRing(70))
	var mu sync.Mutex
	var all []broadcasttest.Consumer
	var reading, publishing sync.WaitGroup
	var over atomic.Bool
	policies := []broadcast.Policy{
		broadcast.Block, broadcast.DropOldest, broadcast.Eject, broadcast.DropOldest,
		broadcast.PolicyFunc(func(o broadcast.Overflow) broadcast.Action { return broadcast.Action(o.Dropped % 4 * 3 % 4) }),
	}
	for i := range 10 {
		reading.Go(func() {
			for round := 0; !over.Load() || round == 0; round++ {
				r := follow(hub, broadcast.WithPolicy(policies[(i+round)%len(policies)]), broadcast.WithBuffer(1+(7*i+round)%70))
				last, missed, lost := r.Seq(), uint64(0), false
				buf := make([]int, 1+i*5)
				for k := 0; k < 200+i || over.Load(); k++ {
					n, err := r.ReadBatch(bg, buf[:1+k%len(buf)])
					if err != nil {
						break
					}
					r.got = append(r.got, buf[:n]...)
					missed += r.Missed()
					lost = lost || r.Seq() != last+r.Missed()+uint64(n)
					last = r.Seq()
				}
				r.Close()
				if lost || missed > r.Stats().Dropped {
					t.Errorf("reader %d: Missed does not add up: %d, %+v", i, missed, r.Stats())
				}
				mu.Lock()
				all = append(all, r)
				mu.Unlock()
			}
		})
	}
	reading.Go(func() {
		var before broadcast.Stats
		for !over.Load() {
			now := hub.Stats()
			checkMonotone(t, before, now)
			if now.Dropped > now.Offered {
				t.Errorf("more dropped than offered: %+v", now)
			}
			for range hub.Subscriptions() {
			}
			before = now
			runtime.Gosched()
		}
	})
	for range publishers {
		publishing.Go(func() {
			for i := range each {
				_ = hub.Publish(bg, i)
			}
		})
	}
	publishing.Wait()
	over.Store(true)
	hub.Close()
	reading.Wait()
	require.NoError(t, hub.Shutdown(bg))
	broadcasttest.CheckConservation(t, hub, all...)
}

// Law 5: ends of all kinds race with a reader that reads, and neither loses count.
func TestLaw5_ReaderEndsRace(t *testing.T) {
	for round := range 300 {
		for _, end := range []string{"close", "hub", "ctx", "next's ctx"} {
			hub := broadcast.New[int](1, broadcast.Action(round%2*2), broadcast.WithRing(8))
			own, cancelOwn := newCancel()
			ctx, cancel := newCancel()
			r := follow(hub, broadcast.WithContext(own))
			var running sync.WaitGroup
			running.Go(func() {
				for r.next(ctx) == nil {
				}
			})
			running.Go(func() {
				for i := range 50 {
					_ = hub.Publish(ctx, i)
				}
			})
			running.Go(func() {
				for range round % 7 {
					runtime.Gosched()
				}
				switch end {
				case "close":
					r.Close()
					r.Close()
				case "hub":
					hub.Close()
				case "ctx":
					cancelOwn()
				case "next's ctx":
					cancel()
				}
				r.Stats()
			})
			running.Wait()
			hub.Released() // takes the mutex that whoever ends r for its context still may hold
			broadcasttest.CheckConservation(t, hub, r)
			hub.Close()
			cancelOwn()
			cancel()
		}
	}
}

// Numbers near their end are numbers like others, for all kinds of reader.
func TestRing_NumbersNearTheirEnd(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		const n, window = 300, 100
		hub := newHub[int](t, 1, broadcast.DropOldest)
		hub.StartAt(broadcast.LastNumber - n)
		sub := hub.Subscribe(broadcast.WithBuffer(n))
		skips := follow(hub, broadcast.WithBuffer(window))
		all := follow(hub, broadcast.WithPolicy(broadcast.Block))
		late := follow(hub, broadcast.WithPolicy(broadcast.Eject), broadcast.WithBuffer(window))
		for i := range n {
			publish(t, hub, i)
			if i == window {
				require.Equal(t, span(0, window), all.rest(t))
			}
		}
		require.Equal(t, span(0, n-1), all.rest(t))
		require.EqualValues(t, uint64(broadcast.LastNumber), all.Seq())
		require.Equal(t, span(n-window, n-1), skips.rest(t))
		require.EqualValues(t, n-window, skips.Stats().Dropped)
		synctest.Wait()
		require.ErrorIs(t, late.Err(), broadcast.ErrEjected)
		require.Len(t, sub.C(), n)
		require.NoError(t, hub.WaitReleased(bg, broadcast.LastNumber-1))
		sub.Close()
		hub.Close()
		require.ErrorIs(t, all.next(bg), broadcast.ErrClosed)
		require.NoError(t, hub.WaitReleased(bg, broadcast.LastNumber))
	})
}

// A million readers subscribe, get an event and leave.
func TestReader_AMillion(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds and a gigabyte")
	}
	const n = 1_000_000
	hub := newHub[int](t, 1, broadcast.Block)
	readers := make([]*broadcast.Reader[int], n)
	for i := range readers {
		readers[i] = hub.NewReader()
	}
	require.Equal(t, n, hub.Stats().Readers)
	require.NoError(t, hub.Publish(bg, 7))
	for _, r := range readers {
		e, err := r.Next(bg)
		if err != nil || e != 7 {
			t.Fatal(e, err)
		}
		r.Close()
	}
	s := hub.Stats()
	require.EqualValues(t, n, s.Offered)
	require.Zero(t, s.Dropped+uint64(s.Subscribers))
}

// Many that are parked get an event and are woken by one goroutine, which ends.
func TestLaw7_ManyParkedReaders(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		const n = 2000
		hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(1))
		var got atomic.Int64
		for range n {
			r := hub.NewReader()
			go func() {
				for e := range r.All(bg) {
					got.Add(int64(e))
				}
			}()
		}
		for range 20 {
			synctest.Wait()
			publish(t, hub, 1)
		}
		synctest.Wait()
		require.EqualValues(t, 20*n, got.Load())
		require.NoError(t, hub.Shutdown(bg))
	})
}

func TestShutdown_WaitsForReaders(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block)
		drains, leaves := follow(hub, broadcast.WithName("drains")), follow(hub)
		publish(t, hub, 1, 2)
		drains.take(t, 1)
		ctx, cancel := newCancel()
		cancel()
		err := hub.Shutdown(ctx)
		require.ErrorContains(t, err, fmt.Sprintf("3 events are still buffered in 2 subscription(s) (%q: 1, #2: 2)", "drains"))
		call := async(func() error { return hub.Shutdown(bg) })
		leaves.Close()
		call.requireBlocked(t, "for the one that drains")
		drains.take(t, 1)
		hub.NewReader() // ended already
		require.NoError(t, (<-call.result))
	})
}
