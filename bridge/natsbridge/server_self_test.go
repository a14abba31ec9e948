package natsbridge_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// A server that was killed comes back on its port, and the connection with it.
func TestServer_KilledAndStartedAgain(t *testing.T) {
	c := newChild(t)
	nc, _ := proxied(t, c.addr())
	sub, err := nc.SubscribeSync("a")
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	require.Equal(t, 1, c.subscriptions("a"))
	require.Zero(t, c.slowConsumers())

	again := nc.StatusChanged(nats.CONNECTED)
	defer nc.RemoveStatusListener(again)
	c.kill()
	c.start()
	select {
	case <-again:
	case <-time.After(10 * time.Second):
		t.Fatal("not connected again")
	}
	require.NoError(t, nc.Flush())
	require.Equal(t, 1, c.subscriptions("a"))
	require.NoError(t, connect(t, c.url()).Publish("a", []byte("x")))
	_, err = sub.NextMsg(10 * time.Second)
	require.NoError(t, err)
}

// An embedded server with streams needs no network.
func TestServer_Embedded(t *testing.T) {
	s := embedded(t, withJetStream(t))
	require.True(t, s.JetStreamEnabled())
	nc := inside(t, s)
	_, err := nc.SubscribeSync("a")
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	n, err := subscriptions(s, "a")
	require.NoError(t, err)
	require.Equal(t, 1, n)
}
