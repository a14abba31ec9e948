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

// A publish to a ring allocates at most one chunk for every 64 events, and reading
// nothing, whatever the readers do. (TestRing_UsesChunksAgain has those who need none.)
func TestAllocs_Readers(t *testing.T) {
	for _, p := range []broadcast.Policy{
		broadcast.Block, broadcast.DropOldest,
		broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { return broadcast.DropOldest }),
	} {
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		hub := newHub[[64]byte](t, 1, p)
		next, batch := hub.NewReader(), hub.NewReader(broadcast.WithFilter(func([64]byte) bool { return true }))
		if p != broadcast.Policy(broadcast.Block) {
			hub.NewReader(broadcast.WithBuffer(1)) // full, and skips
		}
		events := make([][64]byte, 64)
		got := testing.AllocsPerRun(100, func() {
			for _, e := range events {
				_ = hub.Publish(ctx, e)
				_, _ = next.Next(ctx)
			}
			for n := 0; n < len(events); {
				k, _ := batch.ReadBatch(ctx, events)
				n += k
			}
		})
		require.LessOrEqual(t, got, 1.0)
	}
}

// Neither parking nor waking allocates.
func TestAllocs_ParkedReaders(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	const n = 100
	got := make(chan struct{}, n)
	for i := range n {
		ctx := bg
		if i%2 == 0 {
			own, cancel := context.WithCancel(bg)
			defer cancel()
			ctx = own
		}
		r := hub.NewReader()
		go func() {
			for range r.All(ctx) {
				got <- struct{}{}
			}
		}()
	}
	publishAndWait := func() {
		_ = hub.Publish(bg, 1)
		for range n {
			<-got
		}
	}
	for range 100 {
		publishAndWait()
	}
	require.LessOrEqual(t, testing.AllocsPerRun(200, publishAndWait), 1.0)
	hub.Close()
	require.NoError(t, hub.Shutdown(bg))
}
