package broadcast_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// Once the hub was closed, each panic of a handler that drained it had a line of
// its own.
func TestRegression_LogKeepsItsPaceAfterClose(t *testing.T) {
	bubble(t, "all", func(t *testing.T) {
		l := newLogbook()
		hub := newHub[int](t, 1000, broadcast.Block, l.option())
		s := hub.Subscribe()
		for i := range 1000 {
			require.NoError(t, hub.Publish(bg, i))
		}
		hub.Close()
		require.NoError(t, broadcast.Handle(bg, s, func(context.Context, int) error {
			time.Sleep(time.Millisecond)
			panic("the database is closed")
		}))
		time.Sleep(2 * time.Second)
		lines := l.take()
		require.LessOrEqual(t, len(lines), 4, "in one second of panics: %v", lines)
		require.Equal(t, uint64(1000), hub.Stats().HandlerPanics)
	})
}

// Len and Stats added up shards at different moments, so that of two members of
// which one was always live they saw none, or three.
func TestRegression_LenIsOfOneMoment(t *testing.T) {
	hub := newHub[int](t, 0, broadcast.DropNewest)
	last := hub.Subscribe()
	stop := make(chan struct{})
	var replacing sync.WaitGroup
	replacing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				next := hub.Subscribe()
				last.Close()
				last = next
			}
		}
	})
	defer replacing.Wait()
	defer close(stop)
	for range 50_000 {
		n, m := hub.Len(), hub.Stats().Subscribers
		if n < 1 || n > 2 || m < 1 || m > 2 {
			t.Fatalf("Len = %d, Subscribers = %d, want 1 or 2", n, m)
		}
	}
}

// Shutdown waited for ever for what a Handle had left behind that nobody else
// would read.
func TestRegression_ShutdownDoesNotWaitForWhatHandleLeft(t *testing.T) {
	bubble(t, "all", func(t *testing.T) {
		hub := newHub[int](t, 8, broadcast.Block)
		s := hub.Subscribe()
		for i := range 5 {
			require.NoError(t, hub.Publish(bg, i))
		}
		hub.Close()
		failed := errors.New("failed")
		require.ErrorIs(t, broadcast.Handle(bg, s, func(context.Context, int) error { return failed }, broadcast.StopOnError()), failed)
		ctx, cancel := context.WithTimeout(bg, time.Minute)
		defer cancel()
		start := time.Now()
		require.EqualError(t, hub.Shutdown(ctx), "broadcast: shutdown: 4 events are still buffered in 1 subscription(s) (#1: 4), "+
			"and the last Handle that took them has returned")
		require.Zero(t, time.Since(start))
		require.Equal(t, 4, s.Stats().Len, "what is left stays readable")
		for range s.C() {
		}
		require.NoError(t, hub.Shutdown(ctx))
	})
}

// The cause of a context that happened to be ErrClosed was taken for the end of
// the stream.
func TestRegression_HandleReturnsTheCauseOfItsContext(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	defer hub.Close()
	ctx, cancel := context.WithCancelCause(bg)
	cancel(broadcast.ErrClosed)
	err := broadcast.Handle(ctx, hub.Subscribe(), func(context.Context, int) error { return nil })
	require.Equal(t, broadcast.ErrClosed, err)
}

// A *PanicError that a handler returned was counted as a panic of its own.
func TestRegression_ReturnedPanicErrorIsAnError(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	s := hub.Subscribe()
	require.NoError(t, hub.Publish(bg, 1))
	hub.Close()
	require.NoError(t, broadcast.Handle(bg, s, func(context.Context, int) error { return &broadcast.PanicError{Value: 1} }))
	require.Equal(t, uint64(1), hub.Stats().HandlerErrors)
	require.Zero(t, hub.Stats().HandlerPanics)
}

type panicsInString struct{}

func (panicsInString) String() string { panic(panicsInString{}) }

// The text of a panic's value could panic its way out of Handle.
func TestRegression_PanicWhoseTextPanics(t *testing.T) {
	bubble(t, "all", func(t *testing.T) {
		l := newLogbook()
		hub := newHub[int](t, 2, broadcast.Block, l.option())
		s := hub.Subscribe()
		require.NoError(t, hub.Publish(bg, 1))
		require.NoError(t, hub.Publish(bg, 2))
		hub.Close()
		require.NoError(t, broadcast.Handle(bg, s, func(context.Context, int) error { panic(panicsInString{}) }))
		require.Equal(t, uint64(2), hub.Stats().HandlerPanics)
		require.NoError(t, hub.Shutdown(bg))
	})
}

// The time that filters of others took counted as time that a publish waited for
// room, for BlockFor alone.
func TestRegression_WaitIsMeasuredFromTheWait(t *testing.T) {
	for _, policy := range []broadcast.Policy{broadcast.Block, broadcast.BlockFor(time.Hour, broadcast.Eject)} {
		bubble(t, fmt.Sprintf("%T", policy), func(t *testing.T) {
			hub := newHub[int](t, 1, policy)
			reg := prometheus.NewPedanticRegistry()
			require.NoError(t, reg.Register(broadcast.NewCollector("h", hub)))
			s := hub.Subscribe()
			hub.Subscribe(broadcast.WithBuffer(9), broadcast.WithFilter(func(int) bool {
				time.Sleep(10 * time.Second)
				return true
			}))
			require.NoError(t, hub.Publish(bg, 1))
			done := async(func() error { return hub.Publish(bg, 2) })
			time.Sleep(11 * time.Second)
			<-s.C()
			require.NoError(t, done.returned(t, "publish with room"))
			families, err := reg.Gather()
			require.NoError(t, err)
			for _, f := range families {
				if f.GetName() == "broadcast_publish_wait_seconds" {
					require.InDelta(t, 1, f.GetMetric()[0].GetHistogram().GetSampleSum(), 1e-9)
					return
				}
			}
			t.Fatal("no broadcast_publish_wait_seconds")
		})
	}
}
