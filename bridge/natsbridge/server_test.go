package natsbridge_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// embedded starts a server in this process, which ends with the test. It listens on a
// free port if opts say Port -1, and on none without.
func embedded(tb testing.TB, opts ...func(*server.Options)) *server.Server {
	tb.Helper()
	o := &server.Options{DontListen: true, NoSigs: true, NoLog: true}
	for _, opt := range opts {
		opt(o)
	}
	s, err := server.NewServer(o)
	require.NoError(tb, err)
	s.Start()
	tb.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(tb, s.ReadyForConnections(10*time.Second), "the server is not ready")
	return s
}

// onTCP has an embedded server listen on a free port of the loopback.
func onTCP(o *server.Options) { o.DontListen, o.Host, o.Port = false, "127.0.0.1", server.RANDOM_PORT }

// withJetStream gives an embedded server streams, in files that go with the test.
func withJetStream(tb testing.TB) func(*server.Options) {
	return func(o *server.Options) { o.JetStream, o.StoreDir = true, tb.TempDir() }
}

// largePayload has an embedded server take messages of up to 32 MiB.
func largePayload(o *server.Options) { o.MaxPayload, o.MaxPending = 32<<20, 64<<20 }

// recommended are the options of docs/nats.md, with times as a test wants them.
func recommended() []nats.Option {
	return []nats.Option{
		nats.MaxReconnects(-1),
		nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(2),
		nats.ReconnectWait(20 * time.Millisecond), nats.ReconnectJitter(10*time.Millisecond, 10*time.Millisecond),
		nats.Timeout(500 * time.Millisecond),
	}
}

// pingEvery is long enough that a busy machine is not taken for a dead link, which is
// noticed when the third ping is due.
const (
	pingEvery = 500 * time.Millisecond
	keepAlive = 3 * pingEvery
)

// connect connects to url, with the recommended options and then opts, and waits for
// the connection: on a busy machine the first attempt may take longer than one may take
// here.
func connect(tb testing.TB, url string, opts ...nats.Option) *nats.Conn {
	tb.Helper()
	nc := dial(tb, url, opts...)
	waitConnected(tb, nc)
	return nc
}

// dial is connect, but waits for nothing.
func dial(tb testing.TB, url string, opts ...nats.Option) *nats.Conn {
	tb.Helper()
	opts = append([]nats.Option{nats.RetryOnFailedConnect(true)}, opts...)
	nc, err := nats.Connect(url, append(recommended(), opts...)...)
	require.NoError(tb, err)
	tb.Cleanup(nc.Close)
	return nc
}

// inside connects to an embedded server without a network.
func inside(tb testing.TB, s *server.Server, opts ...nats.Option) *nats.Conn {
	tb.Helper()
	return connect(tb, "", append(opts, nats.InProcessServer(s))...)
}

// proxied connects through a proxy to a server on addr.
func proxied(tb testing.TB, addr string, opts ...nats.Option) (*nats.Conn, *bridgetest.Proxy) {
	tb.Helper()
	p, err := bridgetest.NewProxy(addr)
	require.NoError(tb, err)
	tb.Cleanup(p.Close)
	return connect(tb, "nats://"+p.Addr(), opts...), p
}

// publisher publishes over nc, and returns when the server has the message.
func publisher(nc *nats.Conn) func(context.Context, string, []byte) error {
	var mu sync.Mutex
	return func(ctx context.Context, topic string, data []byte) error {
		mu.Lock()
		defer mu.Unlock()
		if err := nc.Publish(topic, data); err != nil {
			return err
		}
		return nc.FlushWithContext(ctx)
	}
}

// subscriptions is how many subscriptions to subject s has, of clients.
func subscriptions(s *server.Server, subject string) (n int, err error) {
	list, err := s.Subsz(&server.SubszOptions{Subscriptions: true, Limit: 1 << 20})
	if err != nil {
		return 0, err
	}
	for _, sub := range list.Subs {
		if sub.Subject == subject {
			n++
		}
	}
	return n, nil
}
