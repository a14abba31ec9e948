package natsbridge_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/natsbridge"
	"github.com/stretchr/testify/require"
)

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
