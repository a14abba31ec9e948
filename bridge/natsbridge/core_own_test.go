package natsbridge_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/natsbridge"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// patience is for what is only to happen at some time.
const patience = 20 * time.Second

// eventually asks until ok.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	end, again := time.NewTimer(patience), time.NewTicker(time.Millisecond)
	defer end.Stop()
	defer again.Stop()
	for !ok() {
		select {
		case <-again.C:
		case <-end.C:
			tb.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func newCore(tb testing.TB, nc *nats.Conn, opts ...natsbridge.Option) *natsbridge.Core {
	tb.Helper()
	src, err := natsbridge.NewCore(nc, opts...)
	require.NoError(tb, err)
	return src
}

// newBridge is a bridge of strings over src.
func newBridge(tb testing.TB, src bridge.Source, opts ...bridge.Option) *bridge.Bridge[string] {
	tb.Helper()
	b, err := bridge.New(src, func(m *bridge.Message) (string, error) { return string(m.Data), nil }, opts...)
	require.NoError(tb, err)
	tb.Cleanup(b.Close)
	return b
}

type textReader = broadcast.Reader[bridge.Event[string]]

func newReader(tb testing.TB, b *bridge.Bridge[string], pattern string) *textReader {
	tb.Helper()
	ctx, cancel := context.WithTimeout(bg, patience)
	defer cancel()
	r, err := b.NewReader(ctx, pattern)
	require.NoError(tb, err)
	return r
}

func nextEvent(tb testing.TB, r *textReader) bridge.Event[string] {
	tb.Helper()
	ctx, cancel := context.WithTimeout(bg, patience)
	defer cancel()
	e, err := r.Next(ctx)
	require.NoError(tb, err)
	return e
}

// diary is a sink that notes what it is told, in words.
type diary struct {
	tb   testing.TB
	said chan string
	// hold, if not nil, is received from in each Deliver.
	hold chan struct{}
}

func newDiary(tb testing.TB) *diary { return &diary{tb: tb, said: make(chan string, 10_000)} }

func (l *diary) Live() { l.said <- "live" }

func (l *diary) Deliver(_ context.Context, m *bridge.Message) error {
	l.said <- fmt.Sprintf("%s %.20s", m.Topic, m.Data)
	if l.hold != nil {
		<-l.hold
	}
	return nil
}

func (l *diary) Gap(_ context.Context, g bridge.Gap) error {
	l.said <- fmt.Sprintf("gap %v %d", g.Reason, g.Count)
	return nil
}

func (l *diary) next() string {
	l.tb.Helper()
	select {
	case s := <-l.said:
		return s
	case <-time.After(patience):
		l.tb.Fatal("the source says nothing more")
		return ""
	}
}

// untilLive skips what was received before a connection was lost, up to Live behind
// the reconnect, just before which there is to be a gap.
func (l *diary) untilLive() {
	l.tb.Helper()
	last := ""
	for s := l.next(); s != "live"; s = l.next() {
		last = s
	}
	require.Equal(l.tb, "gap disconnected 0", last)
}

// startCore runs src until the test ends, or stop is called, which returns what Run has.
func startCore(tb testing.TB, src bridge.Source, pattern string, sink bridge.Sink) (stop func() error) {
	ctx, cancel := context.WithCancel(bg)
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { err = src.Run(ctx, pattern, "", sink) })
	stop = func() error { cancel(); wg.Wait(); return err }
	tb.Cleanup(func() { _ = stop() })
	return stop
}

// ends runs src, which is to end by itself.
func ends(tb testing.TB, src bridge.Source, pattern string, sink bridge.Sink) error {
	tb.Helper()
	ctx, cancel := context.WithTimeout(bg, patience)
	defer cancel()
	err := src.Run(ctx, pattern, "", sink)
	require.NoError(tb, ctx.Err(), "Run has not ended by itself")
	return err
}

func TestCore_Arguments(t *testing.T) {
	_, err := natsbridge.NewCore(nil)
	require.ErrorContains(t, err, "nil")
	nc := inside(t, embedded(t))
	for _, limits := range [][2]int{{0, 1}, {1, 0}} {
		_, err = natsbridge.NewCore(nc, natsbridge.WithPendingLimits(limits[0], limits[1]))
		require.ErrorContains(t, err, "WithPendingLimits")
	}
	src := newCore(t, nc, natsbridge.WithPendingLimits(0, 0), natsbridge.WithPendingLimits(-1, -1))
	require.Equal(t, bridge.Capabilities{Wildcards: true}, src.Capabilities())
}

// 1,000 messages while the first one is being decoded, and room for 64: the 64 come,
// and then one gap of the 936 others, where they are missing.
func TestCore_ExactDrops(t *testing.T) {
	for name, limit := range map[string]natsbridge.Option{
		"messages": natsbridge.WithPendingLimits(64, -1),
		"bytes":    natsbridge.WithPendingLimits(-1, 64*len("a000")),
	} {
		t.Run(name, func(t *testing.T) {
			nc := inside(t, embedded(t))
			src := newCore(t, nc, limit)
			sink := newDiary(t)
			sink.hold = make(chan struct{})
			startCore(t, src, "a", sink)
			t.Cleanup(func() { close(sink.hold) }) // before Run is waited for
			require.Equal(t, "live", sink.next())

			for i := range 1000 {
				require.NoError(t, nc.Publish("a", fmt.Appendf(nil, "%03d", i)))
			}
			eventually(t, "all have been read", func() bool { return nc.Stats().InMsgs == 1000 })
			settle(t, nc)
			n, ok := src.Lag("a")
			require.True(t, ok)
			require.Equal(t, uint64(64), n)
			require.Equal(t, uint64(1), src.Warnings("a"))
			for i := range 64 {
				require.Equal(t, fmt.Sprintf("a %03d", i), sink.next())
				sink.hold <- struct{}{}
			}
			require.Equal(t, "gap source_dropped 936", sink.next())
			require.NoError(t, nc.Publish("a", []byte("on")))
			require.Equal(t, "a on", sink.next())
		})
	}
}

// settle returns when the callbacks of nc have been called for all that was read.
func settle(tb testing.TB, nc *nats.Conn) {
	tb.Helper()
	done := make(chan struct{})
	require.NoError(tb, nc.Barrier(func() { close(done) }))
	<-done
}

// A server that cuts a client over its max_pending, since that does not read: the
// topic has a gap, and goes on.
func TestCore_CutByServer(t *testing.T) {
	s := embedded(t, onTCP, func(o *server.Options) { o.MaxPending = 1 << 20; o.WriteDeadline = 2 * time.Second })
	nc, proxy := proxied(t, s.Addr().String(), nats.PingInterval(time.Minute))
	sink := newDiary(t)
	startCore(t, newCore(t, nc), "a", sink)
	require.Equal(t, "live", sink.next())

	proxy.Mute() // what the server sends is not read
	other := inside(t, s)
	big := make([]byte, 64<<10)
	eventually(t, "the server has cut the connection", func() bool {
		require.NoError(t, other.Publish("a", big))
		return s.NumSlowConsumers() > 0
	})
	proxy.Heal()
	sink.untilLive()
	require.NoError(t, other.Publish("a", []byte("on")))
	require.Equal(t, "a on", sink.next())
}

func TestCore_Wildcards(t *testing.T) {
	nc := inside(t, embedded(t))
	b := newBridge(t, newCore(t, nc))
	for pattern, topics := range map[string][]string{
		"w.*.eu": {"w.orders.eu", "w.bills.eu"},
		"v.>":    {"v.a", "v.a.b.c"},
		"u.*":    {"u.ü", "u.a>b", "u.a*"},
	} {
		r := newReader(t, b, pattern)
		for _, topic := range topics {
			require.NoError(t, nc.Publish(topic, []byte("x")))
			require.Equal(t, topic, nextEvent(t, r).Topic)
		}
	}
}

func TestCore_Headers(t *testing.T) {
	nc := inside(t, embedded(t))
	r := newReader(t, newBridge(t, newCore(t, nc)), "a")
	m := nats.NewMsg("a")
	m.Data = []byte("x")
	m.Header.Add("Kind", "one")
	m.Header.Add("Kind", "two")
	m.Header.Set("lower", "case")
	before := time.Now()
	require.NoError(t, nc.PublishMsg(m))
	e := nextEvent(t, r)
	require.Equal(t, bridge.Header{"Kind": {"one", "two"}, "lower": {"case"}}, e.Header)
	require.Equal(t, "x", e.Value)
	require.WithinRange(t, e.Time, before, time.Now())

	require.NoError(t, nc.Publish("a", nil))
	e = nextEvent(t, r)
	require.Nil(t, e.Header)
	require.Empty(t, e.Value)
}

// A malformed subject would cost the application its connection.
func TestCore_MalformedSubjects(t *testing.T) {
	nc := inside(t, embedded(t))
	src := newCore(t, nc)
	for _, subject := range []string{
		"", ".", ".a", "a.", "a..b", " ", "a b", "a.\tb", "a\r\nb", "a.b\x00", "a\x7fb",
		">.a", "a.>.b", "a.>.>", strings.Repeat("a", 4001), strings.Repeat("a.", 3000) + "a",
	} {
		err := ends(t, src, subject, newDiary(t))
		require.ErrorIs(t, err, natsbridge.ErrSubject, "%q", subject)
		require.True(t, bridge.IsPermanent(err), "%q", subject)
		require.Less(t, len(err.Error()), 200, "%q", subject)
	}
	for _, subject := range []string{"a", "*", ">", "*.*", "a.*.>", "a*", "a>", ">a.b", "$SYS.>", strings.Repeat("a", 4000)} {
		sink := newDiary(t)
		stop := startCore(t, src, subject, sink)
		require.Equal(t, "live", sink.next(), "%q", subject)
		require.ErrorIs(t, stop(), context.Canceled)
	}
	require.True(t, nc.IsConnected())
	require.NoError(t, nc.LastError())
}
