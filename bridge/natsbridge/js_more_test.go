package natsbridge_test

import (
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/natsbridge"
	"github.com/stretchr/testify/require"
)

// Lag is what the server has and what is queued, also while the sink waits.
func TestStream_Lag(t *testing.T) {
	l := newLab(t)
	l.stream("a")
	src := l.source(natsbridge.WithBatch(10))
	lag := func() int {
		n, ok := src.Lag("a")
		if !ok {
			return -1
		}
		return int(n)
	}
	require.Equal(t, -1, lag())
	gate := make(chan struct{})
	r := start(t, src, "a", "", gate)
	r.awaitLive()
	require.Zero(t, lag())
	l.publish("a", 1, 50)
	require.Eventually(t, func() bool { return lag() == 50 }, soon, time.Millisecond) // the one in hand is not delivered
	close(gate)
	require.Eventually(t, func() bool { return lag() == 0 }, soon, time.Millisecond)
	r.stop()
	require.Equal(t, -1, lag())
}

func TestStream_Options(t *testing.T) {
	l := newLab(t)
	for _, o := range []natsbridge.Option{
		natsbridge.WithHeartbeat(time.Millisecond), natsbridge.WithHeartbeat(time.Hour), natsbridge.WithBatch(0),
		natsbridge.WithBatch(1 << 20), natsbridge.WithAckWait(0), natsbridge.WithMaxAckPending(0),
	} {
		_, err := natsbridge.NewDurable(l.nc, "S", "p", o)
		require.ErrorContains(t, err, "want")
	}
	_, err := natsbridge.NewStream(l.nc, "")
	require.Error(t, err)
	_, err = natsbridge.NewStream(nil, "S")
	require.Error(t, err)
	_, err = natsbridge.NewDurable(l.nc, "S", "")
	require.ErrorContains(t, err, "without a name")
}

// Messages that are larger than what is asked for at a time come all the same.
func TestStream_LargeMessages(t *testing.T) {
	l := newLabOn(t, inside(t, embedded(t, withJetStream(t), largePayload)))
	l.stream("a")
	// With a short heartbeat a busy machine would take a message on its way for silence.
	r := startLive(t, l.source(natsbridge.WithHeartbeat(5*time.Second)), "a", "")
	for _, size := range []int{1, 12 << 20, 30 << 20, 2} {
		_, err := l.js.Publish(bg, "a", make([]byte, size))
		require.NoError(t, err)
	}
	for _, size := range []int{1, 12 << 20, 30 << 20, 2} {
		require.Len(t, r.message().Data, size)
	}
}

// The consumer goes away while nothing is asked of it, since the sink waits: all come,
// each once.
func TestStreams_ConsumerGoneWhileHeldUp(t *testing.T) {
	for name, source := range map[string]func(l *lab) bridge.Source{
		"stream":  func(l *lab) bridge.Source { return l.source(natsbridge.WithBatch(10)) },
		"durable": func(l *lab) bridge.Source { return l.durable(natsbridge.WithBatch(10)) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			st := l.stream("a")
			gate := make(chan struct{})
			r := start(t, source(l), "a", "", gate)
			r.awaitLive()
			l.publish("a", 1, 50)
			deleteHeldUp(t, st, 40)
			close(gate)
			r.numbers(1, 50)
			r.quiet(l, "a")
		})
	}
}
