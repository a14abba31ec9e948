package broadcast_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// Shutdown waits until the event in flight to a subscription has come to an end, also
// when the last Handle of every subscription has returned: only then its channel closes.
func TestLaw5_ShutdownWaitsForTheFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := broadcast.New[int](1, broadcast.Block)
		refuse, release := make(chan struct{}), make(chan struct{})
		s := hub.Subscribe()
		filtered := hub.Subscribe(broadcast.WithFilter(func(event int) bool {
			if event == 3 {
				<-release
			}
			return false
		}))
		refused := errors.New("refused")
		handled := make(chan error, 1)
		go func() {
			handled <- broadcast.Handle(context.Background(), s, func(context.Context, int) error {
				<-refuse
				return refused
			}, broadcast.StopOnError())
		}()
		ctx, cancel := context.WithCancel(context.Background())
		canceled := make(chan error, 1)
		go func() {
			canceled <- broadcast.Handle(ctx, filtered, func(context.Context, int) error { return nil })
		}()
		require.NoError(t, hub.Publish(context.Background(), 1))
		synctest.Wait() // the handler has it
		require.NoError(t, hub.Publish(context.Background(), 2))
		published, over := make(chan error, 1), make(chan error, 1)
		go func() { published <- hub.Publish(context.Background(), 3) }()
		synctest.Wait() // s is full, and the publisher in the filter
		go func() { over <- hub.Shutdown(context.Background()) }()
		synctest.Wait()
		close(refuse)
		require.ErrorIs(t, <-handled, refused)
		cancel()
		require.ErrorIs(t, <-canceled, context.Canceled)

		time.Sleep(time.Minute)
		require.Empty(t, over, "the event is in flight")
		close(release)
		require.ErrorIs(t, <-published, broadcast.ErrPartial)
		require.ErrorContains(t, <-over, "the last Handle that took them has returned")
		require.Equal(t, 2, <-s.C())
		_, open := <-s.C()
		require.False(t, open)
		require.EqualValues(t, 1, s.Stats().Dropped)
		require.EqualValues(t, 3, filtered.Stats().Filtered)
	})
}

// The filter of a subscription that has left is not asked: of two that close each other,
// one is.
func TestLaw8_FilterOfWhoHasLeft(t *testing.T) {
	hub := broadcast.New[int](1, broadcast.Block)
	defer hub.Close()
	var subs [2]*broadcast.Subscription[int]
	asked := 0
	for i := range subs {
		subs[i] = hub.Subscribe(broadcast.WithFilter(func(int) bool {
			asked++
			subs[1-i].Close()
			return true
		}))
	}
	require.NoError(t, hub.Publish(context.Background(), 1))
	require.Equal(t, 1, asked)
	require.Equal(t, 1, hub.Len())
	stats := hub.Stats()
	require.EqualValues(t, 1, stats.DroppedBy.Closed, "%+v", stats)
}
