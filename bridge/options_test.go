package bridge_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/stretchr/testify/require"
)

// Options that make no sense are wrong programs.
func TestOptions_Wrong(t *testing.T) {
	for name, fn := range map[string]func(){
		"linger":      func() { bridge.WithLinger(-1) },
		"from":        func() { bridge.WithFrom(nil) },
		"max bytes":   func() { bridge.WithMaxBytes(0) },
		"backoff 0":   func() { bridge.WithBackoff(0, 1) },
		"backoff max": func() { bridge.WithBackoff(2, 1) },
		"hub buffer":  func() { bridge.WithHub(-1, broadcast.DropOldest) },
		"hub policy":  func() { bridge.WithHub(1, nil) },
		"source":      func() { _, _ = bridge.New(nil, text) },
		"decode":      func() { _, _ = bridge.New[string](bridgetest.NewMemory(radio), nil) },
		"collector":   func() { bridge.NewCollector[string]("x", nil) },
	} {
		t.Run(name, func(t *testing.T) { require.Panics(t, fn) })
	}
}

// New returns an error for what the source cannot do.
func TestOptions_SourceCannot(t *testing.T) {
	from := bridge.WithFrom(func(string) bridge.Position { return "" })
	noAcker := struct{ bridge.Source }{bridgetest.NewMemory(queue)}
	for name, c := range map[string]struct {
		src  bridge.Source
		opts []bridge.Option
		want string
	}{
		"from":         {bridgetest.NewMemory(radio), []bridge.Option{from}, "Replay"},
		"ack":          {bridgetest.NewMemory(log), []bridge.Option{bridge.WithAck()}, "acknowledge"},
		"no acker":     {noAcker, []bridge.Option{bridge.WithAck()}, "acknowledge"},
		"not pausable": {bridgetest.NewMemory(bridge.Capabilities{Acks: true}), []bridge.Option{bridge.WithAck()}, "readers with Block hold it up"},
		"drops":        {bridgetest.NewMemory(queue), []bridge.Option{bridge.WithAck(), bridge.WithHub(1, broadcast.DropOldest)}, "Block"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bridge.New(c.src, text, c.opts...)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// The last of an option given twice counts, and a hook of the user's does not take
// the place of the bridge's own.
func TestOptions_Hub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(log)
		called := false
		ejected := 0
		b := newBridge(t, m, bridge.WithLinger(time.Hour), bridge.WithLinger(0),
			bridge.WithHub(3, broadcast.Eject,
				broadcast.WithInterest(func(bool) { called = true }),
				broadcast.WithOnEject(func(broadcast.SubscriptionStats) { ejected++ })))
		s := subscribe(t, b, "a")
		require.Equal(t, 3, cap(s.C()))
		publish(m, "a", "1", "2", "3", "4")
		synctest.Wait()
		require.ErrorIs(t, s.Err(), broadcast.ErrEjected)
		require.Empty(t, states(b))
		require.False(t, called)
		require.Equal(t, 1, ejected)
	})
}

// After Close there is nothing to subscribe to.
func TestClosed(t *testing.T) {
	m := bridgetest.NewMemory(radio)
	b := newBridge(t, m)
	b.Close()
	b.Close()
	require.NoError(t, b.Shutdown(bg))
	_, err := b.Subscribe(bg, "a")
	require.Equal(t, broadcast.ErrClosed, err)
	_, err = b.NewReader(bg, "a")
	require.Equal(t, broadcast.ErrClosed, err)
	require.Zero(t, m.Runs("a"))
	var none context.Context
	require.Panics(t, func() { _ = b.Shutdown(none) })

	ctx, cancel := context.WithCancel(bg)
	cancel()
	require.NoError(t, b.Shutdown(ctx), "there was nothing to drain")
}
