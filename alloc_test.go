//go:build !race

package broadcast_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// A publish that does not wait allocates nothing, whatever it finds. The race
// detector allocates, so these tests are not for it.
func TestAllocs_Publish(t *testing.T) {
	const runs = 1000 // and one more, to warm up
	yes := broadcast.WithFilter(func([64]byte) bool { return true })
	no := broadcast.WithFilter(func([64]byte) bool { return false })
	answer := func(a broadcast.Action) broadcast.Policy {
		return broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { return a })
	}
	policies := append(everyAction(), answer(broadcast.DropOldest), broadcast.BlockFor(time.Second, broadcast.Eject))
	for _, c := range []struct {
		name     string
		policies []broadcast.Policy
		buffer   int
		opts     []broadcast.SubscribeOption
	}{
		{"room", policies, runs + 10, nil},
		{"room, filtered", policies, runs + 10, []broadcast.SubscribeOption{yes}},
		{"rejected", policies, 1, []broadcast.SubscribeOption{no}},
		{"full, DropNewest", []broadcast.Policy{broadcast.DropNewest}, 2, nil},
		{"full, DropOldest", []broadcast.Policy{broadcast.DropOldest}, 2, nil},
		{"full, DropNewest, filtered", []broadcast.Policy{broadcast.DropNewest}, 2, []broadcast.SubscribeOption{yes}},
		{"full, DropOldest, filtered", []broadcast.Policy{broadcast.DropOldest}, 2, []broadcast.SubscribeOption{yes}},
		{"full, PolicyFunc", []broadcast.Policy{answer(broadcast.DropNewest), answer(broadcast.DropOldest)}, 2, nil},
		{"full, BlockFor 0", []broadcast.Policy{broadcast.BlockFor(0, broadcast.DropOldest)}, 2, nil},
		{"hand-off", []broadcast.Policy{broadcast.DropNewest, broadcast.DropOldest}, 0, nil},
		{"nobody", nil, 0, nil},
	} {
		for _, crowd := range []int{1, 100} {
			hub := newHub[[64]byte](t, c.buffer, broadcast.Block)
			for _, p := range c.policies {
				for range crowd {
					hub.Subscribe(append(c.opts, broadcast.WithPolicy(p))...)
				}
			}
			var event [64]byte
			got := testing.AllocsPerRun(runs, func() { _ = hub.Publish(bg, event) })
			require.Zero(t, got, "%s, %d of each", c.name, crowd)
		}
	}
}

func TestAllocs_CancelableContextWithRoom(t *testing.T) {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	hub := newHub[int](t, 1, broadcast.Block)
	s := hub.Subscribe()
	filtered := hub.Subscribe(broadcast.WithFilter(func(int) bool { return true }), broadcast.WithContext(ctx))
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		_ = hub.Publish(ctx, 1)
		<-s.C()
		<-filtered.C()
	}))
}

func TestAllocs_PublishBatch(t *testing.T) {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	hub := newHub[int](t, 4, broadcast.DropNewest)
	s := hub.Subscribe(broadcast.WithPolicy(broadcast.Block))
	hub.Subscribe()
	hub.Subscribe(broadcast.WithPolicy(broadcast.DropOldest))
	hub.Subscribe(broadcast.WithFilter(func(e int) bool { return e%2 == 0 }))
	events := []int{1, 2, 3, 4}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		_, _ = hub.PublishBatch(ctx, events)
		for range events {
			<-s.C()
		}
	}))
}

// A logger, and hooks, cost nothing where nothing is lost and nobody leaves.
func TestAllocs_WithLoggerAndHooks(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block, broadcast.WithLogger(slog.New(slog.DiscardHandler)),
		broadcast.WithInterest(func(bool) {}), broadcast.WithOnEject(func(broadcast.SubscriptionStats) {}))
	s := hub.Subscribe()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		_ = hub.Publish(bg, 1)
		<-s.C()
	}))
	require.NoError(t, hub.Shutdown(bg))
}

// Those who look, and those who come and go, are cheap too.
func TestAllocs_Others(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	s := hub.Subscribe()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		_, _, _, _, _ = hub.Stats(), hub.Len(), hub.Epoch(), s.Stats(), s.Err()
	}))
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() { hub.Subscribe().Close() }), 4.0)
	s.Close()
	hub.Close()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		_ = hub.Publish(bg, 1)
		s.Close()
		hub.Close()
	}))
}
