package natsbridge_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/gobroadcast/broadcast/bridge/natsbridge"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// The suite over both sources, against a server in a process of its own with streams in
// files, through a proxy.
func TestStream_Suite(t *testing.T)  { bridgetest.Run(t, streamHarness) }
func TestDurable_Suite(t *testing.T) { bridgetest.Run(t, durableHarness) }

const (
	suiteStream  = "BT"
	suiteSubject = "bt."
)

// jsSystem is a server with a stream, and the connections to it: of the source through
// a proxy, and one past it.
type jsSystem struct {
	tb    testing.TB
	child *child
	nc    *nats.Conn
	proxy *bridgetest.Proxy
	admin *nats.Conn
	js    jetstream.JetStream

	mu        sync.Mutex
	published map[string]uint64 // by topic; guarded by mu
}

func newJSSystem(tb testing.TB) *jsSystem {
	tb.Helper()
	s := &jsSystem{tb: tb, child: newChild(tb), published: map[string]uint64{}}
	s.nc, s.proxy = proxied(tb, s.child.addr())
	s.admin = connect(tb, s.child.url())
	var err error
	s.js, err = jetstream.New(s.admin, jetstream.WithDefaultTimeout(soon))
	require.NoError(tb, err)
	makeStream(tb, s.js, jetstream.StreamConfig{Name: suiteStream, Subjects: []string{suiteSubject + ">"}})
	_, err = s.nc.Request("$JS.API.INFO", nil, 10*time.Second) // starts what a connection has for answers
	require.NoError(tb, err)
	return s
}

func makeStream(tb testing.TB, js jetstream.JetStream, cfg jetstream.StreamConfig) jetstream.Stream {
	tb.Helper()
	ctx, cancel := context.WithTimeout(bg, 10*time.Second)
	defer cancel()
	st, err := js.CreateStream(ctx, cfg)
	require.NoError(tb, err)
	return st
}

func (s *jsSystem) harness(src bridge.Source) *bridgetest.Harness {
	toggle := func(begin func()) func(bool) {
		return func(on bool) {
			if on {
				begin()
			} else {
				s.proxy.Heal()
			}
		}
	}
	return &bridgetest.Harness{
		Source: src, Publish: s.publish,
		Topic:         func(n int) string { return suiteSubject + strconv.Itoa(n) },
		SlowConsumers: s.child.slowConsumers,
		Restart:       s.restart,
		Cut:           func() { s.proxy.Cut() },
		Blackhole:     toggle(s.proxy.Blackhole),
		Mute:          toggle(s.proxy.Mute),
		Refuse:        toggle(func() { s.proxy.Refuse(); s.proxy.Cut() }),
		TooLarge:      1<<20 + 1,
	}
}

func (s *jsSystem) publish(ctx context.Context, topic string, data []byte) error {
	_, err := s.js.Publish(ctx, topic, data)
	if err == nil {
		s.mu.Lock()
		s.published[topic]++
		s.mu.Unlock()
	}
	return err
}

func (s *jsSystem) restart(down time.Duration) {
	s.tb.Helper()
	s.child.kill()
	time.Sleep(down) // this is how long it is to be down
	s.child.start()
	require.Eventually(s.tb, func() bool {
		_, err := s.js.AccountInfo(bg)
		return err == nil
	}, 20*time.Second, 5*time.Millisecond)
}

func streamHarness(tb testing.TB) *bridgetest.Harness {
	s := newJSSystem(tb)
	src, err := natsbridge.NewStream(s.nc, suiteStream, natsbridge.WithHeartbeat(200*time.Millisecond))
	require.NoError(tb, err)
	h := s.harness(src)
	h.Subscriptions = func(topic string) int { return consumersOf(tb, s.admin, suiteStream, topic) }
	h.Truncate = func(topic string, keep int) {
		st, err := s.js.Stream(bg, suiteStream)
		require.NoError(tb, err)
		require.NoError(tb, st.Purge(bg, jetstream.WithPurgeSubject(topic), jetstream.WithPurgeKeep(uint64(keep))))
	}
	h.Less = func(a, b bridge.Position) bool { return seqOf(tb, a) < seqOf(tb, b) }
	return h
}

func durableHarness(tb testing.TB) *bridgetest.Harness {
	s := newJSSystem(tb)
	source := func() *natsbridge.Durable {
		src, err := natsbridge.NewDurable(s.nc, suiteStream, "p1", natsbridge.WithHeartbeat(200*time.Millisecond), natsbridge.WithAckWait(300*time.Millisecond))
		require.NoError(tb, err)
		return src
	}
	src := source()
	h := s.harness(src)
	h.Again = func() bridge.Source { return source() }
	h.Subscriptions = func(topic string) int { return s.child.ask("inboxes " + src.Name(topic)) }
	h.Acked = func(topic string) uint64 {
		c, err := s.js.Consumer(bg, suiteStream, src.Name(topic))
		require.NoError(tb, err)
		info := c.CachedInfo()
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.published[topic] - info.NumPending - uint64(info.NumAckPending)
	}
	return h
}

// seqOf is the number in a position of a stream.
func seqOf(tb testing.TB, p bridge.Position) uint64 {
	tb.Helper()
	text := string(p)
	n, err := strconv.ParseUint(text[strings.LastIndex(text, ":")+1:], 10, 64)
	require.NoError(tb, err)
	return n
}

// consumersOf asks the server how many consumers of the stream have filter.
func consumersOf(tb testing.TB, nc *nats.Conn, stream, filter string) (n int) {
	tb.Helper()
	for seen, total := 0, 1; seen < total; {
		reply, err := nc.Request("$JS.API.CONSUMER.LIST."+stream, []byte(`{"offset":`+strconv.Itoa(seen)+`}`), 10*time.Second)
		require.NoError(tb, err)
		var page struct {
			Total     int                       `json:"total"`
			Consumers []*jetstream.ConsumerInfo `json:"consumers"`
		}
		require.NoError(tb, json.Unmarshal(reply.Data, &page))
		for _, c := range page.Consumers {
			if c.Config.FilterSubject == filter {
				n++
			}
		}
		if total = page.Total; len(page.Consumers) == 0 {
			break
		}
		seen += len(page.Consumers)
	}
	return n
}

// inboxes is how many subscriptions s has to an inbox that ends with the name of a
// consumer.
func inboxes(s *server.Server, consumer string) (n int, err error) {
	list, err := s.Subsz(&server.SubszOptions{Subscriptions: true, Limit: 1 << 20})
	if err != nil {
		return 0, err
	}
	for _, sub := range list.Subs {
		if strings.HasPrefix(sub.Subject, "_INBOX.") && strings.HasSuffix(sub.Subject, "."+consumer) {
			n++
		}
	}
	return n, nil
}
