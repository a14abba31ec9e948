package natsbridge

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// What the client itself drops, before it calls back, is counted too.
func TestCore_DroppedByTheClient(t *testing.T) {
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	sub, err := nc.SubscribeSync("a")
	require.NoError(t, err)
	require.NoError(t, sub.SetPendingLimits(1, -1))
	c, err := NewCore(nc)
	require.NoError(t, err)
	r := newCoreRun(t.Context(), c, "a", &nothing{})

	var done *chunk
	for _, n := range []int{1, 5, 1, 3} { // all but the first are dropped
		for range n {
			require.NoError(t, nc.Publish("a", []byte("x")))
		}
		require.NoError(t, nc.Flush())
		m, err := sub.NextMsg(10 * time.Second)
		if err != nil { // it says once that it has dropped some
			require.ErrorIs(t, err, nats.ErrSlowConsumer)
			m, err = sub.NextMsg(10 * time.Second)
		}
		require.NoError(t, err)
		r.receive(m)
		done, _ = r.queue.take(done)
		require.Equal(t, 1, done.n)
		require.Equal(t, n-1, done.parcels[0].lost)
	}
}
