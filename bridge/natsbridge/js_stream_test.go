package natsbridge_test

import (
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/natsbridge"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// What is gone before a Run begins at a position is a gap with the exact range.
func TestStream_StartBehindTruncation(t *testing.T) {
	for _, c := range []struct {
		name, pattern string
		count         uint64
	}{
		{"the pattern is the whole stream", "orders.>", 300},
		{"the pattern matches more", ">", 300},
		{"the pattern is a part", "orders.eu", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			st := l.stream("orders.>")
			l.publish("orders.eu", 1, 1000)
			require.NoError(t, st.Purge(bg, jetstream.WithPurgeSequence(801)))
			r := startLive(t, l.source(), c.pattern, position(t, st, 500))
			want := bridge.Gap{Reason: bridge.Truncated, From: position(t, st, 501), To: position(t, st, 800), Count: c.count}
			require.Equal(t, want, r.gap())
			require.Equal(t, position(t, st, 1000), r.numbers(801, 1000))
		})
	}
}

// Nothing is left, and nothing comes: the gap does not wait for a message.
func TestStream_StartBehindPurge(t *testing.T) {
	l := newLab(t)
	st := l.stream("a")
	l.publish("a", 1, 10)
	require.NoError(t, st.Purge(bg))
	r := startLive(t, l.source(natsbridge.WithHeartbeat(time.Minute)), "a", position(t, st, 4))
	require.Equal(t, bridge.Gap{Reason: bridge.Truncated, From: position(t, st, 5), To: position(t, st, 10), Count: 6}, r.gap())
	l.publish("a", 11, 11)
	r.numbers(11, 11)
}

// The stream forgets what a Run has not fetched while its sink waits: the gap comes
// before the first message behind it, and counts exactly those that did not come.
func TestStream_TruncationWhileHeldUp(t *testing.T) {
	l := newLab(t)
	st := l.stream("a.>")
	gate := make(chan struct{})
	r := start(t, l.source(natsbridge.WithBatch(100)), "a.>", "", gate)
	r.awaitLive()
	l.publish("a.x", 1, 2000)
	l.keep(st, 10)
	close(gate)
	delivered := 0
	for {
		c := r.next()
		if g, ok := c.(bridge.Gap); ok {
			require.LessOrEqual(t, delivered, 101)
			require.Equal(t, bridge.Gap{Reason: bridge.Truncated, From: position(t, st, delivered+1), To: position(t, st, 1990), Count: uint64(1990 - delivered)}, g)
			break
		}
		delivered++
		require.Equal(t, position(t, st, delivered), c.(bridge.Message).Position)
	}
	r.numbers(1991, 2000)
	r.quiet(l, "a.x")
}

// The same where the pattern is a part of the stream: the range is known, and how many
// of it were of the pattern is not.
func TestStream_TruncationOfAPartWhileHeldUp(t *testing.T) {
	l := newLab(t)
	st := l.stream("a.>")
	gate := make(chan struct{})
	r := start(t, l.source(natsbridge.WithBatch(10)), "a.x", "", gate)
	r.awaitLive()
	for i := 1; i <= 200; i++ { // numbers 1, 3, 5 are of the pattern
		l.publish("a.x", i, i)
		l.publish("a.y", i, i)
	}
	require.NoError(t, st.Purge(bg, jetstream.WithPurgeSequence(391)))
	close(gate)
	// What had come before the purge is delivered still, and each number between two of
	// them that was not looked at before the purge may be one that is lost.
	delivered, to := 0, bridge.Position("")
	for to != position(t, st, 390) {
		switch c := r.next().(type) {
		case bridge.Gap:
			require.Equal(t, bridge.Truncated, c.Reason)
			require.Zero(t, c.Count)
			require.Equal(t, position(t, st, max(1, 2*delivered)), c.From)
			to = c.To
		case bridge.Message:
			if to != "" {
				require.Equal(t, position(t, st, 2*delivered), to, "before the next")
				to = ""
			}
			delivered++
			require.Equal(t, position(t, st, 2*delivered-1), c.Position)
		}
	}
	require.LessOrEqual(t, delivered, 11)
	r.numbers(196, 200)
	r.quiet(l, "a.x")
}

// Numbers that are of other patterns are no gap, and neither are messages that were
// deleted between others.
func TestStream_HolesAreNoGap(t *testing.T) {
	l := newLab(t)
	st := l.stream("a.>")
	begin := position(t, st, 0)
	for i := 1; i <= 50; i++ {
		l.publish("a.x", i, i)
		l.publish("a.y", i, i)
	}
	r := startLive(t, l.source(), "a.x", begin)
	r.numbers(1, 50)
	r.quiet(l, "a.x")
	require.NoError(t, st.DeleteMsg(bg, 4))
	require.NoError(t, st.DeleteMsg(bg, 5))
	all := startLive(t, l.source(), "a.>", begin)
	for seq := 1; seq <= 101; seq++ {
		if seq != 4 && seq != 5 {
			require.Equal(t, position(t, st, seq), all.message().Position)
		}
	}
}

// A pattern that is quiet for longer than the stream keeps its messages has lost
// nothing: heartbeats say how far the server has looked.
func TestStream_QuietPatternOfABusyStream(t *testing.T) {
	l := newLab(t)
	makeStream(t, l.js, jetstream.StreamConfig{Name: "S", Subjects: []string{"a.>"}, MaxMsgs: 30})
	r := startLive(t, l.source(), "a.quiet", "")
	l.publish("a.quiet", 1, 1)
	r.numbers(1, 1)
	asked, err := l.nc.SubscribeSync("$JS.API.STREAM.INFO.S")
	require.NoError(t, err)
	for range 12 { // it asks after each heartbeat that says more than the one before
		l.publish("a.busy", 1, 5)
		_, err := asked.NextMsg(soon)
		require.NoError(t, err)
	}
	l.publish("a.quiet", 2, 2)
	r.numbers(2, 2)
}

// A stream that has lost its end takes numbers that it has given before.
func TestStream_LostEnd(t *testing.T) {
	l := newLab(t)
	st := l.stream("a")
	l.publish("a", 1, 10)
	r := startLive(t, l.source(), "a", position(t, st, 15))
	g := r.gap()
	require.Equal(t, bridge.Truncated, g.Reason)
	require.ErrorContains(t, g.Err, "ends at 10")
	l.publish("a", 11, 12)
	r.numbers(11, 12)
}

// A new process begins where another one has ended.
func TestStream_Resume(t *testing.T) {
	l := newLab(t)
	l.stream("a")
	first := startLive(t, l.source(), "a", "")
	l.publish("a", 1, 20)
	at := first.numbers(1, 20)
	first.stop()
	l.publish("a", 21, 40)
	second := startLive(t, l.source(), "a", at)
	second.numbers(21, 40)
	second.quiet(l, "a")
}

// kill -9 of the server, in the middle of a Run: all of 200, each once.
func TestStream_ServerKilled(t *testing.T) {
	c := newChild(t)
	nc, _ := proxied(t, c.addr())
	l := newLabOn(t, nc)
	makeStream(t, l.js, jetstream.StreamConfig{Name: "S", Subjects: []string{"a"}})
	r := startLive(t, l.source(), "a", "")
	l.publish("a", 1, 100)
	r.numbers(1, 70)
	c.kill()
	c.start()
	r.awaitLive()
	l.publish("a", 101, 200)
	r.numbers(71, 200)
	r.quiet(l, "a")
}

// A stream in memory is gone with the server, and the topic says so.
func TestStream_MemoryGone(t *testing.T) {
	c := newChild(t)
	nc, _ := proxied(t, c.addr())
	l := newLabOn(t, nc)
	makeStream(t, l.js, jetstream.StreamConfig{Name: "S", Subjects: []string{"a"}, Storage: jetstream.MemoryStorage})
	r := startLive(t, l.source(), "a", "")
	l.publish("a", 1, 10)
	r.numbers(1, 10)
	c.kill()
	c.start()
	err := r.failed()
	require.True(t, bridge.IsPermanent(err), "%v", err)
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
}

func TestStream_PositionsRefused(t *testing.T) {
	l := newLab(t)
	st := l.stream("a")
	other := makeStream(t, l.js, jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"b"}})
	l.publish("a", 1, 3)
	old := position(t, st, 2)
	for _, p := range []bridge.Position{"7", "0:17", "S@:3", "S@zz:", "@1:2", "S@1:-1", "S@1:01", "S@+1:1", "S@1:18446744073709551616", position(t, other, 1)} {
		err := start(t, l.source(), "a", p, nil).failed()
		require.True(t, bridge.IsPermanent(err), "%v", err)
		require.ErrorContains(t, err, string(p))
		require.ErrorContains(t, err, `stream "S"`)
	}
	require.NoError(t, l.js.DeleteStream(bg, "S"))
	l.stream("a")
	l.publish("a", 1, 3)
	err := start(t, l.source(), "a", old, nil).failed()
	require.True(t, bridge.IsPermanent(err), "%v", err)
	require.ErrorContains(t, err, "made anew")
}

func TestStream_NotThere(t *testing.T) {
	l := newLab(t)
	for _, src := range []bridge.Source{l.source(), l.durable()} {
		err := start(t, src, "a", "", nil).failed()
		require.True(t, bridge.IsPermanent(err), "%v", err)
		require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
		require.ErrorContains(t, err, `"S"`)
	}
	l.stream("a.>", "b.*")
	for _, src := range []bridge.Source{l.source(), l.durable()} {
		for _, pattern := range []string{"c", "a", "b.x.y"} {
			err := start(t, src, pattern, "", nil).failed()
			require.True(t, bridge.IsPermanent(err), "%v", err)
			require.ErrorContains(t, err, pattern)
		}
		err := start(t, src, "a..b", "", nil).failed()
		require.True(t, bridge.IsPermanent(err), "%v", err)
		require.ErrorIs(t, err, natsbridge.ErrSubject)
	}
}

// The stream goes away, or is another one, while a Run goes on.
func TestStream_DeletedWhileRunning(t *testing.T) {
	for name, again := range map[string]bool{"gone": false, "made anew": true} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.stream("a")
			sources := []*running{startLive(t, l.source(), "a", ""), startLive(t, l.durable(), "a", "")}
			l.publish("a", 1, 3)
			for _, r := range sources {
				r.numbers(1, 3)
			}
			require.NoError(t, l.js.DeleteStream(bg, "S"))
			if again {
				l.stream("a")
				l.publish("a", 1, 3)
			}
			for _, r := range sources {
				err := r.failed()
				require.True(t, bridge.IsPermanent(err), "%v", err)
				require.Empty(t, r.calls)
			}
		})
	}
}

// An administrator deletes the consumer: another one goes on where it was.
func TestStream_ConsumerDeleted(t *testing.T) {
	l := newLab(t)
	st := l.stream("a")
	r := startLive(t, l.source(), "a", "")
	for i := range 5 {
		l.publish("a", 10*i+1, 10*i+10)
		r.numbers(10*i+1, 10*i+10)
		for name := range st.ConsumerNames(bg).Name() {
			require.NoError(t, st.DeleteConsumer(bg, name))
		}
		r.awaitLive()
		require.Equal(t, 1, consumersOf(t, l.nc, "S", "a"))
	}
	r.stop()
	require.Zero(t, consumersOf(t, l.nc, "S", "a"))
}

func TestStream_ConnectionClosed(t *testing.T) {
	l := newLab(t)
	l.stream("a")
	r := startLive(t, l.source(), "a", "")
	l.nc.Close()
	err := r.failed()
	require.True(t, bridge.IsPermanent(err), "%v", err)
	require.ErrorContains(t, err, "connection closed")
}
