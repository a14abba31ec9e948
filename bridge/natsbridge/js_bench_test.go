package natsbridge_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/natsbridge"
	"github.com/stretchr/testify/require"
)

var errEnough = errors.New("enough")

// counter is a sink that ends the Run after n messages.
type counter struct {
	n    int
	ack  func(n uint64)
	done uint64
}

func (*counter) Live()                                 {}
func (*counter) Gap(context.Context, bridge.Gap) error { return errors.New("a gap") }

func (c *counter) Deliver(context.Context, *bridge.Message) error {
	c.done++
	if c.ack != nil && c.done%100 == 0 {
		c.ack(c.done - 1)
	}
	if c.n--; c.n == 0 {
		return errEnough
	}
	return nil
}

// A history that is there, from the embedded server to the sink: the whole stream, one
// subject of ten, which skips numbers, and with acknowledgements in hundreds.
func BenchmarkStreams_History(b *testing.B) {
	for name, pattern := range map[string]string{"whole": "a.>", "part": "a.3"} {
		b.Run(name, func(b *testing.B) {
			l := fillLab(b)
			begin := position(b, must(l.js.Stream(bg, "S")), 0)
			src, err := natsbridge.NewStream(l.nc, "S")
			require.NoError(b, err)
			b.ResetTimer()
			require.ErrorIs(b, src.Run(bg, pattern, begin, &counter{n: b.N}), errEnough)
		})
	}
	b.Run("durable", func(b *testing.B) {
		l := newLab(b)
		l.stream("a.>")
		src, err := natsbridge.NewDurable(l.nc, "S", "p")
		require.NoError(b, err)
		startLive(b, src, "a.>", "").stop() // the durable begins here
		fill(b, l)
		b.ResetTimer()
		c := &counter{n: b.N, ack: func(n uint64) { require.NoError(b, src.Ack(bg, "a.>", n)) }}
		require.ErrorIs(b, src.Run(bg, "a.>", "", c), errEnough)
	})
}

// One message at a time, from Publish to the sink: with a pattern that is a part of the
// stream each of them has the stream asked for its oldest message.
func BenchmarkStreams_Single(b *testing.B) {
	for name, pattern := range map[string]string{"whole": "a.>", "part": "a.0"} {
		b.Run(name, func(b *testing.B) {
			l := newLab(b)
			l.stream("a.>")
			r := startLive(b, l.source(natsbridge.WithHeartbeat(time.Minute)), pattern, "")
			data := make([]byte, 128)
			for b.Loop() {
				for _, subject := range []string{"a.1", "a.0"} {
					require.NoError(b, l.nc.Publish(subject, data))
				}
				for r.message().Topic != "a.0" {
				}
			}
		})
	}
}

func fillLab(b *testing.B) *lab {
	l := newLab(b)
	l.stream("a.>")
	fill(b, l)
	return l
}

// fill publishes so many that each of ten subjects has b.N.
func fill(b *testing.B, l *lab) {
	data := make([]byte, 128)
	for i := range 10 * b.N {
		_, err := l.js.PublishAsync("a."+string(rune('0'+i%10)), data)
		require.NoError(b, err)
	}
	<-l.js.PublishAsyncComplete()
	l.js.CleanupPublisher()
	require.EqualValues(b, 10*b.N, must(l.js.Stream(bg, "S")).CachedInfo().State.LastSeq)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
