package broadcast_test

import (
	"context"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// More full subscriptions than one reflect.Select takes are waited for together
// all the same: it matters to none of them on which side of the limit it is.
func TestLaw3_MoreThanSelectTakes(t *testing.T) {
	if testing.Short() {
		t.Skip("70,000 full subscriptions")
	}
	const n = 70_000
	require.Greater(t, n, broadcast.MaxSelect)
	first, middle, last := 0, n/2, n-1

	bubble(t, "room", func(t *testing.T) {
		_, subs, p := manyFull(t, n, bg)
		for _, i := range []int{last, middle, first} {
			require.Equal(t, 1, <-subs[i].C())
			p.requireBlocked(t, "publish")
			require.Equal(t, 1, subs[i].Stats().Len, "subscription %d has room, and must have the event", i)
		}
	})
	bubble(t, "leave", func(t *testing.T) {
		hub, subs, p := manyFull(t, n, bg)
		for _, i := range []int{last, middle, first} {
			subs[i].Close()
			p.requireBlocked(t, "publish")
			for range subs[i].C() { // ends: the channel is closed
			}
		}
		hub.Close()
		require.ErrorIs(t, p.returned(t, "publish whose hub closed"), broadcast.ErrPartial)
		require.EqualValues(t, n, hub.Stats().DroppedBy.Closed)
	})
	bubble(t, "context ends", func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(bg, time.Minute, errTest)
		defer cancel()
		hub, subs, p := manyFull(t, n, ctx)
		time.Sleep(time.Minute - 1)
		p.requireBlocked(t, "publish")
		time.Sleep(time.Nanosecond)
		require.ErrorIs(t, p.returned(t, "publish whose context ended"), errTest)
		require.EqualValues(t, n, hub.Stats().DroppedBy.Canceled)
		require.Equal(t, 1, subs[first].Stats().Len)
	})
	bubble(t, "context ends when there is room", func(t *testing.T) {
		ctx, cancel := context.WithCancel(bg)
		hub, subs, p := manyFull(t, n, ctx)
		require.Equal(t, 1, <-subs[last].C())
		require.Equal(t, 1, <-subs[first].C())
		cancel() // each of the two has the event or counts a drop
		require.ErrorIs(t, p.returned(t, "publish whose context ended"), broadcast.ErrPartial)
		got := subs[last].Stats().Len + subs[first].Stats().Len
		require.EqualValues(t, n-got, hub.Stats().DroppedBy.Canceled)
	})
	bubble(t, "all drain", func(t *testing.T) {
		hub, subs, p := manyFull(t, n, bg)
		for _, s := range subs {
			require.Equal(t, 1, <-s.C())
		}
		require.NoError(t, p.returned(t, "publish with room everywhere"))
		for _, s := range subs {
			require.Equal(t, 2, <-s.C())
		}
		require.Zero(t, hub.Stats().Dropped)
	})
}

// manyFull is a hub with n full subscriptions and a publish of 2 that waits for
// them.
func manyFull(t *testing.T, n int, ctx context.Context) (*broadcast.Hub[int], []*broadcast.Subscription[int], running[error]) {
	hub := newHub[int](t, 1, broadcast.Block)
	subs := make([]*broadcast.Subscription[int], n)
	for i := range subs {
		subs[i] = hub.Subscribe()
	}
	require.NoError(t, hub.Publish(bg, 1))
	p := async(func() error { return hub.Publish(ctx, 2) })
	p.requireBlocked(t, "publish to full subscriptions")
	return hub, subs, p
}
