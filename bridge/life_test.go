package bridge_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/stretchr/testify/require"
)

var errBad = errors.New("bad message")

// A topic is idle, starting, live, lingering and stopped, in this order.
func TestTopic_Life(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		require.Empty(t, states(b), "idle")

		m.Mute(true)
		first := async(func() error { _, err := b.Subscribe(bg, "a"); return err })
		first.requireBlocked(t, "Subscribe before the system has confirmed")
		require.Equal(t, bridge.Starting, states(b)["a"])
		m.Mute(false)
		require.NoError(t, first.returned(t, "Subscribe"))
		require.Equal(t, bridge.Live, states(b)["a"])
		b.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		s := subscribe(t, b, "a")
		publish(m, "a", "1", "2")
		require.Equal(t, []string{"1", "2"}, taken(s))

		s.Close()
		synctest.Wait()
		require.Equal(t, bridge.Lingering, states(b)["a"])
		time.Sleep(5*time.Second - time.Nanosecond)
		synctest.Wait()
		require.Equal(t, 1, m.Subscriptions("a"), "just before the end of the linger")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, 0, m.Subscriptions("a"), "behind the linger")
		require.Empty(t, states(b), "stopped")

		s = subscribe(t, b, "a")
		require.Equal(t, 2, m.Runs("a"))
		publish(m, "a", "3")
		require.Equal(t, []string{"3"}, taken(s))
	})
}

// A subscriber during the linger revives the topic with no network call, and what
// came meanwhile is in the ring.
func TestTopic_LingerRevived(t *testing.T) {
	for _, pause := range []time.Duration{0, time.Second, 5*time.Second - time.Nanosecond} {
		bubble(t, pause.String(), func(t *testing.T) {
			m := bridgetest.NewMemory(radio)
			b := newBridge(t, m)
			subscribe(t, b, "a").Close()
			time.Sleep(pause)
			publish(m, "a", "1")
			synctest.Wait()
			s := subscribe(t, b, "a", broadcast.WithReplay(1))
			publish(m, "a", "2")
			require.Equal(t, []string{"1", "2"}, taken(s))
			require.Equal(t, 1, m.Runs("a"))

			// The linger begins anew with the last one who leaves.
			s.Close()
			time.Sleep(5*time.Second - time.Nanosecond)
			synctest.Wait()
			require.Equal(t, 1, m.Subscriptions("a"))
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			require.Equal(t, 0, m.Subscriptions("a"))
		})
	}
}

// A visit so short that the topic sees nothing but its end makes the linger begin
// anew too.
func TestTopic_LingerFromTheLastVisit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		subscribe(t, b, "a").Close()
		for range 20 {
			time.Sleep(5*time.Second - time.Nanosecond)
			subscribe(t, b, "a").Close()
		}
		synctest.Wait()
		require.Equal(t, 1, m.Runs("a"))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Equal(t, 0, m.Subscriptions("a"))
	})
}

// A visit at the very moment at which the linger ends: the topic stops before it, or
// it lingers again.
func TestTopic_VisitAtTheEndOfTheLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const linger = time.Second
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m, bridge.WithLinger(linger))
		for range 300 {
			subscribe(t, b, "a").Close()
			time.Sleep(linger)
			subscribe(t, b, "a").Close()
			time.Sleep(linger - time.Nanosecond)
			synctest.Wait()
			require.Equal(t, 1, m.Subscriptions("a"))
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			require.Equal(t, 0, m.Subscriptions("a"))
		}
	})
}

func TestTopic_NoLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m, bridge.WithLinger(0))
		for range 3 {
			s := subscribe(t, b, "a")
			require.Equal(t, 1, m.Subscriptions("a"))
			s.Close()
			synctest.Wait()
			require.Equal(t, 0, m.Subscriptions("a"))
		}
		require.Equal(t, 3, m.Runs("a"))
	})
}

// Every way in which a subscriber can leave starts the linger.
func TestTopic_EveryWayToLeave(t *testing.T) {
	ways := map[string]func(t *testing.T, m *bridgetest.Memory, b *bridge.Bridge[string]){
		"Close": func(t *testing.T, _ *bridgetest.Memory, b *bridge.Bridge[string]) { subscribe(t, b, "a").Close() },
		"reader's Close": func(t *testing.T, _ *bridgetest.Memory, b *bridge.Bridge[string]) {
			newReader(t, b, "a").Close()
		},
		"WithContext": func(t *testing.T, _ *bridgetest.Memory, b *bridge.Bridge[string]) {
			ctx, cancel := context.WithCancel(bg)
			subscribe(t, b, "a", broadcast.WithContext(ctx))
			newReader(t, b, "a", broadcast.WithContext(ctx))
			cancel()
		},
		"a context that was done": func(t *testing.T, _ *bridgetest.Memory, b *bridge.Bridge[string]) {
			ctx, cancel := context.WithCancel(bg)
			cancel()
			s := subscribe(t, b, "a", broadcast.WithContext(ctx))
			require.ErrorIs(t, s.Err(), context.Canceled)
		},
		"Eject": func(t *testing.T, m *bridgetest.Memory, b *bridge.Bridge[string]) {
			s := subscribe(t, b, "a", broadcast.WithBuffer(1), broadcast.WithPolicy(broadcast.Eject))
			r := newReader(t, b, "a", broadcast.WithBuffer(1), broadcast.WithPolicy(broadcast.Eject))
			publish(m, "a", "1", "2", "3")
			synctest.Wait()
			require.ErrorIs(t, s.Err(), broadcast.ErrEjected)
			require.ErrorIs(t, r.Err(), broadcast.ErrEjected)
		},
	}
	for name, leave := range ways {
		bubble(t, name, func(t *testing.T) {
			m := bridgetest.NewMemory(radio)
			b := newBridge(t, m)
			leave(t, m, b)
			synctest.Wait()
			require.Equal(t, bridge.Lingering, states(b)["a"])
			time.Sleep(5 * time.Second)
			synctest.Wait()
			require.Equal(t, 0, m.Subscriptions("a"))
			require.Empty(t, states(b))
		})
	}
}
