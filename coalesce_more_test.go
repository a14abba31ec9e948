package broadcast_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/broadcasttest"
	"github.com/stretchr/testify/require"
)

// Whoever has received from C is at a quiet point at once: the update counts as
// received, and nothing is left when that was all.
func TestLaw2_Coalescing_C_CountsAtOnce(t *testing.T) {
	hub := newCoalescing(t)
	sub := hub.Subscribe()
	c := sub.C()
	const n = 2000
	for i := range n {
		set(t, hub, i+1, "a")
		u := <-c
		require.EqualValues(t, i+1, u.Version)
		coalescedCounts{offered: uint64(i + 1), received: uint64(i + 1)}.require(t, sub)
		require.True(t, sub.Synced())
		broadcasttest.CheckConservation(t, hub, broadcasttest.Counted[price](sub, uint64(i+1)))
	}
}

// An update that the goroutine of C has in hand is not received, whoever asks
// and how often, and it is still handed over, once.
func TestLaw2_Coalescing_C_InHand(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newCoalescing(t)
		sub := hub.Subscribe()
		set(t, hub, 1, "a b a")
		c := sub.C()
		synctest.Wait()
		for range 3 {
			coalescedCounts{offered: 3, left: 3}.require(t, sub)
		}
		require.Equal(t, 2, (<-c).Value)
		synctest.Wait()
		// The pass has no more than what is in hand.
		coalescedCounts{offered: 3, received: 1, left: 1, coalesced: 1}.require(t, sub)
		require.Equal(t, 3, (<-c).Value)
		coalescedCounts{offered: 3, received: 2, coalesced: 1}.require(t, sub)
		set(t, hub, 4, "c")
		synctest.Wait()
		sub.Close()
		coalescedCounts{offered: 4, received: 2, left: 1, coalesced: 1}.require(t, sub)
		synctest.Wait()
		_, open := <-c
		require.False(t, open)
		coalescedCounts{offered: 4, received: 2, left: 1, coalesced: 1}.require(t, sub)
		broadcasttest.CheckConservation(t, hub, broadcasttest.Counted[price](sub, 2))
	})
}

// It is not synced while the last of the state is in hand.
func TestCoalescing_C_Synced(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newCoalescing(t)
		set(t, hub, 1, "a b")
		sub := hub.Subscribe()
		c := sub.C()
		for _, value := range []int{1, 2} {
			synctest.Wait()
			require.False(t, sub.Synced())
			require.Equal(t, value, (<-c).Value)
		}
		require.True(t, sub.Synced())
	})
}

// The context that ends when the hub has closed ends the goroutine of C, which
// has the last update in hand.
func TestLaw7_Coalescing_C_ContextAfterTheHub(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newCoalescing(t)
		ctx, cancel := context.WithCancel(bg)
		sub := hub.Subscribe(broadcast.WithContext(ctx))
		set(t, hub, 1, "a")
		c := sub.C()
		synctest.Wait()
		hub.Close()
		cancel()
		synctest.Wait()
		_, open := <-c
		require.False(t, open)
		coalescedCounts{offered: 1, left: 1}.require(t, sub)
	})
}

// Many who ask, while updates are handed over and the subscription ends.
func TestCoalescing_C_ConcurrentSafe(t *testing.T) {
	for range 20 {
		hub := newCoalescing(t)
		sub := hub.Subscribe()
		c := sub.C()
		var running sync.WaitGroup
		for range 4 {
			running.Go(func() {
				last := sub.Stats()
				for sub.Err() == nil {
					s := sub.Stats()
					if s.Received < last.Received || s.Coalesced < last.Coalesced || s.Len < 0 {
						t.Errorf("law 2: %+v after %+v", s, last)
						return
					}
					last = s
					sub.Synced()
				}
			})
		}
		running.Go(func() {
			for i := range 200 {
				_ = hub.Publish("a", i)
				_ = hub.Publish("b", i)
			}
			hub.Close()
		})
		count := uint64(0)
		for range c {
			count++
			if s := sub.Stats(); s.Received != count {
				t.Fatalf("law 2: Received = %d, want %d", s.Received, count)
			}
		}
		running.Wait()
		broadcasttest.CheckConservation(t, hub, broadcasttest.Counted[price](sub, count))
		require.Zero(t, sub.Stats().Len)
	}
}

// A subscription that ended before C was called has no goroutine to ask.
func TestCoalescing_C_AfterTheEnd(t *testing.T) {
	hub := newCoalescing(t)
	sub := hub.Subscribe()
	set(t, hub, 1, "a")
	sub.Close()
	_, open := <-sub.C()
	require.False(t, open)
	coalescedCounts{offered: 1, left: 1}.require(t, sub)
	require.Equal(t, broadcast.ErrClosed, sub.Err())
}

// Law 2: what a batch had in hand when its filter ended the goroutine was received by
// nobody.
func TestLaw2_Coalescing_FilterEndsTheGoroutine(t *testing.T) {
	hub := broadcast.NewCoalescing[int, int]()
	defer hub.Close()
	sub := hub.Subscribe(broadcast.WithFilter(func(u broadcast.Update[int, int]) bool {
		if u.Key == 2 {
			runtime.Goexit()
		}
		return true
	}))
	require.NoError(t, hub.Publish(1, 1))
	require.NoError(t, hub.Publish(2, 2))
	elsewhere(func() { _, _ = sub.ReadBatch(bg, make([]broadcast.Update[int, int], 4)) })
	st := sub.Stats()
	require.Zero(t, st.Received)
	require.EqualValues(t, 1, st.Dropped)
	require.Equal(t, 1, st.Len)
	require.EqualValues(t, 1, hub.Stats().Dropped)
}

// Law 5: the channel of C closes with a reason, also when the filter ends the goroutine.
func TestLaw5_Coalescing_FilterEndsTheGoroutineOfC(t *testing.T) {
	hub := broadcast.NewCoalescing[int, int]()
	defer hub.Close()
	sub := hub.Subscribe(broadcast.WithFilter(func(broadcast.Update[int, int]) bool {
		runtime.Goexit()
		return true
	}))
	require.NoError(t, hub.Publish(1, 1))
	_, ok := <-sub.C()
	require.False(t, ok)
	require.ErrorIs(t, sub.Err(), broadcast.ErrClosed)
	require.Zero(t, hub.Len())
}
