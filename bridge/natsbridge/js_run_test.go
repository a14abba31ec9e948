package natsbridge_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/natsbridge"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// soon bounds what is only to happen at some time.
const soon = 20 * time.Second

// lab is an embedded server with streams, and a connection to it.
type lab struct {
	t  testing.TB
	nc *nats.Conn
	js jetstream.JetStream
}

func newLab(t testing.TB) *lab {
	t.Helper()
	return newLabOn(t, inside(t, embedded(t, withJetStream(t))))
}

func newLabOn(t testing.TB, nc *nats.Conn) *lab {
	t.Helper()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(soon))
	require.NoError(t, err)
	return &lab{t: t, nc: nc, js: js}
}

// stream makes a stream with the name S, in memory: one in files cannot be deleted and
// made anew at once.
func (l *lab) stream(subjects ...string) jetstream.Stream {
	l.t.Helper()
	return makeStream(l.t, l.js, jetstream.StreamConfig{Name: "S", Subjects: subjects, Storage: jetstream.MemoryStorage})
}

// publish publishes the numbers from first to last.
func (l *lab) publish(subject string, first, last int) {
	l.t.Helper()
	for i := first; i <= last; i++ {
		_, err := l.js.Publish(bg, subject, []byte(strconv.Itoa(i)))
		require.NoError(l.t, err)
	}
}

// keep has a stream forget all but the newest n, now and later.
func (l *lab) keep(st jetstream.Stream, n int64) {
	l.t.Helper()
	info, err := st.Info(bg)
	require.NoError(l.t, err)
	info.Config.MaxMsgs = n
	_, err = l.js.UpdateStream(bg, info.Config)
	require.NoError(l.t, err)
}

// source makes a Stream that notices quickly.
func (l *lab) source(opts ...natsbridge.Option) *natsbridge.Stream {
	l.t.Helper()
	s, err := natsbridge.NewStream(l.nc, "S", append([]natsbridge.Option{natsbridge.WithHeartbeat(100 * time.Millisecond)}, opts...)...)
	require.NoError(l.t, err)
	return s
}

// durable makes a Durable of process p that notices quickly.
func (l *lab) durable(opts ...natsbridge.Option) *natsbridge.Durable {
	l.t.Helper()
	s, err := natsbridge.NewDurable(l.nc, "S", "p", append([]natsbridge.Option{natsbridge.WithHeartbeat(100 * time.Millisecond)}, opts...)...)
	require.NoError(l.t, err)
	return s
}

// running is a Run without a bridge. It is the sink too.
type running struct {
	t      testing.TB
	cancel context.CancelFunc
	live   chan struct{}
	calls  chan any      // bridge.Message and bridge.Gap
	gate   chan struct{} // not nil: Deliver waits until it is closed
	done   chan struct{}
	err    error // of Run, once done is closed
}

// start begins a Run.
func start(t testing.TB, src bridge.Source, pattern string, from bridge.Position, gate chan struct{}) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(bg)
	r := &running{t: t, cancel: cancel, live: make(chan struct{}, 100), calls: make(chan any, 10_000), gate: gate, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = src.Run(ctx, pattern, from, r)
	}()
	t.Cleanup(r.stop)
	return r
}

// startLive is start, and returns when the Run is live.
func startLive(t testing.TB, src bridge.Source, pattern string, from bridge.Position) *running {
	t.Helper()
	r := start(t, src, pattern, from, nil)
	r.awaitLive()
	return r
}

func (r *running) Live() { r.live <- struct{}{} }

func (r *running) Deliver(ctx context.Context, m *bridge.Message) error {
	r.calls <- *m
	if r.gate != nil {
		select {
		case <-r.gate:
		case <-ctx.Done():
		}
	}
	return nil
}

func (r *running) Gap(_ context.Context, g bridge.Gap) error {
	r.calls <- g
	return nil
}

func (r *running) stop() { r.cancel(); <-r.done }

func (r *running) awaitLive() {
	r.t.Helper()
	select {
	case <-r.live:
	case <-r.done:
		r.t.Fatalf("Run has ended: %v", r.err)
	case <-time.After(soon):
		r.t.Fatal("not live")
	}
}

// failed waits for the end of the Run.
func (r *running) failed() error {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(soon):
		r.t.Fatal("Run goes on")
	}
	return r.err
}

func (r *running) next() any {
	r.t.Helper()
	select {
	case c := <-r.calls:
		return c
	case <-r.done:
		r.t.Fatalf("Run has ended: %v", r.err)
	case <-time.After(soon):
		r.t.Fatal("nothing comes")
	}
	return nil
}

func (r *running) message() bridge.Message {
	r.t.Helper()
	c := r.next()
	m, ok := c.(bridge.Message)
	require.True(r.t, ok, "want a message, got %+v", c)
	return m
}

func (r *running) gap() bridge.Gap {
	r.t.Helper()
	c := r.next()
	g, ok := c.(bridge.Gap)
	require.True(r.t, ok, "want a gap, got %+v", c)
	return g
}

// numbers takes the messages from first to last, in order, and returns the position of
// the last one.
func (r *running) numbers(first, last int) (p bridge.Position) {
	r.t.Helper()
	for i := first; i <= last; i++ {
		m := r.message()
		require.Equal(r.t, strconv.Itoa(i), string(m.Data))
		require.False(r.t, m.Redelivered, "number %d is marked", i)
		p = m.Position
	}
	return p
}

// quiet fails if more than that has come. What has been published before is published
// before a last message, which arrives.
func (r *running) quiet(l *lab, subject string) {
	r.t.Helper()
	l.publish(subject, -1, -1)
	require.Equal(r.t, "-1", string(r.message().Data))
}

// position is where message seq of a stream stands.
func position(t testing.TB, st jetstream.Stream, seq int) bridge.Position {
	t.Helper()
	info, err := st.Info(bg)
	require.NoError(t, err)
	return bridge.Position(fmt.Sprintf("%s@%s:%d", info.Config.Name, strconv.FormatInt(info.Created.UnixNano(), 36), seq))
}
