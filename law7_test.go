package broadcast_test

import (
	"context"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

func TestLaw7_NoLeak(t *testing.T) {
	t.Run("no goroutine per subscription", noGoroutines)
	bubble(t, "no goroutine after a publish", noGoroutineLeft)
	t.Run("received", func(t *testing.T) { unreachable(t, receivedEvents) })
	t.Run("dropped", func(t *testing.T) { unreachable(t, droppedEvents) })
	t.Run("evicted", func(t *testing.T) { unreachable(t, evictedEvents) })
	t.Run("filtered", func(t *testing.T) { unreachable(t, filteredEvents) })
	t.Run("subscription ejected", func(t *testing.T) { unreachable(t, ejectedWithEvents) })
	t.Run("subscription closed", func(t *testing.T) { unreachable(t, closedWithEvents) })
	t.Run("subscription context ended", func(t *testing.T) { unreachable(t, canceledWithEvents) })
	t.Run("hub closed", func(t *testing.T) { unreachable(t, hubClosedWithEvents) })
	t.Run("batch", func(t *testing.T) { unreachable(t, batchedEvents) })
	t.Run("waited for", func(t *testing.T) { unreachable(t, eventsWaitedFor) })
	t.Run("waited for, then closed", func(t *testing.T) { unreachable(t, waitedForThenClosed) })
	t.Run("given up, then closed", func(t *testing.T) { unreachable(t, givenUpThenClosed) })
	t.Run("lost with a logger", func(t *testing.T) { unreachable(t, loggedEvents) })
}

// payload is an event whose end is counted. It is no tiny object, of which the
// runtime frees several only together.
type payload struct{ _ [64]byte }

type payloads struct{ made, freed atomic.Int64 }

func (p *payloads) make() *payload {
	p.made.Add(1)
	event := new(payload)
	runtime.AddCleanup(event, func(freed *atomic.Int64) { freed.Add(1) }, &p.freed)
	return event
}

// unreachable runs a scenario that returns what is still live after it and
// expects that all of its events but kept can be collected though that lives.
func unreachable(t *testing.T, scenario func(*testing.T, *payloads) (live any, kept int64)) {
	t.Helper()
	var p payloads
	live, kept := scenario(t, &p)
	want := p.made.Load() - kept
	for range 500 {
		if p.freed.Load() >= want {
			break
		}
		runtime.GC()
		runtime.Gosched()
	}
	if got := p.freed.Load(); got != want {
		t.Errorf("of %d events %d were freed, want %d", p.made.Load(), got, want)
	}
	runtime.KeepAlive(live)
}

func noGoroutines(t *testing.T) {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	hub := newHub[int](t, 1, broadcast.DropOldest,
		broadcast.WithLogger(slog.New(slog.DiscardHandler)), broadcast.WithOnEject(func(broadcast.SubscriptionStats) {}))
	before := runtime.NumGoroutine()
	for range 1000 {
		hub.Subscribe(broadcast.WithContext(ctx), broadcast.WithFilter(func(int) bool { return true }))
	}
	require.NoError(t, hub.Publish(bg, 1))
	require.LessOrEqual(t, runtime.NumGoroutine(), before)
}

// Each way of waiting ends without a goroutine, and so does each kind of timer:
// the bubble would tell of one that is left.
func noGoroutineLeft(t *testing.T) {
	hub := broadcast.New[int](1, broadcast.BlockFor(time.Second, broadcast.DropNewest),
		broadcast.WithInterest(func(bool) {}), broadcast.WithLogger(slog.New(slog.DiscardHandler)))
	for range 3 {
		hub.Subscribe()
	}
	for i := range 4 {
		require.NoError(t, hub.Publish(bg, i))
	}
	synctest.Wait()
	hub.Close()
	require.Equal(t, broadcast.ErrClosed, hub.Publish(bg, 0))
}

func receivedEvents(t *testing.T, p *payloads) (any, int64) {
	hub := newHub[*payload](t, 3, broadcast.Block)
	plain := hub.Subscribe()
	filtered := hub.Subscribe(broadcast.WithFilter(func(*payload) bool { return true }))
	for range 100 {
		require.NoError(t, hub.Publish(bg, p.make()))
		<-plain.C()
		<-filtered.C()
	}
	return []any{hub, plain, filtered}, 0
}

func droppedEvents(t *testing.T, p *payloads) (any, int64) {
	hub := newHub[*payload](t, 3, broadcast.DropNewest)
	sub := hub.Subscribe()
	for range 100 {
		require.NoError(t, hub.Publish(bg, p.make()))
	}
	return []any{hub, sub}, 3
}

func evictedEvents(t *testing.T, p *payloads) (any, int64) {
	hub := newHub[*payload](t, 3, broadcast.DropOldest)
	sub := hub.Subscribe()
	for range 100 {
		require.NoError(t, hub.Publish(bg, p.make()))
	}
	return []any{hub, sub}, 3
}

func filteredEvents(t *testing.T, p *payloads) (any, int64) {
	hub := newHub[*payload](t, 3, broadcast.DropOldest)
	sub := hub.Subscribe(broadcast.WithFilter(func(*payload) bool { return false }))
	for range 100 {
		require.NoError(t, hub.Publish(bg, p.make()))
	}
	return []any{hub, sub}, 0
}

// The hub forgets who leaves, and so what is in its buffer.
func ejectedWithEvents(t *testing.T, p *payloads) (any, int64) {
	hub := newHub[*payload](t, 3, broadcast.Eject)
	ctx, cancel := context.WithCancel(bg) // lives on, without them
	t.Cleanup(cancel)
	for range 20 {
		hub.Subscribe(broadcast.WithContext(ctx))
	}
	for range 4 {
		require.NoError(t, hub.Publish(bg, p.make()))
	}
	require.Zero(t, hub.Len())
	return []any{hub, ctx}, 0
}

func closedWithEvents(t *testing.T, p *payloads) (any, int64) {
	hub := newHub[*payload](t, 3, broadcast.Block)
	ctx, cancel := context.WithCancel(bg)
	t.Cleanup(cancel)
	stays := hub.Subscribe(broadcast.WithBuffer(0), broadcast.WithPolicy(broadcast.DropNewest))
	for range 20 {
		s := hub.Subscribe(broadcast.WithBuffer(1), broadcast.WithContext(ctx), broadcast.WithFilter(func(*payload) bool { return true }))
		require.NoError(t, hub.Publish(bg, p.make()))
		s.Close()
	}
	return []any{hub, stays, ctx}, 0
}

func canceledWithEvents(t *testing.T, p *payloads) (any, int64) {
	hub := newHub[*payload](t, 3, broadcast.Block)
	ctx, cancel := context.WithCancel(bg)
	for range 20 {
		hub.Subscribe(broadcast.WithContext(ctx))
	}
	require.NoError(t, hub.Publish(bg, p.make()))
	cancel()
	for hub.Len() > 0 {
		runtime.Gosched()
	}
	return []any{hub, ctx}, 0
}

// The hub keeps those that had not drained, for Shutdown, but not what they give
// out after that.
func hubClosedWithEvents(t *testing.T, p *payloads) (any, int64) {
	hub := newHub[*payload](t, 3, broadcast.Block)
	subs := make([]*broadcast.Subscription[*payload], 20)
	for i := range subs {
		subs[i] = hub.Subscribe()
	}
	require.NoError(t, hub.Publish(bg, p.make()))
	require.NoError(t, hub.Publish(bg, p.make()))
	hub.Close()
	for i, s := range subs {
		<-s.C()
		if i < 10 {
			<-s.C()
		}
	}
	return []any{hub, subs}, 1
}

func batchedEvents(t *testing.T, p *payloads) (any, int64) {
	hub := newHub[*payload](t, 3, broadcast.DropOldest)
	sub := hub.Subscribe()
	filtered := hub.Subscribe(broadcast.WithFilter(func(*payload) bool { return false }))
	for range 10 {
		n, err := hub.PublishBatch(bg, []*payload{p.make(), p.make(), p.make(), p.make()})
		require.Equal(t, 4, n)
		require.NoError(t, err)
	}
	return []any{hub, sub, filtered}, 3
}

// Many are waited for together, and the event is given up or delivered.
func eventsWaitedFor(t *testing.T, p *payloads) (any, int64) {
	hub := newHub[*payload](t, 0, broadcast.Block)
	subs := make([]*broadcast.Subscription[*payload], 100)
	for i := range subs {
		subs[i] = hub.Subscribe()
	}
	done := make(chan error)
	for range 2 {
		event := p.make()
		go func() { done <- hub.Publish(bg, event) }()
		for _, s := range subs {
			<-s.C()
		}
		require.NoError(t, <-done)
	}
	ctx, cancel := context.WithCancel(bg)
	event := p.make()
	go func() { done <- hub.Publish(ctx, event) }()
	<-subs[0].C()
	cancel()
	require.ErrorIs(t, <-done, broadcast.ErrPartial)
	return []any{hub, subs, ctx}, 0
}

// Who was waited for is forgotten with what it holds, when it has left.
func waitedForThenClosed(t *testing.T, p *payloads) (any, int64) {
	hub := newHub[*payload](t, 1, broadcast.Block)
	subs := make([]*broadcast.Subscription[*payload], 3)
	for i := range subs {
		subs[i] = hub.Subscribe()
	}
	require.NoError(t, hub.Publish(bg, p.make()))
	done := make(chan error)
	event := p.make()
	go func() { done <- hub.Publish(bg, event) }()
	for hub.Stats().Blocked == 0 {
		runtime.Gosched()
	}
	for _, s := range subs {
		<-s.C()
	}
	require.NoError(t, <-done)
	for _, s := range subs {
		require.Equal(t, 1, s.Stats().Len)
		s.Close()
	}
	return hub, 0
}

// Who was given up because the publisher's context ended is forgotten too.
func givenUpThenClosed(t *testing.T, p *payloads) (any, int64) {
	hub := newHub[*payload](t, 1, broadcast.Block)
	subs := make([]*broadcast.Subscription[*payload], 3)
	for i := range subs {
		subs[i] = hub.Subscribe()
	}
	require.NoError(t, hub.Publish(bg, p.make()))
	ctx, cancel := context.WithCancel(bg)
	done := make(chan error)
	event := p.make()
	go func() { done <- hub.Publish(ctx, event) }()
	for hub.Stats().Blocked == 0 {
		runtime.Gosched()
	}
	cancel()
	require.ErrorIs(t, <-done, broadcast.ErrPartial)
	for _, s := range subs {
		s.Close() // with its event still in the buffer
	}
	return hub, 0
}

// The logger holds whom it will write about no longer than until it has.
func loggedEvents(t *testing.T, p *payloads) (live any, kept int64) {
	synctest.Test(t, func(t *testing.T) {
		hub := newHub[*payload](t, 3, broadcast.DropNewest, broadcast.WithLogger(slog.New(slog.DiscardHandler)))
		for range 20 {
			s := hub.Subscribe()
			for range 5 {
				require.NoError(t, hub.Publish(bg, p.make()))
			}
			s.Close()
		}
		time.Sleep(3 * time.Second)
		live = hub
	})
	return live, 0
}
