package natsbridge_test

import (
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
	l.floor(d, "a", 4)
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
	l.floor(d, "a", 4)
	die(t, s, dying, r)

	d = l.durable()
	r = startLive(t, d, "a", "")
	l.publish("a", 11, 11)
	r.numbers(11, 11) // 5 to 10 wait for half a minute
	require.NoError(t, d.Ack(bg, "a", 1))
	require.NoError(t, st.DeleteConsumer(bg, d.Name("a")))
	r.again(5, 10)
	l.publish("a", 12, 12)
	r.numbers(12, 12) // 11 has come again, and was acknowledged
	require.NoError(t, d.Ack(bg, "a", 8))
	l.floor(d, "a", 12)
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
