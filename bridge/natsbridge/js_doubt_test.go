package natsbridge_test

import (
	"context"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/natsbridge"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// A server that says nothing more is left for another consumer.
func TestStream_Silence(t *testing.T) {
	s := embedded(t)
	f := newFake(t, s)
	r := start(t, newLabOn(t, inside(t, s)).source(), "a", "", nil)
	first := f.greet()
	r.awaitLive()
	require.NotEqual(t, first.consumer, f.greet().consumer)
	r.awaitLive()
}

// While nothing is asked for, since the sink waits, silence means nothing.
func TestStream_SilenceWhileHeldUp(t *testing.T) {
	l := newLab(t)
	l.stream("a")
	gate := make(chan struct{})
	r := start(t, l.source(natsbridge.WithBatch(1)), "a", "", gate)
	r.awaitLive()
	l.publish("a", 1, 5)
	r.numbers(1, 1)
	select {
	case <-r.live:
		t.Fatal("another consumer")
	case <-time.After(time.Second): // ten heartbeats
	}
	close(gate)
	r.numbers(2, 5)
	r.quiet(l, "a")
	require.Empty(t, r.live)
}

// A heartbeat says that the server has delivered what has not come: there is no waiting
// for the next message, which may be late.
func TestStream_HeartbeatAheadOfMessages(t *testing.T) {
	s := embedded(t)
	f := newFake(t, s)
	r := start(t, newLabOn(t, inside(t, s)).source(natsbridge.WithHeartbeat(time.Minute)), "a", "", nil)
	first := f.greet()
	r.awaitLive()
	f.say(first, "100", "Idle Heartbeat", "Nats-Last-Consumer", "0", "Nats-Last-Stream", "0") // as it should be
	f.say(first, "100", "Idle Heartbeat", "Nats-Last-Consumer", "1", "Nats-Last-Stream", "1")
	require.NotEqual(t, first.consumer, f.greet().consumer)
	r.awaitLive()
}

// For a message that is larger than what is asked for, one message is asked for; what
// comes behind it is as bounded as what was before.
func TestStream_LargeMessageIsAskedForAlone(t *testing.T) {
	s := embedded(t)
	f := newFake(t, s)
	start(t, newLabOn(t, inside(t, s)).source(natsbridge.WithHeartbeat(time.Minute)), "a", "", nil)
	usual := f.greet()
	require.Equal(t, 256, usual.Batch)
	require.Equal(t, 8<<20, usual.MaxBytes)
	for range 3 {
		f.say(usual, "409", "Message Size Exceeds MaxBytes", "Nats-Pending-Messages", "256")
		one := f.pull()
		require.Equal(t, pull{Batch: 1, Heartbeat: time.Minute, consumer: usual.consumer, inbox: usual.inbox}, one)
		f.say(one, "408", "Request Timeout", "Nats-Pending-Messages", "1")
		usual = f.pull()
		require.Equal(t, 8<<20, usual.MaxBytes)
	}
}

// A Run waits for a server as long as its context lives, and is live when there is one.
func TestStreams_StartBeforeTheServer(t *testing.T) {
	for name, source := range startSources {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, p := t.TempDir(), freePort(t)
			files := func(o *server.Options) { o.JetStream, o.StoreDir = true, dir }
			s := embedded(t, files)
			l := newLabOn(t, inside(t, s))
			makeStream(t, l.js, jetstream.StreamConfig{Name: "S", Subjects: []string{"a"}})
			s.Shutdown()
			s.WaitForShutdown()
			nc := dial(t, "nats://127.0.0.1:"+strconv.Itoa(p))
			r := start(t, source(newLabOn(t, nc)), "a", "", nil)
			select {
			case <-r.done:
				t.Fatalf("Run has ended: %v", r.err)
			case <-time.After(11 * time.Second): // longer than it waits for a server that is there
			}
			require.Empty(t, r.live)
			embedded(t, files, onTCP, func(o *server.Options) { o.Port = p })
			r.awaitLive()
		})
	}
}

// A server that is connected and does not answer is an error of its own, and not the
// end of the caller's time.
func TestStream_NoAnswer(t *testing.T) {
	t.Parallel()
	nc := inside(t, embedded(t))
	mute := make(chan *nats.Msg, 100)
	_, err := nc.ChanSubscribe("$JS.API.>", mute)
	require.NoError(t, err)
	err = start(t, newLabOn(t, nc).source(), "a", "", nil).failed()
	require.ErrorContains(t, err, "has not answered in 10s")
	require.NotErrorIs(t, err, context.DeadlineExceeded)
}

// A durable that would lose messages or give them to others too early is refused; one
// that is paused goes on when its pause is over.
func TestDurable_FoundWithOtherTimes(t *testing.T) {
	l := newLab(t)
	st := l.stream("a")
	d := l.durable()
	make := func(change func(*jetstream.ConsumerConfig)) {
		cfg := jetstream.ConsumerConfig{Durable: d.Name("a"), FilterSubject: "a", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 10_000}
		change(&cfg)
		_, err := st.CreateConsumer(bg, cfg)
		require.NoError(t, err)
	}
	for want, change := range map[string]func(*jetstream.ConsumerConfig){
		"forgets it": func(c *jetstream.ConsumerConfig) { c.InactiveThreshold = time.Hour },
		"it has a BackOff": func(c *jetstream.ConsumerConfig) {
			c.BackOff = []time.Duration{time.Second, time.Minute}
			c.MaxDeliver = -1
		},
	} {
		make(change)
		require.ErrorContains(t, start(t, d, "a", "", nil).failed(), want)
		require.NoError(t, st.DeleteConsumer(bg, d.Name("a")))
	}
	over := time.Now().Add(2 * time.Second)
	make(func(c *jetstream.ConsumerConfig) { c.PauseUntil = &over })
	r := startLive(t, d, "a", "")
	l.publish("a", 1, 3)
	r.numbers(1, 3)
	require.False(t, time.Now().Before(over))
}

// What was queued in a Run that has ended is not kept, though the Durable remembers the
// Run.
func TestDurable_KeepsNoMessages(t *testing.T) {
	l := newLab(t)
	st := l.stream("a.>")
	d := l.durable()
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc >> 20)
	}
	before := heap()
	for i := range 6 {
		pattern := "a." + strconv.Itoa(i)
		ctx, cancel := context.WithCancel(bg)
		sink := stuck{make(chan struct{}, 1), make(chan struct{}, 1)}
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx, pattern, "", sink) }()
		<-sink.live
		for range 8 {
			_, err := l.js.Publish(bg, pattern, make([]byte, 1<<20-100))
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool { return l.consumer(d, pattern).NumAckPending >= 7 }, soon, time.Millisecond)
		require.NoError(t, l.nc.Flush()) // behind them
		<-sink.come
		cancel()
		require.Error(t, <-done)
	}
	require.NoError(t, st.Purge(bg))
	after := heap()
	require.Less(t, after-before, 20, "of 48 MiB that were queued; all in all %d MiB", after)
	runtime.KeepAlive(d)
}

// stuck is a sink that takes no message before the Run ends.
type stuck struct{ live, come chan struct{} }

func (s stuck) Live()                                 { s.live <- struct{}{} }
func (s stuck) Gap(context.Context, bridge.Gap) error { return nil }

func (s stuck) Deliver(ctx context.Context, _ *bridge.Message) error {
	s.come <- struct{}{}
	<-ctx.Done()
	return context.Cause(ctx)
}

// A stream forgets faster than it is read, also while the server is asked for the next
// message and has said that it has none: whatever it says of a pattern that is a part of
// the stream, each message that does not come is missing behind a gap.
func TestStream_NothingMissingWithoutAGap(t *testing.T) {
	l := newLab(t)
	makeStream(t, l.js, jetstream.StreamConfig{Name: "S", Subjects: []string{"a.>"}, Storage: jetstream.MemoryStorage, MaxMsgs: 100})
	r := startLive(t, l.source(), "a.x", "")
	const all, rare = 20_000, 50
	for i := range all {
		subject := "a.y"
		if i%rare == 0 {
			subject = "a.x"
		}
		require.NoError(t, l.nc.Publish(subject, []byte(strconv.Itoa(i/rare))))
		if i%1000 == 999 {
			require.NoError(t, l.nc.Flush())
		}
	}
	l.publish("a.x", all/rare, all/rare)
	missing := 0
	for next, gap := 0, false; next <= all/rare; {
		m, ok := r.next().(bridge.Message)
		if gap = gap || !ok; !ok {
			continue
		}
		n, err := strconv.Atoi(string(m.Data))
		require.NoError(t, err)
		if n > next {
			require.True(t, gap, "%d to %d are missing without a gap", next, n-1)
			missing += n - next
		}
		next, gap = n+1, false
	}
	require.NotZero(t, missing, "the stream has not forgotten anything too early")
}
