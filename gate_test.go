package broadcast_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/broadcasttest"
	"github.com/stretchr/testify/require"
)

func goexit() { runtime.Goexit() }

// Law 3: the gate is before the number: nobody has the event that waits for a reader.
func TestLaw3_BlockReaderDelaysOnlyTheNextEvent(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newHub[int](t, 10, broadcast.Block, broadcast.WithRing(4))
		sub, other := hub.Subscribe(), follow(hub)
		stuck := follow(hub, broadcast.WithBuffer(2))
		publish(t, hub, 1, 2)
		pub := async(func() error { return hub.Publish(bg, 3) })
		pub.requireBlocked(t, "behind the window")
		require.Len(t, sub.C(), 2)
		require.Equal(t, 2, other.Stats().Len)
		require.EqualValues(t, 2, hub.Stats().Published)
		require.EqualValues(t, 1, hub.Stats().Blocked)
		hub.Subscribe() // does not wait for the publisher
		follow(hub)
		stuck.take(t, 1)
		require.NoError(t, pub.returned(t, "with room"))
		require.Equal(t, span(1, 3), other.take(t, 3).got)
	})
}

// Law 3: readers that are parked have the event before its publisher waits for anyone.
func TestLaw3_ReadersAreWokenBeforeAPublishWaits(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block)
		full := hub.Subscribe()
		publish(t, hub, 1)
		readers := []*follower[int]{follow(hub), follow(hub, broadcast.WithPolicy(broadcast.DropOldest))}
		var calls []running[error]
		for _, r := range readers {
			calls = append(calls, async(func() error { return r.next(bg) }))
			calls[len(calls)-1].requireBlocked(t, "nothing to take")
		}
		pub := async(func() error { return hub.Publish(bg, 2) })
		pub.requireBlocked(t, "for the full subscription")
		for i, r := range readers {
			require.NoError(t, calls[i].returned(t, "Next"))
			require.Equal(t, []int{2}, r.got)
		}
		require.Equal(t, 1, <-full.C())
		require.NoError(t, pub.returned(t, "with room"))
	})
}

// Law 4: whoever leaves frees the gate, and so does the end of any kind.
func TestLaw4_ReaderThatLeavesFreesTheGate(t *testing.T) {
	for _, end := range []string{"close", "ctx"} {
		bubble(t, end, func(t *testing.T) {
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(2))
			stuck := []*follower[int]{follow(hub, broadcast.WithContext(ctx)), follow(hub), follow(hub)}
			publish(t, hub, 1, 2)
			pub := async(func() error { return hub.Publish(bg, 3) })
			for i := len(stuck) - 1; i > 0; i-- {
				pub.requireBlocked(t, "for all of them")
				stuck[i].Close()
			}
			pub.requireBlocked(t, "for the last one")
			if end == "ctx" {
				cancel()
			} else {
				stuck[0].Close()
			}
			require.NoError(t, pub.returned(t, "nobody is left"))
			require.EqualValues(t, 1, hub.Stats().Blocked, "one publish")
			broadcasttest.CheckConservation(t, hub, stuck[0], stuck[1], stuck[2])
		})
	}
}

func TestGate_ReaderThatJoinsBehindIsWaitedForToo(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(2))
		first := follow(hub)
		publish(t, hub, 1, 2)
		pub := async(func() error { return hub.Publish(bg, 3) })
		pub.requireBlocked(t, "for the first")
		second := follow(hub, broadcast.WithReplay(2))
		third := follow(hub, broadcast.WithReplay(2), broadcast.WithPolicy(broadcast.BlockFor(time.Hour, broadcast.Eject)))
		first.take(t, 1)
		pub.requireBlocked(t, "for the second")
		second.take(t, 1)
		pub.requireBlocked(t, "for the third")
		third.take(t, 1)
		require.NoError(t, pub.returned(t, "all have room"))
		require.Equal(t, span(1, 3), second.rest(t))
	})
}

func TestGate_BatchWakesReadersBeforeItWaits(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(3))
		rec := broadcasttest.Record(hub.NewReader())
		synctest.Wait() // it is parked
		n, err := hub.PublishBatch(bg, span(1, 50))
		require.NoError(t, err)
		require.Equal(t, 50, n)
		got, err := rec.Wait(bg, 50)
		require.NoError(t, err)
		require.Equal(t, span(1, 50), got)
		require.NoError(t, hub.Shutdown(bg))
	})
}

func TestGate_BatchCanceledInItsMiddle(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(3))
		r := follow(hub)
		ctx, cancel := context.WithCancelCause(bg)
		var n int
		call := async(func() (err error) { n, err = hub.PublishBatch(ctx, span(1, 50)); return err })
		call.requireBlocked(t, "at the window")
		r.take(t, 2)
		call.requireBlocked(t, "at the window again")
		cancel(errTest)
		require.Equal(t, errTest, call.returned(t, "PublishBatch"))
		require.Equal(t, 5, n)
		require.EqualValues(t, 5, hub.Stats().Published)
		require.Greater(t, hub.Stats().Blocked, uint64(1), "for each event that waited")
		require.Equal(t, span(1, 5), r.rest(t))
	})
}

func TestGate_BlockForInVirtualTime(t *testing.T) {
	for _, then := range []broadcast.Action{broadcast.DropNewest, broadcast.DropOldest, broadcast.Eject} {
		bubble(t, then.String(), func(t *testing.T) {
			hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(2))
			// All waits have one start, so these delay by the longest.
			long := follow(hub, broadcast.WithPolicy(broadcast.BlockFor(3*time.Second, then)), broadcast.WithBuffer(2))
			short := follow(hub, broadcast.WithPolicy(broadcast.BlockFor(time.Second, then)), broadcast.WithBuffer(2))
			publish(t, hub, 1, 2)
			start := time.Now()
			publish(t, hub, 3)
			require.Equal(t, 3*time.Second, time.Since(start))
			synctest.Wait()
			for _, r := range []*follower[int]{long, short} {
				if then == broadcast.Eject {
					require.Equal(t, broadcast.ErrEjected, r.Err())
					require.Equal(t, 2, r.Stats().Len)
					require.Zero(t, r.Stats().Dropped)
					continue
				}
				require.EqualValues(t, 1, r.Stats().Dropped)
				require.Equal(t, []int{2, 3}, r.rest(t))
				require.EqualValues(t, 2, r.Stats().Received)
			}
			broadcasttest.CheckConservation(t, hub, long, short)
			publish(t, hub, 4)
			require.Equal(t, 3*time.Second, time.Since(start), "there is room")
		})
	}
}

func TestGate_BlockForExpiresWhileAnotherIsWaitedFor(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(1))
		patient := follow(hub)
		hasty := follow(hub, broadcast.WithPolicy(broadcast.BlockFor(time.Second, broadcast.Eject)))
		publish(t, hub, 1)
		pub := async(func() error { return hub.Publish(bg, 2) })
		time.Sleep(time.Second)
		pub.requireBlocked(t, "for the patient one")
		require.Equal(t, broadcast.ErrEjected, hasty.Err(), "after its own time")
		patient.take(t, 1)
		require.NoError(t, pub.returned(t, "there is room"))
	})
}

func TestGate_BlockForWithRoomInTime(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(1))
		r := follow(hub, broadcast.WithPolicy(broadcast.BlockFor(time.Second, broadcast.DropOldest)))
		publish(t, hub, 1)
		pub := async(func() error { return hub.Publish(bg, 2) })
		time.Sleep(time.Second / 2)
		r.take(t, 1)
		require.NoError(t, pub.returned(t, "there is room"))
		require.Equal(t, []int{1, 2}, r.rest(t))
		require.Zero(t, r.Stats().Dropped)
	})
}

func TestGate_PolicyIsAskedBeforeTheNumber(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		var seen []broadcast.Overflow
		answer := broadcast.DropOldest
		hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(4))
		var published []uint64
		r := follow(hub, broadcast.WithBuffer(2), broadcast.WithName("r"), broadcast.WithPolicy(broadcast.PolicyFunc(
			func(o broadcast.Overflow) broadcast.Action {
				published = append(published, hub.Stats().Published)
				seen = append(seen, o)
				return answer
			})))
		publish(t, hub, 1, 2, 3, 4)
		require.Equal(t, []uint64{2, 3}, published)
		require.Equal(t, []broadcast.Overflow{
			{ID: 1, Name: "r", Cap: 2, Dropped: 0, Consecutive: 0}, {ID: 1, Name: "r", Cap: 2, Dropped: 1, Consecutive: 1},
		}, seen)
		r.take(t, 1)
		require.EqualValues(t, 2, r.Missed())
		publish(t, hub, 5) // at once
		answer = broadcast.Block
		ctx, cancel := context.WithCancelCause(bg)
		pub := async(func() error { return hub.Publish(ctx, 6) })
		pub.requireBlocked(t, "as the policy says")
		require.Len(t, seen, 3, "asked once")
		require.Zero(t, seen[2].Consecutive, "an event found room in between")
		cancel(errTest)
		require.Equal(t, errTest, pub.returned(t, "canceled"))
		answer = broadcast.Eject
		publish(t, hub, 6)
		require.EqualValues(t, 1, seen[3].Consecutive)
		require.Equal(t, broadcast.ErrEjected, r.Err())
		require.Equal(t, 2, r.Stats().Len)
		broadcasttest.CheckConservation(t, hub, r)
	})
}

// A reader's policy that panics: nothing is published, and the turn is given back.
func TestLaw8_ReadersPolicyPanics(t *testing.T) {
	for _, how := range []string{"publish", "batch", "unknown action", "goexit"} {
		bubble(t, how, func(t *testing.T) {
			bad := true
			hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(1))
			r := follow(hub, broadcast.WithPolicy(broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action {
				switch {
				case !bad:
					return broadcast.DropOldest
				case how == "unknown action":
					return 77
				case how == "goexit":
					goexit()
				}
				panic(errTest)
			})))
			publish(t, hub, 1)
			panicked := async(func() (v any) {
				defer func() { v = recover() }()
				if how == "batch" {
					_, _ = hub.PublishBatch(bg, []int{2, 3})
				} else if how == "goexit" {
					done := make(chan struct{})
					go func() { defer close(done); _ = hub.Publish(bg, 2) }()
					<-done
				} else {
					_ = hub.Publish(bg, 2)
				}
				return nil
			})
			require.Equal(t, how == "goexit", panicked.returned(t, "publish") == nil)
			require.EqualValues(t, 1, hub.Stats().Published)
			require.Zero(t, r.Stats().Dropped)
			bad = false
			publish(t, hub, 2)
			require.Equal(t, []int{2}, r.rest(t))
			broadcasttest.CheckConservation(t, hub, r)
		})
	}
}

// Eject readers that never read are ended soon, and only those out of their windows.
func TestLaw3_EjectedWithoutReading(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		var told []broadcast.SubscriptionStats
		hub := newHub[int](t, 1, broadcast.Eject, broadcast.WithRing(100),
			broadcast.WithOnEject(func(s broadcast.SubscriptionStats) { told = append(told, s) }))
		var all []broadcasttest.Consumer
		readers := make([]*follower[int], 100)
		for i := range readers {
			readers[i] = follow(hub, broadcast.WithBuffer(1+i))
			all = append(all, readers[i])
		}
		for e := range 100 {
			publish(t, hub, e)
			synctest.Wait()
			for i, r := range readers {
				require.Equal(t, i < e, r.Err() != nil, "window %d after %d events", i+1, e+1)
			}
			require.Equal(t, 100-e, hub.Len())
			broadcasttest.CheckConservation(t, hub, all...)
		}
		require.Len(t, told, 99)
		for _, s := range told {
			require.Equal(t, s.Cap, s.Len)
			require.Zero(t, s.Dropped)
		}
		require.EqualValues(t, 99, hub.Stats().Ejected)
	})
}

// Whoever has fallen out has been ejected, whichever comes first after that.
func TestEject_BeforeTheSweep(t *testing.T) {
	for _, first := range []string{"next", "close", "hub", "batch"} {
		hub := newHub[int](t, 1, broadcast.Eject, broadcast.WithRing(2))
		r := follow(hub)
		publish(t, hub, 1, 2, 3, 4)
		switch first {
		case "next":
			require.Equal(t, broadcast.ErrEjected, r.next(bg))
		case "batch":
			n, err := r.ReadBatch(bg, make([]int, 5))
			require.Equal(t, broadcast.ErrEjected, err)
			require.Zero(t, n)
		case "close":
			r.Close()
		case "hub":
			hub.Close()
		}
		require.Equal(t, broadcast.ErrEjected, r.Err())
		broadcasttest.CheckConservation(t, hub, r)
		require.EqualValues(t, 1, hub.Stats().Ejected)
		require.NoError(t, hub.Shutdown(bg))
	}
}

func TestReader_InterestEdges(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		var edges []bool
		hub := newHub[int](t, 1, broadcast.Eject, broadcast.WithRing(1), broadcast.WithInterest(func(a bool) { edges = append(edges, a) }))
		r := hub.NewReader()
		sub := hub.Subscribe()
		r.Close()
		sub.Close() // the last
		hub.NewReader()
		publish(t, hub, 1, 2) // ejects it
		synctest.Wait()
		hub.NewReader(broadcast.WithPolicy(broadcast.Block))
		hub.Close()
		synctest.Wait()
		require.Equal(t, []bool{true, false, true, false, true, false}, edges)
	})
}

func TestReader_LossesAreLogged(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		book := newLogbook()
		hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(1), book.option())
		hub.NewReader(broadcast.WithPolicy(broadcast.DropOldest), broadcast.WithName("slow"))
		hub.NewReader(broadcast.WithPolicy(broadcast.Eject), broadcast.WithName("gone"))
		publish(t, hub, 1, 2, 3)
		stuck := follow(hub, broadcast.WithName("stuck"))
		publish(t, hub, 4)
		require.EqualValues(t, 3, hub.Stats().Dropped)
		pub := async(func() error { return hub.Publish(bg, 5) })
		time.Sleep(3 * time.Second)
		pub.requireBlocked(t, "for stuck")
		stuck.Close()
		require.NoError(t, pub.returned(t, "free"))
		hub.Close()
		synctest.Wait()
		require.EqualValues(t, 4, book.sum("events dropped", "dropped"))
		require.EqualValues(t, 1, book.sum("subscriber ejected", ""))
		require.EqualValues(t, 1, book.sum("publish blocked for over a second", "blocked"))
	})
}
