package broadcast_test

import (
	"context"
	"errors"
	"testing"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

func TestHub_Publish(t *testing.T) {
	bubble(t, "everyone gets everything in order", func(t *testing.T) {
		a := newAudit(newHub[int](t, 3, broadcast.Block))
		one, two := a.subscribe(broadcast.Block, 3), a.subscribe(broadcast.Block, 3)
		require.NoError(t, a.publish(bg, 1, 2, 3))
		require.Equal(t, []int{1, 2, 3}, one.drain())
		require.Equal(t, []int{1, 2, 3}, two.drain())
		checkLaws(t, a)
	})
	bubble(t, "errors are the bare causes unless partial", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block)
		ctx, cancel := context.WithCancelCause(bg)
		cancel(nil)
		require.Equal(t, context.Canceled, hub.Publish(ctx, 1))
		hub.Close()
		require.Equal(t, broadcast.ErrClosed, hub.Publish(bg, 1))
	})
	bubble(t, "text of a partial error", func(t *testing.T) {
		b := newBlockedHub(t, 1, false)
		b.cancel(errTest)
		err := b.publish.returned(t, "publish whose context ended")
		require.EqualError(t, err, broadcast.ErrPartial.Error()+": "+errTest.Error())
	})
}

// An eject in the middle of a pass must not make it miss or serve anyone twice,
// wherever the ejected stand.
func TestHub_Publish_EjectsDuringThePass(t *testing.T) {
	for mask := range 1 << 5 {
		a := newAudit(newHub[int](t, 1, broadcast.Eject))
		for i := range 5 {
			if mask>>i&1 == 1 {
				a.subscribe(broadcast.Eject, 1)
			} else {
				a.subscribe(broadcast.Eject, 3)
			}
		}
		require.NoError(t, a.publish(bg, 1, 2, 3))
		for i, w := range a.all {
			if mask>>i&1 == 1 {
				require.Equal(t, broadcast.ErrEjected, w.Err())
				require.Equal(t, []int{1}, w.drain())
			} else {
				require.NoError(t, w.Err())
				require.Equal(t, []int{1, 2, 3}, w.drain())
			}
		}
		checkLaws(t, a)
	}
}

func TestHub_Len(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	require.Zero(t, hub.Len())
	one, two := hub.Subscribe(), hub.Subscribe()
	require.Equal(t, 2, hub.Len())
	one.Close()
	one.Close()
	require.Equal(t, 1, hub.Len())
	two.Close()
	require.Zero(t, hub.Len())
	hub.Subscribe()
	hub.Close()
	require.Zero(t, hub.Len())
}

func TestHub_Epoch(t *testing.T) {
	seen := map[uint64]bool{0: true}
	for range 100 {
		hub := newHub[int](t, 1, broadcast.Block)
		require.NotContains(t, seen, hub.Epoch())
		require.Equal(t, hub.Epoch(), hub.Epoch())
		seen[hub.Epoch()] = true
	}
}

// IDs count from 1 in the order of Subscribe and are not used again.
func TestHub_Subscribe_IDs(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	for i := range 50 {
		s := hub.Subscribe()
		require.EqualValues(t, i+1, s.Stats().ID)
		if i%2 == 0 {
			s.Close()
			require.EqualValues(t, i+1, s.Stats().ID)
		}
	}
}

func TestHub_Subscriptions(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	all := func() map[uint64]int {
		seen := map[uint64]int{}
		for s := range hub.Subscriptions() {
			seen[s.ID]++
		}
		return seen
	}
	require.Empty(t, all())
	subs := map[uint64]*broadcast.Subscription[int]{}
	want := map[uint64]int{}
	for range 100 {
		s := hub.Subscribe()
		id := s.Stats().ID
		subs[id], want[id] = s, 1
	}
	require.Equal(t, want, all())
	for id := uint64(1); id <= 100; id += 3 {
		subs[id].Close()
		delete(want, id)
	}
	require.Equal(t, want, all())

	seen := 0
	for range hub.Subscriptions() {
		if seen++; seen == 5 {
			break
		}
	}
	require.Equal(t, 5, seen)

	// No lock is held: the body may do anything, even end those that are to come.
	seen = 0
	for s := range hub.Subscriptions() {
		seen++
		require.NoError(t, hub.Publish(bg, 1))
		hub.Subscribe().Close()
		for _, sub := range subs {
			sub.Close()
		}
		require.NotZero(t, s.ID)
	}
	require.Equal(t, 1, seen)
	hub.Close()
	require.Empty(t, all())
}

func TestErrors(t *testing.T) {
	all := []error{broadcast.ErrClosed, broadcast.ErrEjected, broadcast.ErrPartial}
	for i, err := range all {
		for j, other := range all {
			require.Equal(t, i == j, errors.Is(err, other))
		}
		require.Contains(t, err.Error(), "broadcast: ")
	}
}
