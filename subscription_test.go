package broadcast_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

func TestSubscription_C(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	s := hub.Subscribe()
	require.Equal(t, s.C(), s.C())
	s.Close()
	require.Equal(t, s.C(), s.C())
	_, open := <-s.C()
	require.False(t, open)
}

// Several may receive from one subscription: each event goes to one of them.
func TestSubscription_SharedChannel(t *testing.T) {
	bubble(t, "workers", func(t *testing.T) {
		const n = 200
		hub := newHub[int](t, 2, broadcast.Block)
		s := hub.Subscribe()
		var mu sync.Mutex
		var got []int
		var workers sync.WaitGroup
		for range 4 {
			workers.Go(func() {
				for e := range s.C() {
					mu.Lock()
					got = append(got, e)
					mu.Unlock()
				}
			})
		}
		for e := range n {
			require.NoError(t, hub.Publish(bg, e))
		}
		s.Close()
		workers.Wait()
		slices.Sort(got)
		require.Equal(t, span(0, n-1), got)
		require.Equal(t, broadcast.SubscriptionStats{ID: 1, Cap: 2, Offered: n, Received: n}, s.Stats())
	})
}

func TestSubscription_Err(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	s := hub.Subscribe()
	require.NoError(t, s.Err())
	s.Close()
	require.Equal(t, broadcast.ErrClosed, s.Err())
	hub.CloseWithError(errTest)
	require.Equal(t, broadcast.ErrClosed, s.Err(), "its own reason stays")
}

// Stats are of the subscription as it is now, also after its end.
func TestSubscription_Stats(t *testing.T) {
	hub := newHub[int](t, 2, broadcast.DropNewest)
	require.NoError(t, hub.Publish(bg, 0))
	s := hub.Subscribe(broadcast.WithName("name"), broadcast.WithFilter(func(e int) bool { return e%2 == 0 }))
	want := broadcast.SubscriptionStats{ID: 1, Name: "name", Cap: 2}
	require.Equal(t, want, s.Stats())
	for e := 1; e <= 8; e++ {
		require.NoError(t, hub.Publish(bg, e))
	}
	want.Offered, want.Filtered, want.Dropped, want.Len = 8, 4, 2, 2
	require.Equal(t, want, s.Stats())
	<-s.C()
	want.Received, want.Len = 1, 1
	require.Equal(t, want, s.Stats())
	s.Close()
	require.NoError(t, hub.Publish(bg, 9))
	require.Equal(t, want, s.Stats())
	<-s.C()
	want.Received, want.Len = 2, 0
	require.Equal(t, want, s.Stats())
}

// Received is never negative, nor more than was offered, whenever one looks.
func TestFinePrint_Received(t *testing.T) {
	bubble(t, "in the middle of a publish", func(t *testing.T) {
		a := newAudit(newHub[int](t, 1, broadcast.Block))
		look := func() {
			for _, w := range a.all {
				if s := w.Stats(); s.Received > s.Offered || s.Received > uint64(len(w.got))+1 {
					t.Errorf("the consumer got %d: %+v", len(w.got), s)
				}
			}
		}
		for _, p := range everyAction()[1:] {
			a.subscribe(p, 1)
			a.subscribe(p, 1, broadcast.WithFilter(func(int) bool { look(); return true }))
			a.subscribe(broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { look(); return broadcast.DropOldest }), 1)
		}
		for e := range 20 {
			require.NoError(t, a.publish(bg, e))
			look()
			if e%3 == 0 {
				for _, w := range a.all {
					w.drain()
				}
			}
			checkLaws(t, a)
		}
	})
}
