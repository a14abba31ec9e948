package natsbridge_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/natsbridge"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// again takes the messages from first to last, each once and marked. The server may
// give them in another order.
func (r *running) again(first, last int) {
	r.t.Helper()
	var want, got []int
	for i := first; i <= last; i++ {
		m := r.message()
		n, err := strconv.Atoi(string(m.Data))
		require.NoError(r.t, err)
		require.True(r.t, m.Redelivered, "number %d is not marked", n)
		want, got = append(want, i), append(got, n)
	}
	require.ElementsMatch(r.t, want, got)
}

// consumer is what the server knows of the durable of pattern.
func (l *lab) consumer(d *natsbridge.Durable, pattern string) *jetstream.ConsumerInfo {
	l.t.Helper()
	c, err := l.js.Consumer(bg, "S", d.Name(pattern))
	require.NoError(l.t, err)
	return c.CachedInfo()
}

// floor waits until all up to seq are acknowledged, and no more.
func (l *lab) floor(d *natsbridge.Durable, pattern string, seq uint64) {
	l.t.Helper()
	require.Eventually(l.t, func() bool { return l.consumer(d, pattern).AckFloor.Stream >= seq }, soon, time.Millisecond)
	require.Equal(l.t, seq, l.consumer(d, pattern).AckFloor.Stream)
}

// What was delivered and not acknowledged comes again, marked: in the next process, and
// in the next Run.
func TestDurable_NotAcknowledged(t *testing.T) {
	l := newLab(t)
	l.stream("a")
	d := l.durable()
	r := startLive(t, d, "a", "")
	l.publish("a", 1, 10)
	r.numbers(1, 10)
	require.NoError(t, d.Ack(bg, "a", 4))
	require.NoError(t, d.Ack(bg, "a", 4))
	require.NoError(t, d.Ack(bg, "a", 3))
	l.floor(d, "a", 4)
	r.stop()
	require.NoError(t, d.Ack(bg, "a", 6)) // shortly after the Run
	l.publish("a", 11, 11)

	r = startLive(t, d, "a", "")
	marked := map[string]bool{}
	for range 5 {
		m := r.message()
		marked[string(m.Data)] = m.Redelivered
	}
	require.Equal(t, map[string]bool{"7": true, "8": true, "9": true, "10": true, "11": false}, marked)
	require.ErrorContains(t, d.Ack(bg, "a", 6), "5 delivered")
	require.NoError(t, d.Ack(bg, "a", 5))
	l.floor(d, "a", 11)
	require.Error(t, d.Ack(bg, "b", 1))
	require.Zero(t, l.consumer(d, "a").NumAckPending)
}

// While a sink waits for longer than AckWait, nothing is given away: what it has, and
// what is queued behind it.
func TestDurable_SignsOfLife(t *testing.T) {
	l := newLab(t)
	l.stream("a")
	d := l.durable(natsbridge.WithAckWait(2 * time.Second))
	gate := make(chan struct{})
	r := start(t, d, "a", "", gate)
	r.awaitLive()
	l.publish("a", 1, 20)
	r.numbers(1, 1)
	time.Sleep(5 * time.Second) // this is longer than AckWait
	close(gate)
	r.numbers(2, 20)
	require.NoError(t, d.Ack(bg, "a", 20))
	l.floor(d, "a", 20)
	// All were given once: a message that is given again counts for the consumer.
	require.EqualValues(t, 20, l.consumer(d, "a").Delivered.Consumer)
}

// die ends a process that has r, and returns when the server has noticed.
func die(t *testing.T, s *server.Server, process *lab, r *running) {
	t.Helper()
	before := s.NumClients()
	process.nc.Close()
	require.Error(t, r.failed())
	require.Eventually(t, func() bool { return s.NumClients() == before-1 }, soon, time.Millisecond)
}

// A process that gives no signs of life loses what it holds to the next one.
func TestDurable_ProcessGone(t *testing.T) {
	s := embedded(t, withJetStream(t))
	l := newLabOn(t, inside(t, s))
	l.stream("a")
	dying := newLabOn(t, inside(t, s))
	d := dying.durable(natsbridge.WithAckWait(300 * time.Millisecond))
	r := startLive(t, d, "a", "")
	l.publish("a", 1, 10)
	r.numbers(1, 10)
	require.NoError(t, d.Ack(bg, "a", 4))
	die(t, s, dying, r)

	r = startLive(t, l.durable(natsbridge.WithAckWait(300*time.Millisecond)), "a", "")
	r.again(5, 10)
}

// An administrator deletes the durable. What readers have in hand is not given to them
// twice; the new durable begins with what was not acknowledged, and the next process
// gets that, marked.
func TestDurable_Deleted(t *testing.T) {
	l := newLab(t)
	st := l.stream("a")
	d := l.durable()
	r := startLive(t, d, "a", "")
	l.publish("a", 1, 10)
	r.numbers(1, 10)
	require.NoError(t, d.Ack(bg, "a", 4))
	require.NoError(t, st.DeleteConsumer(bg, d.Name("a")))
	r.awaitLive()
	l.publish("a", 11, 12)
	r.numbers(11, 12)
	require.NoError(t, d.Ack(bg, "a", 6))
	l.floor(d, "a", 6)
	require.NoError(t, st.DeleteConsumer(bg, d.Name("a")))
	require.NoError(t, d.Ack(bg, "a", 8)) // nobody hears it
	r.awaitLive()
	l.publish("a", 13, 13)
	r.numbers(13, 13)
	l.floor(d, "a", 8)
	r.stop()

	r = startLive(t, l.durable(), "a", "")
	r.again(9, 13)
}

// The durable is deleted between two Runs of the process.
func TestDurable_DeletedBetweenRuns(t *testing.T) {
	l := newLab(t)
	st := l.stream("a")
	d := l.durable()
	r := startLive(t, d, "a", "")
	l.publish("a", 1, 10)
	r.numbers(1, 10)
	require.NoError(t, d.Ack(bg, "a", 4))
	r.stop()
	require.NoError(t, d.Ack(bg, "a", 5))
	require.NoError(t, st.DeleteConsumer(bg, d.Name("a")))
	l.publish("a", 11, 11)
	r = startLive(t, d, "a", "")
	r.again(6, 10) // of a new durable, in order
	r.numbers(11, 11)
	require.NoError(t, d.Ack(bg, "a", 6))
	l.floor(d, "a", 11)
}

// The durable is deleted while another process's messages still wait in it.
func TestDurable_DeletedBeforeTakeover(t *testing.T) {
	s := embedded(t, withJetStream(t))
	l := newLabOn(t, inside(t, s))
	st := l.stream("a")
	dying := newLabOn(t, inside(t, s))
	d := dying.durable()
	r := startLive(t, d, "a", "")
	l.publish("a", 1, 10)
	r.numbers(1, 10)
	require.NoError(t, d.Ack(bg, "a", 4))
	die(t, s, dying, r)

	r = startLive(t, l.durable(), "a", "")
	l.publish("a", 11, 11)
	r.numbers(11, 11) // 5 to 10 wait for half a minute
	require.NoError(t, st.DeleteConsumer(bg, d.Name("a")))
	r.again(5, 10)
	l.publish("a", 12, 12)
	r.numbers(12, 12)
}

// The stream was deleted and made anew between two Runs: nothing of the old one counts.
func TestDurable_StreamAnewBetweenRuns(t *testing.T) {
	l := newLab(t)
	l.stream("a")
	d := l.durable()
	r := startLive(t, d, "a", "")
	l.publish("a", 1, 10)
	r.numbers(1, 10)
	require.NoError(t, d.Ack(bg, "a", 10))
	r.stop()
	require.NoError(t, l.js.DeleteStream(bg, "S"))
	l.stream("a")
	l.publish("a", 1, 3)
	r = startLive(t, d, "a", "")
	l.publish("a", 4, 12)
	r.numbers(4, 12)
}

// A durable that is there is taken if it fits, and never changed.
func TestDurable_AlreadyThere(t *testing.T) {
	fits := jetstream.ConsumerConfig{
		FilterSubject: "a", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 7 * time.Second,
		MaxAckPending: 20_000, DeliverPolicy: jetstream.DeliverAllPolicy, MaxRequestBatch: 7, MaxRequestExpires: time.Second, MaxRequestMaxBytes: 1 << 20,
	}
	with := func(change func(c *jetstream.ConsumerConfig)) jetstream.ConsumerConfig {
		c := fits
		change(&c)
		return c
	}
	for why, cfg := range map[string]jetstream.ConsumerConfig{
		"":                     fits,
		`filter is ["b"]`:      with(func(c *jetstream.ConsumerConfig) { c.FilterSubject = "b" }),
		`filter is []`:         with(func(c *jetstream.ConsumerConfig) { c.FilterSubject = "" }),
		`filter is ["a" "b"]`:  with(func(c *jetstream.ConsumerConfig) { c.FilterSubject, c.FilterSubjects = "", []string{"a", "b"} }),
		"not explicit":         with(func(c *jetstream.ConsumerConfig) { c.AckPolicy = jetstream.AckAllPolicy }),
		"gives up after 5":     with(func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 5 }),
		"MaxAckPending is 100": with(func(c *jetstream.ConsumerConfig) { c.MaxAckPending = 100 }),
		"headers only":         with(func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true }),
		"priority groups": with(func(c *jetstream.ConsumerConfig) {
			c.PriorityGroups, c.PriorityPolicy = []string{"g"}, jetstream.PriorityPolicyOverflow
		}),
	} {
		t.Run(why, func(t *testing.T) {
			l := newLab(t)
			l.stream("a", "b")
			d := l.durable()
			cfg.Durable = d.Name("a")
			_, err := l.js.CreateConsumer(bg, "S", cfg)
			require.NoError(t, err)
			before := l.consumer(d, "a").Config
			l.publish("a", 1, 50)
			r := start(t, d, "a", "", nil)
			if why == "" {
				r.numbers(1, 50)
			} else {
				err := r.failed()
				require.True(t, bridge.IsPermanent(err), "%v", err)
				require.ErrorContains(t, err, why)
				require.ErrorContains(t, err, d.Name("a"))
			}
			require.Equal(t, before, l.consumer(d, "a").Config)
		})
	}
}

// A push consumer of that name is not ours.
func TestDurable_PushIsThere(t *testing.T) {
	l := newLab(t)
	l.stream("a")
	d := l.durable()
	_, err := l.js.CreatePushConsumer(bg, "S", jetstream.ConsumerConfig{
		Durable: d.Name("a"), FilterSubject: "a", AckPolicy: jetstream.AckExplicitPolicy, DeliverSubject: "x",
	})
	require.NoError(t, err)
	err = start(t, d, "a", "", nil).failed()
	require.True(t, bridge.IsPermanent(err), "%v", err)
	require.ErrorIs(t, err, jetstream.ErrNotPullConsumer)
}

// What the stream has forgotten while nobody was there is a gap.
func TestDurable_Truncation(t *testing.T) {
	l := newLab(t)
	st := l.stream("a")
	d := l.durable()
	r := startLive(t, d, "a", "")
	l.publish("a", 1, 10)
	r.numbers(1, 10)
	require.NoError(t, d.Ack(bg, "a", 10))
	l.floor(d, "a", 10)
	r.stop()
	l.publish("a", 11, 20)
	l.keep(st, 5)
	r = startLive(t, l.durable(), "a", "")
	require.Equal(t, bridge.Gap{Reason: bridge.Truncated, From: position(t, st, 11), To: position(t, st, 15), Count: 5}, r.gap())
	r.numbers(16, 20)
}

// What another process has, and the stream forgets before it comes again, is a gap too.
func TestDurable_TruncationOfOthers(t *testing.T) {
	s := embedded(t, withJetStream(t))
	l := newLabOn(t, inside(t, s))
	st := l.stream("a")
	dying := newLabOn(t, inside(t, s))
	d := dying.durable()
	r := startLive(t, d, "a", "")
	l.publish("a", 1, 10)
	r.numbers(1, 10)
	die(t, s, dying, r)

	r = startLive(t, l.durable(), "a", "")
	l.keep(st, 3)
	require.Equal(t, bridge.Gap{Reason: bridge.Truncated, From: position(t, st, 1), To: position(t, st, 7)}, r.gap())
	l.publish("a", 11, 11)
	r.numbers(11, 11)
}

func text(m *bridge.Message) (string, error) { return string(m.Data), nil }

// A calm Shutdown acknowledges what was taken, before it returns.
func TestDurable_Shutdown(t *testing.T) {
	l := newLab(t)
	l.stream("a")
	d := l.durable()
	b, err := bridge.New(d, text, bridge.WithAck())
	require.NoError(t, err)
	defer b.Close()
	reader, err := b.NewReader(bg, "a")
	require.NoError(t, err)
	l.publish("a", 1, 100)
	for range 100 {
		_, err := reader.Next(bg)
		require.NoError(t, err)
	}
	ctx, cancel := context.WithTimeout(bg, soon)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- b.Shutdown(ctx) }()
	_, err = reader.Next(ctx) // releases the last one
	require.Error(t, err)
	require.NoError(t, <-done)
	l.floor(d, "a", 100)
}

// Poison that is skipped is acknowledged. Poison that ends the topic comes again.
func TestDurable_Poison(t *testing.T) {
	l := newLab(t)
	l.stream("a")
	bad := errors.New("bad")
	decode := func(m *bridge.Message) (string, error) {
		if string(m.Data) == "3" {
			return "", bad
		}
		return text(m)
	}
	d := l.durable(natsbridge.WithAckWait(500 * time.Millisecond)) // for what is on the way when the topic ends
	verdict := bad
	var letters []bridge.Message
	opts := []bridge.Option{bridge.WithAck(), bridge.WithPoison(func(m *bridge.Message, _ error) error {
		letters = append(letters, *m)
		return verdict
	})}
	b, err := bridge.New(d, decode, opts...)
	require.NoError(t, err)
	defer b.Close()
	reader, err := b.NewReader(bg, "a")
	require.NoError(t, err)
	l.publish("a", 1, 5)
	for err == nil {
		_, err = reader.Next(bg)
	}
	require.ErrorIs(t, err, bad)
	b.Close()

	verdict = nil
	b, err = bridge.New(l.durable(), decode, opts...)
	require.NoError(t, err)
	defer b.Close()
	reader, err = b.NewReader(bg, "a")
	require.NoError(t, err)
	require.Eventually(t, func() bool { // in any order; asking for the next one releases the last
		ctx, cancel := context.WithTimeout(bg, 10*time.Millisecond)
		defer cancel()
		e, err := reader.Next(ctx)
		require.True(t, err == nil && e.Value != "3" || ctx.Err() != nil, "%v, %v", e, err)
		return l.consumer(d, "a").AckFloor.Stream == 5
	}, soon, time.Millisecond)
	b.Close()
	require.Len(t, letters, 2)
	require.False(t, letters[0].Redelivered)
	require.True(t, letters[1].Redelivered)
}

// Lag counts what is not acknowledged too.
func TestDurable_Lag(t *testing.T) {
	l := newLab(t)
	l.stream("a")
	d := l.durable(natsbridge.WithBatch(10))
	gate := make(chan struct{})
	r := start(t, d, "a", "", gate)
	r.awaitLive()
	l.publish("a", 1, 50)
	lag := func(want uint64) {
		t.Helper()
		require.Eventually(t, func() bool { n, ok := d.Lag("a"); return ok && n == want }, soon, time.Millisecond)
	}
	lag(50)
	close(gate)
	r.numbers(1, 50)
	lag(50)
	require.NoError(t, d.Ack(bg, "a", 20))
	lag(30)
	require.NoError(t, d.Ack(bg, "a", 50))
	lag(0)
}

// Acknowledgements that are lost with the connection are sent again.
func TestDurable_AckWithoutConnection(t *testing.T) {
	s := embedded(t, withJetStream(t), onTCP)
	nc, proxy := proxied(t, s.Addr().String())
	l := newLabOn(t, inside(t, s))
	l.stream("a")
	d := newLabOn(t, nc).durable()
	r := startLive(t, d, "a", "")
	l.publish("a", 1, 10)
	r.numbers(1, 10)
	proxy.Refuse()
	proxy.Cut()
	ctx, cancel := context.WithTimeout(bg, 100*time.Millisecond)
	defer cancel()
	require.Error(t, d.Ack(ctx, "a", 7))
	proxy.Heal()
	require.Eventually(t, func() bool { return d.Ack(bg, "a", 7) == nil }, soon, 10*time.Millisecond)
	l.floor(d, "a", 7)
}

// The name of a durable says what it is for, and two of them are never the same.
func TestDurable_Names(t *testing.T) {
	l := newLab(t)
	l.stream("a.>")
	seen := map[string]string{}
	long := fmt.Sprintf("%0300d", 7)
	for _, name := range []string{"p", "p.1", "p_2E1", "p__a", "p/1", `p\1`, "p 1", "п", "*", ">", long, "p_5F" + long} {
		for _, pattern := range []string{"a", "a.b", "a.*", "a.>", "a_2Eb", "a__b", ">", "*", long, long + ".a", "a." + long} {
			d, err := natsbridge.NewDurable(l.nc, "S", name)
			require.NoError(t, err)
			full := d.Name(pattern)
			pair := name + " " + pattern
			require.NotContains(t, seen, full, "%q and %q", pair, seen[full])
			seen[full] = pair
			require.NotEmpty(t, full)
			require.LessOrEqual(t, len(full), 255)
		}
	}
	for _, name := range []string{"p 1/ü", long} { // the server takes them
		d, err := natsbridge.NewDurable(l.nc, "S", name)
		require.NoError(t, err)
		startLive(t, d, "a.*.>", "").stop()
		require.Equal(t, 1, consumersOf(t, l.nc, "S", "a.*.>"))
		require.NoError(t, l.js.DeleteConsumer(bg, "S", d.Name("a.*.>")))
	}
	d, err := natsbridge.NewDurable(l.nc, "S", "p")
	require.NoError(t, err)
	require.Equal(t, "p__orders_2E_2A", d.Name("orders.*"))
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
			require.Eventually(t, func() bool { // what may be queued has been sent
				for c := range st.ListConsumers(bg).Info() {
					return c.NumPending <= 40 && c.NumWaiting == 0
				}
				return false
			}, soon, time.Millisecond)
			for c := range st.ConsumerNames(bg).Name() {
				require.NoError(t, st.DeleteConsumer(bg, c))
			}
			close(gate)
			r.numbers(1, 50)
			r.quiet(l, "a")
		})
	}
}
