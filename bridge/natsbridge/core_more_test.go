package natsbridge_test

import (
	"context"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge/natsbridge"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// A topic that is held up holds up nothing else of its connection.
func TestCore_HoldsUpNothing(t *testing.T) {
	nc := inside(t, embedded(t))
	src, held, other := newCore(t, nc), newDiary(t), newDiary(t)
	held.hold = make(chan struct{})
	startCore(t, src, "held", held)
	t.Cleanup(func() { close(held.hold) })
	startCore(t, src, "other", other)
	require.Equal(t, "live", held.next())
	require.Equal(t, "live", other.next())
	for range 1000 {
		require.NoError(t, nc.Publish("held", []byte("x")))
	}
	require.NoError(t, nc.Publish("other", []byte("x")))
	require.Equal(t, "other x", other.next())
	settle(t, nc)
	require.NoError(t, nc.Flush())
}

// What the observers of a bridge ask for is there while a topic runs, and what they
// may ask for too late is not forgotten.
func TestCore_LagAndWarnings(t *testing.T) {
	nc := inside(t, embedded(t))
	src, sink := newCore(t, nc, natsbridge.WithPendingLimits(1, -1)), newDiary(t)
	sink.hold = make(chan struct{})
	_, ok := src.Lag("a")
	require.False(t, ok)
	stop := startCore(t, src, "a", sink)
	require.Equal(t, "live", sink.next())
	n, ok := src.Lag("a")
	require.True(t, ok)
	require.Zero(t, n)
	for range 3 { // one is taken, the others are lost
		require.NoError(t, nc.Publish("a", []byte("x")))
	}
	require.Equal(t, "a x", sink.next())
	eventually(t, "all have come", func() bool { return nc.Stats().InMsgs == 3 })
	settle(t, nc)
	n, _ = src.Lag("a")
	require.Equal(t, uint64(1), n)
	close(sink.hold)
	require.Equal(t, "gap source_dropped 2", sink.next())
	require.ErrorIs(t, stop(), context.Canceled)
	_, ok = src.Lag("a")
	require.False(t, ok)
	require.Equal(t, uint64(1), src.Warnings("a"))
	require.Zero(t, src.Warnings("b"))

	stop = startCore(t, src, "a", newDiary(t))
	eventually(t, "it has begun anew", func() bool { return src.Warnings("a") == 0 })
	require.ErrorIs(t, stop(), context.Canceled)
}

// Who subscribes to a live topic while the connection is down is served at once, and has
// a gap before anything else, which stands where the connection is up again.
func TestCore_SubscribeWhileDown(t *testing.T) {
	s := embedded(t, onTCP)
	nc, proxy := proxied(t, s.Addr().String())
	other := inside(t, s)
	b := newBridge(t, newCore(t, nc))
	first := newReader(t, b, "a")
	proxy.Refuse()
	require.Equal(t, 1, proxy.Cut())
	require.ErrorContains(t, nextEvent(t, first).Gap.Err, "is down")
	late := newReader(t, b, "a")
	require.NoError(t, other.Publish("a", []byte("lost")))
	require.NoError(t, other.Flush())
	proxy.Heal()
	for _, r := range []*textReader{first, late} {
		require.ErrorContains(t, nextEvent(t, r).Gap.Err, "is up again")
		require.NoError(t, other.Publish("a", []byte("on")))
		require.Equal(t, "on", nextEvent(t, r).Value)
	}
}

// While an attempt to connect hangs the client holds its lock. A topic tells of the
// outage before that, and ends when the attempt is over at the latest.
func TestCore_EndsWhileConnecting(t *testing.T) {
	const attempt = 300 * time.Millisecond
	s := embedded(t, onTCP)
	nc, proxy := proxied(t, s.Addr().String(), nats.Timeout(attempt), nats.ReconnectWait(time.Millisecond))
	sink := newDiary(t)
	stop := startCore(t, newCore(t, nc), "a", sink)
	require.Equal(t, "live", sink.next())
	proxy.Blackhole()
	require.Equal(t, 1, proxy.Cut())
	require.Equal(t, "gap disconnected 0", sink.next())
	eventually(t, "an attempt hangs", func() bool { return proxy.Conns() > 0 })
	begin := time.Now()
	require.ErrorIs(t, stop(), context.Canceled)
	require.Less(t, time.Since(begin), 10*attempt)
}
