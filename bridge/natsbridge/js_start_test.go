package natsbridge_test

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/natsbridge"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

var startSources = map[string]func(l *lab) bridge.Source{
	"stream":  func(l *lab) bridge.Source { return l.source() },
	"durable": func(l *lab) bridge.Source { return l.durable() },
}

// The connection is lost while a Run that was never live waits for an answer: the
// answer is lost with it, and the Run asks again.
func TestStreams_ConnectionLostAtTheStart(t *testing.T) {
	for name, source := range startSources {
		t.Run(name, func(t *testing.T) {
			s := embedded(t, withJetStream(t), onTCP)
			newLabOn(t, inside(t, s)).stream("a")
			nc, proxy := proxied(t, s.Addr().String())
			answered := func() uint64 {
				z, err := s.Jsz(nil)
				require.NoError(t, err)
				return z.API.Total
			}
			before := answered()
			proxy.Mute()
			r := start(t, source(newLabOn(t, nc)), "a", "", nil)
			require.Eventually(t, func() bool { return answered() > before }, soon, time.Millisecond)
			proxy.Cut()
			proxy.Heal()
			r.awaitLive()
		})
	}
}

// The server is asked to delete a consumer before it has come to make it, and says that
// there is none. It is asked again at once, and by the next Run of the pattern.
func TestStream_ConsumerMadeTooLate(t *testing.T) {
	s := embedded(t)
	asked := make(chan string, 100)
	fake := inside(t, s)
	_, err := fake.Subscribe("$JS.API.>", func(m *nats.Msg) { // a server that makes none
		what, _ := strings.CutPrefix(m.Subject, "$JS.API.")
		switch {
		case strings.HasPrefix(what, "STREAM.INFO."):
			_ = m.Respond([]byte(`{"config":{"name":"S","subjects":["a"]},"created":"2026-01-02T03:04:05Z","state":{}}`))
			return
		case strings.HasPrefix(what, "CONSUMER.DELETE."):
			_ = m.Respond([]byte(`{"error":{"code":404,"err_code":10014,"description":"consumer not found"}}`))
		}
		asked <- what
	})
	require.NoError(t, err)
	require.NoError(t, fake.Flush()) // before anybody asks
	next := func(prefix string) (consumer string) {
		t.Helper()
		select {
		case what := <-asked:
			require.True(t, strings.HasPrefix(what, prefix), "%q was asked for: want %q", what, prefix)
			name, _, _ := strings.Cut(strings.TrimPrefix(what, prefix), ".")
			return name
		case <-time.After(soon):
			t.Fatal("nothing is asked for")
		}
		return ""
	}
	const create, remove = "CONSUMER.CREATE.S.", "CONSUMER.DELETE.S."
	src := newLabOn(t, inside(t, s)).source()
	r := start(t, src, "a", "", nil)
	first := next(create)
	r.stop()
	require.Equal(t, first, next(remove))
	require.Equal(t, first, next(remove))
	start(t, src, "a", "", nil)
	require.Equal(t, first, next(remove))
	require.NotEqual(t, first, next(create))
}

// A user who may have consumers, and may not ask them for messages: that is an error,
// and not a topic that is live and silent.
func TestStreams_MayNotAsk(t *testing.T) {
	for name, source := range startSources {
		t.Run(name, func(t *testing.T) {
			s := embedded(t, withJetStream(t), func(o *server.Options) {
				o.Users = []*server.User{
					{Username: "root", Password: "p"},
					{Username: "u", Password: "p", Permissions: &server.Permissions{
						Publish: &server.SubjectPermission{Deny: []string{"$JS.API.CONSUMER.MSG.NEXT.>"}},
					}},
				}
			})
			newLabOn(t, inside(t, s, nats.UserInfo("root", "p"))).stream("a")
			r := start(t, source(newLabOn(t, inside(t, s, nats.UserInfo("u", "p"), quiet()))), "a", "", nil)
			err := r.failed()
			require.Empty(t, r.live)
			require.True(t, bridge.IsPermanent(err), "%v", err)
			require.ErrorIs(t, err, nats.ErrPermissionViolation)
			require.ErrorContains(t, err, "may not ask for messages")
		})
	}
}

// A process begins while as many messages as may be are not acknowledged by another one
// that has died: it is live, and has them when that one's time is over.
func TestDurable_StartWhileFull(t *testing.T) {
	s := embedded(t, withJetStream(t))
	l := newLabOn(t, inside(t, s))
	l.stream("a")
	opts := []natsbridge.Option{natsbridge.WithMaxAckPending(5), natsbridge.WithAckWait(time.Second)}
	dying := newLabOn(t, inside(t, s))
	r := startLive(t, dying.durable(opts...), "a", "")
	l.publish("a", 1, 10)
	r.numbers(1, 5)
	die(t, s, dying, r)
	r = startLive(t, l.durable(opts...), "a", "")
	for range 5 {
		require.True(t, r.message().Redelivered)
	}
}

// Behind a leaf node nobody says that a consumer is gone: it is missed by its silence.
func TestStream_SilenceBehindALeaf(t *testing.T) {
	hub := embedded(t, onTCP, func(o *server.Options) { o.LeafNode.Host, o.LeafNode.Port = "127.0.0.1", server.RANDOM_PORT })
	v, err := hub.Varz(nil)
	require.NoError(t, err)
	embedded(t, withJetStream(t), func(o *server.Options) {
		o.JetStreamDomain = "d"
		o.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{{Scheme: "nats-leaf", Host: "127.0.0.1:" + strconv.Itoa(v.LeafNode.Port)}}}}
	})
	nc := inside(t, hub)
	js, err := jetstream.NewWithDomain(nc, "d", jetstream.WithDefaultTimeout(time.Second))
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, err := js.AccountInfo(bg); return err == nil }, soon, 10*time.Millisecond)
	l := &lab{t: t, nc: nc, js: js}
	st := l.stream("a")
	gate := make(chan struct{})
	r := start(t, l.source(natsbridge.WithDomain("d"), natsbridge.WithBatch(4)), "a", "", gate)
	r.awaitLive()
	l.publish("a", 1, 50)
	deleteHeldUp(t, st, 46)
	close(gate)
	r.numbers(1, 50)
	r.quiet(l, "a")
}

// deleteHeldUp deletes the consumer of a Run that is held up, when what may be queued
// has been sent and pending messages are left.
func deleteHeldUp(t *testing.T, st jetstream.Stream, pending uint64) {
	t.Helper()
	require.Eventually(t, func() bool {
		for c := range st.ListConsumers(bg).Info() {
			return c.NumPending <= pending && c.NumWaiting == 0
		}
		return false
	}, soon, time.Millisecond)
	for c := range st.ConsumerNames(bg).Name() {
		require.NoError(t, st.DeleteConsumer(bg, c))
	}
}
