package broadcast_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// Wrong programs panic, and the message says what to do instead.
func TestBadInput(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	var none context.Context
	const (
		nilPolicy  = ": nil policy: pass Block, DropNewest, DropOldest, Eject, a BlockFor or a PolicyFunc"
		nilFunc    = ": nil PolicyFunc: pass a function"
		unknown    = ": unknown Action(4): the actions are Block, DropNewest, DropOldest and Eject"
		negative   = ": negative buffer: pass 0 (hand-off only) or more"
		nilContext = ": nil context: pass context.Background() if nothing ends it"
		nilHook    = ": nil function: pass one, or leave the option out"
		then       = "broadcast: BlockFor: then must say what happens after the wait: pass DropNewest, DropOldest, Eject or a PolicyFunc"
	)
	for _, c := range []struct {
		name string
		call func()
		want string
	}{
		{"negative buffer", func() { broadcast.New[int](-1, broadcast.Block) }, "broadcast: New" + negative},
		{"nil policy", func() { broadcast.New[int](1, nil) }, "broadcast: New" + nilPolicy},
		{"nil PolicyFunc", func() { broadcast.New[int](1, broadcast.PolicyFunc(nil)) }, "broadcast: New" + nilFunc},
		{"unknown action", func() { broadcast.New[int](1, broadcast.Action(4)) }, "broadcast: New" + unknown},
		{"own negative buffer", func() { broadcast.WithBuffer(-1) }, "broadcast: WithBuffer" + negative},
		{"own nil policy", func() { broadcast.WithPolicy(nil) }, "broadcast: WithPolicy" + nilPolicy},
		{"own nil PolicyFunc", func() { broadcast.WithPolicy(broadcast.PolicyFunc(nil)) }, "broadcast: WithPolicy" + nilFunc},
		{"own unknown action", func() { broadcast.WithPolicy(broadcast.Action(4)) }, "broadcast: WithPolicy" + unknown},
		{"nil context of a subscription", func() { broadcast.WithContext(none) }, "broadcast: WithContext" + nilContext},
		{"nil filter", func() { broadcast.WithFilter[int](nil) }, "broadcast: WithFilter" + nilHook},
		{"nil interest", func() { broadcast.WithInterest(nil) }, "broadcast: WithInterest" + nilHook},
		{"nil eject hook", func() { broadcast.WithOnEject(nil) }, "broadcast: WithOnEject" + nilHook},
		{
			"filter of another type", func() { hub.Subscribe(broadcast.WithFilter(func(string) bool { return true })) },
			"broadcast: WithFilter: func(string) bool given to a hub of int: pass a func(int) bool",
		},
		{"nil context of Publish", func() { _ = hub.Publish(none, 1) }, "broadcast: Publish" + nilContext},
		{"nil context of PublishBatch", func() { _, _ = hub.PublishBatch(none, nil) }, "broadcast: PublishBatch" + nilContext},
		{"nil context of Shutdown", func() { _ = hub.Shutdown(none) }, "broadcast: Shutdown" + nilContext},
		{"BlockFor nil", func() { broadcast.BlockFor(time.Second, nil) }, "broadcast: BlockFor" + nilPolicy},
		{"BlockFor nil PolicyFunc", func() { broadcast.BlockFor(0, broadcast.PolicyFunc(nil)) }, "broadcast: BlockFor" + nilFunc},
		{"BlockFor unknown action", func() { broadcast.BlockFor(0, broadcast.Action(4)) }, "broadcast: BlockFor" + unknown},
		{"BlockFor Block", func() { broadcast.BlockFor(time.Second, broadcast.Block) }, then},
		{"BlockFor Block, no wait", func() { broadcast.BlockFor(0, broadcast.Block) }, then},
		{"BlockFor BlockFor", func() { broadcast.BlockFor(1, broadcast.BlockFor(1, broadcast.Eject)) }, then},
	} {
		t.Run(c.name, func(t *testing.T) { require.PanicsWithValue(t, c.want, c.call) })
	}
	require.Equal(t, broadcast.Stats{}, hub.Stats(), "nothing has happened")
	require.NoError(t, hub.Publish(bg, 1), "and the hub is as good as before")
}

// What a subscription is not told, it has from its hub.
func TestOptions_Defaults(t *testing.T) {
	hub := newHub[int](t, 3, broadcast.DropNewest)
	s := hub.Subscribe()
	for i := range 5 {
		require.NoError(t, hub.Publish(bg, i))
	}
	require.Equal(t, broadcast.SubscriptionStats{ID: 1, Len: 3, Cap: 3, Offered: 5, Dropped: 2}, s.Stats())
	require.Equal(t, 0, <-s.C())
}

func TestOptions_OfTheSubscription(t *testing.T) {
	hub := newHub[int](t, 3, broadcast.Block)
	s := hub.Subscribe(broadcast.WithBuffer(2), broadcast.WithPolicy(broadcast.DropOldest), broadcast.WithName("name"),
		broadcast.WithFilter(func(e int) bool { return e != 3 }))
	for i := range 6 {
		require.NoError(t, hub.Publish(bg, i))
	}
	require.Equal(t, broadcast.SubscriptionStats{ID: 1, Name: "name", Len: 2, Cap: 2, Offered: 6, Dropped: 3, Filtered: 1}, s.Stats())
	require.Equal(t, 4, <-s.C())
	require.Equal(t, 5, <-s.C())
}

// Where an option is given twice, the last one counts.
func TestOptions_Twice(t *testing.T) {
	ended, cancel := context.WithCancel(bg)
	cancel()
	edges := 0
	hub := newHub[int](t, 1, broadcast.Block,
		broadcast.WithInterest(func(bool) { t.Error("the first hook was called") }),
		broadcast.WithInterest(func(bool) { edges++ }),
		broadcast.WithOnEject(func(broadcast.SubscriptionStats) { t.Error("the first hook was called") }),
		broadcast.WithOnEject(func(broadcast.SubscriptionStats) { edges++ }),
		broadcast.WithLogger(slog.New(slog.DiscardHandler)), broadcast.WithLogger(nil))
	s := hub.Subscribe(
		broadcast.WithBuffer(9), broadcast.WithBuffer(2),
		broadcast.WithPolicy(broadcast.Block), broadcast.WithPolicy(broadcast.Eject),
		broadcast.WithName("one"), broadcast.WithName("two"),
		broadcast.WithContext(ended), broadcast.WithContext(bg),
		broadcast.WithFilter(func(int) bool { return false }), broadcast.WithFilter(func(int) bool { return true }))
	for i := range 3 {
		require.NoError(t, hub.Publish(bg, i))
	}
	require.Equal(t, broadcast.SubscriptionStats{ID: 1, Name: "two", Len: 2, Cap: 2, Offered: 3, Dropped: 1}, s.Stats())
	require.Equal(t, broadcast.ErrEjected, s.Err())
	<-s.C()
	<-s.C()
	require.NoError(t, hub.Shutdown(bg))
	require.Equal(t, 3, edges)
}

// Options may be made once and used for many subscriptions and hubs.
func TestOptions_Reused(t *testing.T) {
	opts := []broadcast.SubscribeOption{broadcast.WithBuffer(2), broadcast.WithFilter(func(e int) bool { return e > 0 })}
	for range 2 {
		hub := newHub[int](t, 1, broadcast.Block)
		one, two := hub.Subscribe(opts...), hub.Subscribe(opts...)
		require.NoError(t, hub.Publish(bg, 0))
		require.NoError(t, hub.Publish(bg, 1))
		require.Equal(t, 1, <-one.C())
		require.Equal(t, 1, <-two.C())
	}
}
