package broadcast_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/broadcasttest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

type (
	coalescing      = broadcast.CoalescingHub[string, int]
	coalescingSub   = broadcast.CoalescingSubscription[string, int]
	price           = broadcast.Update[string, int]
	coalescedCounts struct{ offered, received, left, coalesced uint64 }
)

func newCoalescing(t testing.TB, opts ...broadcast.Option) *coalescing {
	hub := broadcast.NewCoalescing[string, int](opts...)
	t.Cleanup(hub.Close)
	return hub
}

// set publishes key after key, with values that count on.
func set(t testing.TB, hub *coalescing, first int, keys string) {
	t.Helper()
	for i, k := range strings.Fields(keys) {
		require.NoError(t, hub.Publish(k, first+i))
	}
}

// next is one update, which must be there.
func next(t testing.TB, sub *coalescingSub) price {
	t.Helper()
	require.Positive(t, sub.Stats().Len, "nothing to read")
	u, err := sub.Next(bg)
	require.NoError(t, err)
	return u
}

func (c coalescedCounts) require(t testing.TB, sub *coalescingSub) {
	t.Helper()
	s := sub.Stats()
	require.Equal(t, c, coalescedCounts{s.Offered, s.Received, uint64(s.Len), s.Coalesced}, "%+v", s)
}

func TestLaw6_Coalescing_FinalValueOfEachKey(t *testing.T) {
	hub := newCoalescing(t)
	sub := hub.Subscribe()
	set(t, hub, 1, "a b a c a b")
	coalescedCounts{offered: 6, left: 6}.require(t, sub)
	require.Equal(t, price{Key: "c", Value: 4, Version: 4}, next(t, sub))
	require.Equal(t, price{Key: "a", Value: 5, Version: 5}, next(t, sub))
	coalescedCounts{offered: 6, received: 2, left: 4}.require(t, sub)
	require.Equal(t, price{Key: "b", Value: 6, Version: 6}, next(t, sub))
	coalescedCounts{offered: 6, received: 3, coalesced: 3}.require(t, sub)
	v, ok := hub.Get("a")
	require.True(t, ok)
	require.Equal(t, 5, v)
	require.Equal(t, 3, hub.Keys())
}

// The value is that of the moment when it is returned, and comes only once.
func TestLaw6_Coalescing_ValueOfTheMoment(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newCoalescing(t)
		sub := hub.Subscribe()
		set(t, hub, 1, "a b")
		require.Equal(t, 1, next(t, sub).Value)
		set(t, hub, 3, "b")
		require.Equal(t, price{Key: "b", Value: 3, Version: 3}, next(t, sub))
		coalescedCounts{offered: 3, received: 2, coalesced: 1}.require(t, sub)
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		_, err := sub.Next(ctx)
		require.Equal(t, context.DeadlineExceeded, err, "version 3 must not come twice")
		coalescedCounts{offered: 3, received: 2, coalesced: 1}.require(t, sub)
	})
}

// A key that changes before every read is delivered in every pass, and holds up
// no other.
func TestLaw6_Coalescing_HotKeyStarvesNobody(t *testing.T) {
	for _, order := range []string{"hot a b c d", "a b c d hot", "a b hot c d"} {
		hub := newCoalescing(t)
		sub := hub.Subscribe()
		set(t, hub, 1, order)
		count := map[string]int{}
		const passes = 20
		for i := range passes * 5 {
			set(t, hub, 100+i, "hot")
			if i%5 == 4 {
				set(t, hub, 1000+i, "a b c d") // there is always another pass
			}
			u := next(t, sub)
			count[u.Key]++
			if u.Key == "hot" {
				require.Equal(t, 100+i, u.Value)
			}
		}
		for k, n := range count {
			require.InDelta(t, passes, n, 1, "%s: %s in %v", order, k, count)
		}
		require.Len(t, count, 5)
	}
}

// All keys are hot: each still comes once in a pass.
func TestLaw6_Coalescing_EveryKeyHot(t *testing.T) {
	hub := newCoalescing(t)
	sub := hub.Subscribe()
	keys := strings.Fields("a b c d e f g")
	var pass []string
	for i := range 70 {
		set(t, hub, i, "g f e d c b a")
		pass = append(pass, next(t, sub).Key)
		if len(pass) == len(keys) {
			slices.Sort(pass)
			require.Equal(t, keys, pass, "pass %d", i/7)
			pass = nil
		}
	}
}

func TestLaw6_Coalescing_LateSubscriberGetsTheStateFirst(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newCoalescing(t)
		first := hub.Subscribe()
		require.True(t, first.Synced(), "there was nothing")
		set(t, hub, 1, "a b a x c")
		next(t, first)
		require.NoError(t, hub.Delete("x"))
		sub := hub.Subscribe()
		coalescedCounts{offered: 3, left: 3}.require(t, sub)
		require.False(t, sub.Synced())
		set(t, hub, 6, "d")
		var got []string
		for !sub.Synced() {
			u := next(t, sub)
			require.False(t, u.Deleted)
			got = append(got, u.Key)
		}
		require.Equal(t, []string{"b", "a", "c", "d"}, got)
		coalescedCounts{offered: 4, received: 4}.require(t, sub)
		async(func() error { _, err := sub.Next(bg); return err }).requireBlocked(t, "Next")
	})
}

// What was there may be gone before the subscriber looks.
func TestLaw6_Coalescing_SyncedWhenTheStateIsGone(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newCoalescing(t)
		set(t, hub, 1, "a")
		sub := hub.Subscribe()
		require.NoError(t, hub.Delete("a"))
		async(func() error { _, err := sub.Next(bg); return err }).requireBlocked(t, "Next")
		require.True(t, sub.Synced())
		coalescedCounts{offered: 2, coalesced: 2}.require(t, sub)
	})
}

func TestCoalescing_Tombstones(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newCoalescing(t)
		require.NoError(t, hub.Delete("absent"))
		saw, blind := hub.Subscribe(), hub.Subscribe()
		set(t, hub, 1, "a b")
		next(t, saw)
		next(t, saw)
		require.NoError(t, hub.Delete("a"))
		require.NoError(t, hub.Delete("a")) // does nothing
		require.EqualValues(t, 3, hub.Stats().Published)
		_, ok := hub.Get("a")
		require.False(t, ok)
		require.Equal(t, 1, hub.Keys())
		require.Equal(t, price{Key: "a", Deleted: true, Version: 3}, next(t, saw))
		require.Equal(t, "b", next(t, blind).Key, "a was born and deleted before it was seen")
		coalescedCounts{offered: 3, received: 1, coalesced: 2}.require(t, blind)

		// Born again: who saw the tombstone gets it again, and its next end too.
		set(t, hub, 4, "a")
		require.Equal(t, 4, next(t, saw).Value)
		require.NoError(t, hub.Delete("a"))
		require.True(t, next(t, saw).Deleted)
		coalescedCounts{offered: 5, received: 1, left: 2, coalesced: 2}.require(t, blind)
	})
}

// A key that is deleted and born again while a slow subscriber has its first
// life in view ends for it if the second life ends too.
func TestCoalescing_TombstoneOfTwoLives(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newCoalescing(t)
		fast, slow := hub.Subscribe(), hub.Subscribe()
		set(t, hub, 1, "a")
		next(t, fast)
		next(t, slow)
		for i := range 500 {
			require.NoError(t, hub.Delete("a"))
			require.True(t, next(t, fast).Deleted)
			set(t, hub, i, "a")
			require.Equal(t, i, next(t, fast).Value)
		}
		late := hub.Subscribe()
		require.NoError(t, hub.Delete("a"))
		require.True(t, next(t, fast).Deleted)
		require.True(t, next(t, slow).Deleted)
		require.Zero(t, slow.Stats().Len)
		async(func() error { _, err := late.Next(bg); return err }).requireBlocked(t, "Next of one that never saw it")
	})
}

// A subscriber in mid-pass may be shown a life that began after the pass, and
// must be told of its end, whatever is forgotten meanwhile.
func TestCoalescing_TombstoneOfWhatCameAhead(t *testing.T) {
	hub := newCoalescing(t)
	slow, fast := hub.Subscribe(), hub.Subscribe()
	set(t, hub, 1, "w")
	next(t, slow)
	set(t, hub, 2, "y x")
	for range 3 {
		next(t, fast)
	}
	set(t, hub, 4, "q")
	require.NoError(t, hub.Delete("x"))
	set(t, hub, 6, "z")
	require.Equal(t, "y", next(t, slow).Key) // its pass has q, the tombstone and z left
	for fast.Stats().Len > 0 {
		next(t, fast)
	}
	set(t, hub, 7, "x")
	require.Equal(t, "q", next(t, slow).Key)
	require.Equal(t, 7, next(t, slow).Value)
	require.NoError(t, hub.Delete("x"))
	for i := range 1000 { // compacts
		set(t, hub, i, "z")
	}
	require.Equal(t, 999, next(t, slow).Value)
	require.Equal(t, price{Key: "x", Deleted: true, Version: 8}, next(t, slow))
	require.Zero(t, slow.Stats().Len)
}

// Closing forgets nothing: who drains gets every deletion too, whoever drained
// before.
func TestLaw5_Coalescing_DrainsDeletions(t *testing.T) {
	hub := newCoalescing(t)
	one, two := hub.Subscribe(), hub.Subscribe()
	const keys = 200
	for i := range keys {
		set(t, hub, i, fmt.Sprint(i))
	}
	for _, sub := range []*coalescingSub{one, two} {
		for range keys {
			require.False(t, next(t, sub).Deleted)
		}
	}
	for i := range keys {
		require.NoError(t, hub.Delete(fmt.Sprint(i)))
	}
	hub.Close()
	for _, sub := range []*coalescingSub{one, two} {
		for range keys {
			require.True(t, next(t, sub).Deleted)
		}
		require.Zero(t, sub.Stats().Len)
	}
}

func TestLaw2_Coalescing_BornAndDeletedIsOnlyCounted(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newCoalescing(t)
		sub := hub.Subscribe()
		for i := range 1000 {
			set(t, hub, i, fmt.Sprint(i))
			require.NoError(t, hub.Delete(fmt.Sprint(i)))
		}
		coalescedCounts{offered: 2000, left: 2000}.require(t, sub)
		async(func() error { _, err := sub.Next(bg); return err }).requireBlocked(t, "Next")
		coalescedCounts{offered: 2000, coalesced: 2000}.require(t, sub)
		require.Zero(t, hub.Keys())
	})
}

// The six cells: how it ends, and whether the ctx of Next lives.
func TestMatrix_Coalescing(t *testing.T) {
	for _, end := range []string{"none", "sub", "hub"} {
		for _, canceled := range []bool{false, true} {
			bubble(t, fmt.Sprintf("end=%s/canceled=%v", end, canceled), func(t *testing.T) {
				hub := newCoalescing(t)
				sub, parked := hub.Subscribe(), hub.Subscribe()
				ctx, cancel := context.WithCancelCause(bg)
				defer cancel(nil)
				waiting := async(func() error { _, err := parked.Next(ctx); return err })
				waiting.requireBlocked(t, "Next without anything")
				if canceled {
					cancel(errTest)
					require.Equal(t, errTest, waiting.returned(t, "Next"))
				}
				set(t, hub, 1, "a b a")
				if !canceled {
					require.NoError(t, waiting.returned(t, "Next"))
				}
				require.Equal(t, "b", next(t, sub).Key)
				var err error
				switch end {
				case "sub":
					sub.Close()
					err = broadcast.ErrClosed
				case "hub":
					hub.Close()
					err = broadcast.ErrClosed
				}
				require.Equal(t, err, sub.Err())
				dst := make([]price, 4)
				n, got := sub.ReadBatch(ctx, dst)
				switch {
				case canceled:
					require.Equal(t, errTest, got)
					require.Zero(t, n)
					coalescedCounts{offered: 3, received: 1, left: 2}.require(t, sub)
				case end == "sub":
					require.Equal(t, broadcast.ErrClosed, got)
					coalescedCounts{offered: 3, received: 1, left: 2}.require(t, sub)
				default:
					require.NoError(t, got)
					require.Equal(t, []price{{Key: "a", Value: 3, Version: 3}}, dst[:n])
					coalescedCounts{offered: 3, received: 2, coalesced: 1}.require(t, sub)
				}
				if end == "hub" && !canceled {
					_, got = sub.Next(ctx)
					require.Equal(t, broadcast.ErrClosed, got)
				}
				count := uint64(0)
				if !canceled {
					count = 1
				}
				broadcasttest.CheckConservation(t, hub, broadcasttest.Counted[price](sub, sub.Stats().Received),
					broadcasttest.Counted[price](parked, count))
			})
		}
	}
}

func TestLaw5_Coalescing_Close(t *testing.T) {
	bubble(t, "parked", func(t *testing.T) {
		for _, end := range []string{"sub", "hub", "context"} {
			hub := newCoalescing(t)
			ctx, cancel := context.WithCancelCause(bg)
			sub := hub.Subscribe(broadcast.WithContext(ctx))
			waiting := async(func() error { _, err := sub.Next(bg); return err })
			waiting.requireBlocked(t, "Next")
			want := broadcast.ErrClosed
			switch end {
			case "sub":
				sub.Close()
			case "hub":
				hub.Close()
			case "context":
				cancel(errTest)
				want = errTest
			}
			require.Equal(t, want, waiting.returned(t, "Next"))
			require.Equal(t, want, sub.Err())
			sub.Close()
			sub.Close()
			cancel(nil)
			require.Equal(t, want, sub.Err())
		}
	})
	t.Run("after the hub", func(t *testing.T) {
		hub := newCoalescing(t)
		sub := hub.Subscribe()
		set(t, hub, 1, "a b")
		hub.Close()
		hub.Close()
		require.Equal(t, broadcast.ErrClosed, hub.Publish("a", 2))
		require.Equal(t, broadcast.ErrClosed, hub.Delete("a"))
		require.Zero(t, hub.Len())
		v, ok := hub.Get("a")
		require.True(t, ok)
		require.Equal(t, 1, v)
		late := hub.Subscribe()
		require.Equal(t, broadcast.ErrClosed, late.Err())
		_, err := late.Next(bg)
		require.Equal(t, broadcast.ErrClosed, err)
		require.Zero(t, late.Stats())
		require.Equal(t, "a", next(t, sub).Key)
		sub.Close() // gives up what is left
		_, err = sub.Next(bg)
		require.Equal(t, broadcast.ErrClosed, err)
		coalescedCounts{offered: 2, received: 1, left: 1}.require(t, sub)
	})
	t.Run("context", func(t *testing.T) {
		hub := newCoalescing(t)
		ctx, cancel := context.WithCancelCause(bg)
		cancel(errTest)
		sub := hub.Subscribe(broadcast.WithContext(ctx))
		require.Equal(t, errTest, sub.Err())
		require.Zero(t, hub.Len())
		_, open := <-sub.C()
		require.False(t, open)
	})
}

func TestCoalescing_ContextWinsAtTheStart(t *testing.T) {
	hub := newCoalescing(t)
	sub := hub.Subscribe()
	set(t, hub, 1, "a")
	ctx, cancel := context.WithCancelCause(bg)
	cancel(errTest)
	_, err := sub.Next(ctx)
	require.Equal(t, errTest, err)
	for range sub.All(ctx) {
		t.Fatal("All must end at once")
	}
	require.Equal(t, errTest, broadcast.Handle(ctx, sub, func(context.Context, price) error { return nil }))
	coalescedCounts{offered: 1, left: 1}.require(t, sub)
}

func TestCoalescing_ReadBatch(t *testing.T) {
	hub := newCoalescing(t)
	sub := hub.Subscribe()
	set(t, hub, 1, "a b c a")
	n, err := sub.ReadBatch(bg, nil)
	require.NoError(t, err)
	require.Zero(t, n)
	coalescedCounts{offered: 4, left: 4}.require(t, sub)
	dst := make([]price, 2)
	n, err = sub.ReadBatch(bg, dst)
	require.NoError(t, err)
	require.Equal(t, []price{{Key: "b", Value: 2, Version: 2}, {Key: "c", Value: 3, Version: 3}}, dst[:n])
	set(t, hub, 5, "b")
	n, err = sub.ReadBatch(bg, dst)
	require.NoError(t, err)
	require.Equal(t, []price{{Key: "a", Value: 4, Version: 4}}, dst[:n], "a batch is of one pass")
	require.Equal(t, 5, next(t, sub).Value)
}

func TestCoalescing_All(t *testing.T) {
	hub := newCoalescing(t)
	sub := hub.Subscribe()
	set(t, hub, 1, "a b")
	for u := range sub.All(bg) {
		require.Equal(t, "a", u.Key)
		break
	}
	hub.Close()
	var got []price
	for u := range sub.All(bg) {
		got = append(got, u)
	}
	require.Equal(t, []price{{Key: "b", Value: 2, Version: 2}}, got)
}

func TestCoalescing_Filter(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newCoalescing(t)
		sub := hub.Subscribe(broadcast.WithFilter(func(u price) bool { return u.Value%2 == 0 }))
		set(t, hub, 1, "a b c a")
		require.Equal(t, price{Key: "b", Value: 2, Version: 2}, next(t, sub))
		require.Equal(t, price{Key: "a", Value: 4, Version: 4}, next(t, sub))
		s := sub.Stats()
		require.EqualValues(t, 1, s.Filtered)
		require.EqualValues(t, 1, s.Coalesced)
		require.Zero(t, s.Len)
		broadcasttest.CheckConservation(t, hub, broadcasttest.Counted[price](sub, 2))

		// One that keeps nothing away from a hot key still ends with its ctx.
		ctx, cancel := context.WithCancelCause(bg)
		none := hub.Subscribe(broadcast.WithFilter(func(u price) bool {
			if u.Value > 50 {
				cancel(errTest)
			}
			_ = hub.Publish("a", u.Value+1) // no lock is held
			return false
		}))
		_, err := none.Next(ctx)
		require.Equal(t, errTest, err)
	})
}

func TestCoalescing_FilterPanics(t *testing.T) {
	hub := newCoalescing(t)
	asked := 0
	sub := hub.Subscribe(broadcast.WithFilter(func(u price) bool {
		asked++
		if u.Key == "b" {
			panic(errTest)
		}
		return true
	}))
	set(t, hub, 1, "a b c")
	dst := make([]price, 3)
	n, err := sub.ReadBatch(bg, dst)
	require.NoError(t, err)
	require.Equal(t, 1, n, "what came before the panic")
	coalescedCounts{offered: 3, received: 1, left: 2}.require(t, sub)
	require.PanicsWithValue(t, errTest, func() { _, _ = sub.ReadBatch(bg, dst) })
	require.Equal(t, 3, asked)
	require.EqualValues(t, 1, sub.Stats().Dropped)
	require.Equal(t, "c", next(t, sub).Key)
	set(t, hub, 4, "b")
	require.PanicsWithValue(t, errTest, func() { _, _ = sub.Next(bg) })
	require.Zero(t, sub.Stats().Len)
	require.EqualValues(t, 2, hub.Stats().DroppedBy.Newest)
	broadcasttest.CheckConservation(t, hub, broadcasttest.Counted[price](sub, 2))
}

// A filter may close its own subscription.
func TestCoalescing_FilterCloses(t *testing.T) {
	hub := newCoalescing(t)
	var sub *coalescingSub
	sub = hub.Subscribe(broadcast.WithFilter(func(price) bool { sub.Close(); return false }))
	set(t, hub, 1, "a b")
	_, err := sub.Next(bg)
	require.Equal(t, broadcast.ErrClosed, err)
	require.EqualValues(t, 1, sub.Stats().Filtered)
	broadcasttest.CheckConservation(t, hub, broadcasttest.Counted[price](sub, 0))
}

func TestCoalescing_C(t *testing.T) {
	bubble(t, "drained", func(t *testing.T) {
		hub := newCoalescing(t)
		sub := hub.Subscribe()
		require.Equal(t, sub.C(), sub.C())
		set(t, hub, 1, "a")
		require.Equal(t, 1, (<-sub.C()).Value)
		synctest.Wait()
		coalescedCounts{offered: 1, received: 1}.require(t, sub)
		set(t, hub, 2, "a b")
		synctest.Wait()
		coalescedCounts{offered: 3, received: 1, left: 2}.require(t, sub)
		hub.Close()
		require.Equal(t, 2, (<-sub.C()).Value)
		require.Equal(t, 3, (<-sub.C()).Value)
		_, open := <-sub.C()
		require.False(t, open)
		require.Equal(t, broadcast.ErrClosed, sub.Err())
		broadcasttest.CheckConservation(t, hub, broadcasttest.Counted[price](sub, 3))
	})
	bubble(t, "closed with one in hand", func(t *testing.T) {
		for _, hubFirst := range []bool{false, true} {
			hub := newCoalescing(t)
			sub := hub.Subscribe()
			c := sub.C()
			set(t, hub, 1, "a b")
			synctest.Wait()
			if hubFirst {
				hub.Close()
			}
			sub.Close()
			synctest.Wait()
			_, open := <-c
			require.False(t, open)
			coalescedCounts{offered: 2, left: 2}.require(t, sub)
			require.Equal(t, c, sub.C())
		}
	})
	bubble(t, "context after the hub", func(t *testing.T) {
		hub := newCoalescing(t)
		ctx, cancel := context.WithCancel(bg)
		sub := hub.Subscribe(broadcast.WithContext(ctx))
		set(t, hub, 1, "a b")
		c := sub.C()
		hub.Close()
		synctest.Wait()
		cancel()
		synctest.Wait()
		_, open := <-c
		require.False(t, open, "nobody else would end its goroutine")
		require.Equal(t, broadcast.ErrClosed, sub.Err())
	})
	t.Run("and Next", func(t *testing.T) {
		hub := newCoalescing(t)
		sub := hub.Subscribe()
		sub.C()
		require.PanicsWithValue(t, "broadcast: a coalescing subscription is read by two at once, or by C and Next: "+
			"use one goroutine and one way, or one subscription for each", func() { _, _ = sub.Next(bg) })
	})
}

func TestCoalescing_Handle(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		var log strings.Builder
		hub := newCoalescing(t, broadcast.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		sub := hub.Subscribe(broadcast.WithName("screen"))
		got := make(chan price, 10)
		handle := func() error {
			return broadcast.Handle(bg, sub, func(_ context.Context, u price) error {
				got <- u
				switch u.Key {
				case "error":
					return errTest
				case "panic":
					panic(errTest)
				}
				return nil
			})
		}
		one, two := async(handle), async(handle) // they share it
		synctest.Wait()
		set(t, hub, 1, "a error panic b")
		synctest.Wait()
		require.Len(t, got, 4)
		s := hub.Stats()
		require.Equal(t, [2]uint64{1, 1}, [2]uint64{s.HandlerErrors, s.HandlerPanics})
		hub.Close()
		require.NoError(t, one.returned(t, "Handle"))
		require.NoError(t, two.returned(t, "Handle"))
		broadcasttest.CheckConservation(t, hub, broadcasttest.Counted[price](sub, 4))
		require.Contains(t, log.String(), "handler panicked")
	})
	bubble(t, "stops", func(t *testing.T) {
		hub := newCoalescing(t)
		sub := hub.Subscribe()
		ctx, cancel := context.WithCancelCause(bg)
		call := async(func() error {
			return broadcast.Handle(ctx, sub, func(context.Context, price) error { return nil })
		})
		call.requireBlocked(t, "Handle")
		cancel(errTest)
		require.Equal(t, errTest, call.returned(t, "Handle"))
		require.Equal(t, broadcast.ErrClosed, sub.Err())
		require.Zero(t, hub.Len())
	})
}

func TestCoalescing_Collector(t *testing.T) {
	hub := newCoalescing(t)
	registry := prometheus.NewRegistry()
	registry.MustRegister(broadcast.NewCollector("prices", hub, broadcast.WithPublishSampling(1)))
	sub := hub.Subscribe(broadcast.WithName("screen"))
	set(t, hub, 1, "a b a a")
	next(t, sub)
	next(t, sub)
	families, err := registry.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			switch {
			case m.Counter != nil:
				got[f.GetName()] += m.Counter.GetValue()
			case m.Gauge != nil:
				got[f.GetName()] += m.Gauge.GetValue()
			case m.Histogram != nil:
				got[f.GetName()] += float64(m.Histogram.GetSampleCount())
			}
		}
	}
	for name, want := range map[string]float64{
		"broadcast_published_total": 4, "broadcast_offered_total": 4, "broadcast_coalesced_total": 2,
		"broadcast_subscribers": 1, "broadcast_publish_duration_seconds": 4, "broadcast_dropped_total": 0,
	} {
		require.EqualValues(t, want, got[name], name)
	}
}

func TestCoalescing_Interest(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		var got []bool
		hub := newCoalescing(t, broadcast.WithInterest(func(active bool) { got = append(got, active) }))
		one, two := hub.Subscribe(), hub.Subscribe()
		one.Close()
		two.Close()
		hub.Subscribe()
		hub.Close()
		synctest.Wait()
		require.Equal(t, []bool{true, false, true, false}, got)
	})
}

func TestCoalescing_WrongPrograms(t *testing.T) {
	hub := newCoalescing(t)
	var none context.Context
	for text, fn := range map[string]func(){
		"WithRing: a coalescing hub has no ring: pass only": func() {
			broadcast.NewCoalescing[int, int](broadcast.WithRing(8))
		},
		"WithOnEject: a coalescing hub ejects nobody: pass only": func() {
			broadcast.NewCoalescing[int, int](broadcast.WithOnEject(func(broadcast.SubscriptionStats) {}))
		},
		"WithBuffer: a coalescing subscription":      func() { hub.Subscribe(broadcast.WithBuffer(0)) },
		"WithPolicy: a coalescing subscription":      func() { hub.Subscribe(broadcast.WithPolicy(broadcast.Block)) },
		"WithReplay: a coalescing subscription":      func() { hub.Subscribe(broadcast.WithReplay(1)) },
		"WithResumeAfter: a coalescing subscription": func() { hub.Subscribe(broadcast.WithResumeAfter(1)) },
		"pass a func(broadcast.Update[string,int":    func() { hub.Subscribe(broadcast.WithFilter(func(int) bool { return true })) },
		"Next: nil context":                          func() { _, _ = hub.Subscribe().Next(none) },
		"ReadBatch: nil context":                     func() { _, _ = hub.Subscribe().ReadBatch(none, nil) },
		"All: nil context":                           func() { hub.Subscribe().All(none) },
	} {
		require.Contains(t, panicText(fn), text)
	}
	odd := broadcast.NewCoalescing[any, int]()
	require.Contains(t, panicText(func() { _ = odd.Publish([]int{}, 1) }), "unhashable")
	var zero float64
	require.Contains(t, panicText(func() { _ = odd.Publish(zero/zero, 1) }), "NaN")
	require.NoError(t, odd.Publish(1, 1), "the hub goes on")
	require.Equal(t, 1, odd.Keys())
}

// panicText is what fn panics with, as text.
func panicText(fn func()) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	fn()
	return ""
}

// A value that was replaced, deleted or delivered is not kept.
func TestLaw7_Coalescing_ValuesAreNotKept(t *testing.T) {
	hub := broadcast.NewCoalescing[string, *[64]byte]()
	defer hub.Close()
	sub := hub.Subscribe()
	freed := make(chan int, 2)
	publish := func(key string, n int) {
		v := new([64]byte)
		runtime.AddCleanup(v, func(n int) { freed <- n }, n)
		require.NoError(t, hub.Publish(key, v))
	}
	publish("a", 1)
	publish("b", 2)
	_, err := sub.Next(bg)
	require.NoError(t, err)
	require.NoError(t, hub.Publish("a", nil))
	require.NoError(t, hub.Delete("b"))
	runtime.GC()
	got := []int{<-freed, <-freed}
	slices.Sort(got)
	require.Equal(t, []int{1, 2}, got)
	require.False(t, errors.Is(sub.Err(), broadcast.ErrClosed))
	runtime.KeepAlive(sub)
}
