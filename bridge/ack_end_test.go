package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/stretchr/testify/require"
)

// Shutdown acknowledges what was released, until the end of the draining, also where
// a message waits for its place in the ring.
func TestAck_Shutdown(t *testing.T) {
	for _, ring := range []int{4096, 5} {
		bubble(t, fmt.Sprint("ring=", ring), func(t *testing.T) {
			m := bridgetest.NewMemory(queue)
			b := newAckBridge(t, &strictAcks{Memory: m}, bridge.WithHub(1, broadcast.Block, broadcast.WithRing(ring)))
			r := newReader(t, b, "a")
			publish(m, "a", "1", "2", "3", "4", "5")
			synctest.Wait()
			if ring == 5 {
				publish(m, "a", "6")
				synctest.Wait()
			}
			shutdown := async(func() error { return b.Shutdown(bg) })
			shutdown.requireBlocked(t, "Shutdown with a reader that has not drained")
			require.Equal(t, bridge.Stopping, states(b)["a"])
			publish(m, "a", "late")
			for want := range uint64(5) {
				next(t, r, 1)
				require.Equal(t, want, acked(m))
			}
			time.Sleep(time.Second)
			shutdown.requireBlocked(t, "Shutdown with an event that is not released")
			_, err := r.Next(bg)
			require.ErrorIs(t, err, broadcast.ErrClosed)
			time.Sleep(time.Second)
			require.NoError(t, shutdown.returned(t, "Shutdown"))
			require.Equal(t, uint64(5), acked(m))
			require.Zero(t, m.Subscriptions("a"))
		})
	}
}

// strictAcks is a source that can acknowledge only while its Run is there.
type strictAcks struct {
	*bridgetest.Memory
	runs atomic.Int64
}

func (s *strictAcks) Run(ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
	s.runs.Add(1)
	defer s.runs.Add(-1)
	return s.Memory.Run(ctx, pattern, from, sink)
}

func (s *strictAcks) Ack(ctx context.Context, pattern string, n uint64) error {
	if s.runs.Load() == 0 {
		return errors.New("too late")
	}
	return s.Memory.Ack(ctx, pattern, n)
}

// Close acknowledges nothing more.
func TestAck_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &failingAcks{Memory: bridgetest.NewMemory(queue)}
		m.fail.Store(true)
		b := newAckBridge(t, m)
		r := newReader(t, b, "a")
		publish(m.Memory, "a", "1", "2")
		next(t, r, 2)
		synctest.Wait()
		m.fail.Store(false)
		b.Close()
		require.Zero(t, m.Acked("a"))
	})
}

// The end of a linger acknowledges what was released.
func TestAck_EndOfTheLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &failingAcks{Memory: bridgetest.NewMemory(queue)}
		m.fail.Store(true)
		b := newAckBridge(t, m, bridge.WithLinger(time.Second), bridge.WithBackoff(time.Hour, time.Hour))
		r := newReader(t, b, "a")
		publish(m.Memory, "a", "1", "2")
		next(t, r, 2)
		synctest.Wait()
		r.Close()
		m.fail.Store(false)
		time.Sleep(time.Second)
		require.Equal(t, uint64(1), acked(m.Memory))
		require.Empty(t, states(b))
	})
}

// At its deadline Shutdown acknowledges what was released by then.
func TestAck_ShutdownInTime(t *testing.T) {
	for _, deadline := range []time.Duration{0, time.Second} {
		bubble(t, deadline.String(), func(t *testing.T) {
			m := bridgetest.NewMemory(queue)
			b := newAckBridge(t, m)
			r := newReader(t, b, "a")
			publish(m, "a", "1", "2")
			next(t, r, 2) // nothing is buffered, and one is not released
			ctx, cancel := context.WithTimeout(bg, deadline)
			defer cancel()
			err := b.Shutdown(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, `topic "a"`)
			require.Equal(t, uint64(1), acked(m))
		})
	}
}

// A reader that has left before its events were released is not waited for.
func TestAck_ShutdownWithoutReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(queue)
		b := newAckBridge(t, m)
		r := newReader(t, b, "a")
		publish(m, "a", "1", "2", "3")
		next(t, r, 2)
		r.Close()
		require.NoError(t, b.Shutdown(bg))
		require.Equal(t, uint64(1), acked(m))
	})
}
