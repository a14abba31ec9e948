package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/stretchr/testify/require"
)

// A Run that fails after its topic was live is run again: behind a gap where nothing
// is kept.
func TestRestart_BehindAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		s := subscribe(t, b, "a")
		publish(m, "a", "1")
		synctest.Wait()
		m.Refuse(errors.New("refused"))
		m.Fail("a", errBad)
		synctest.Wait()
		require.Equal(t, bridge.Restarting, states(b)["a"])
		publish(m, "a", "lost")
		time.Sleep(time.Minute)
		require.Equal(t, []string{"1"}, taken(s), "who reloads now would miss what comes until it is live")
		m.Refuse(nil)
		time.Sleep(time.Minute)
		require.Equal(t, bridge.Live, states(b)["a"])
		require.Equal(t, []string{"gap restarted"}, taken(s), "one gap, however many Runs failed, and before any message")
		publish(m, "a", "2")
		require.Equal(t, []string{"2"}, taken(s))

		m.Fail("a", errBad)
		time.Sleep(time.Minute)
		publish(m, "a", "3")
		synctest.Wait()
		gap := <-s.C()
		require.Equal(t, bridge.Restarted, gap.Gap.Reason)
		require.Equal(t, errBad, gap.Gap.Err)
		require.Equal(t, uint64(2), gap.Gaps)
		require.Equal(t, "a", gap.Topic)
		require.False(t, gap.Time.IsZero())
		e := <-s.C()
		require.Equal(t, "3", e.Value)
		require.Equal(t, uint64(2), e.Gaps)
	})
}

// Where the source can replay, the next Run begins at the last position that was
// delivered, poison included, and there is no gap.
func TestRestart_FromTheLastPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(log)
		b := newBridge(t, m)
		s := subscribe(t, b, "a")
		publish(m, "a", "1", "bad")
		synctest.Wait()
		m.Fail("a", errBad)
		publish(m, "a", "2")
		time.Sleep(time.Minute)
		publish(m, "a", "3")
		require.Equal(t, []string{"1", "2", "3"}, taken(s))
		require.Equal(t, uint64(1), only(t, b).DecodeErrors, "poison is not judged again")
	})
}

// Without any position there is nothing to begin from, and a gap tells.
func TestRestart_NothingDeliveredYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(log)
		b := newBridge(t, m)
		s := subscribe(t, b, "a")
		m.Fail("a", errBad)
		publish(m, "a", "lost")
		time.Sleep(time.Minute)
		publish(m, "a", "1")
		require.Equal(t, []string{"gap restarted", "1"}, taken(s))
	})
}

// A gap that is reported with its end is not reported again by the next Run.
func TestRestart_BehindATruncation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(log)
		publish(m, "a", "1", "2", "3")
		m.Truncate("a", 0)
		b := newBridge(t, m, bridge.WithFrom(func(string) bridge.Position { return "1" }))
		s := subscribe(t, b, "a")
		synctest.Wait()
		m.Fail("a", errBad)
		time.Sleep(time.Minute)
		publish(m, "a", "4")
		synctest.Wait()
		e, ok := <-s.C()
		require.True(t, ok)
		require.NotNil(t, e.Gap, "%+v", e)
		require.Equal(t, bridge.Gap{Reason: bridge.Truncated, From: "2", To: "3", Count: 2}, *e.Gap)
		require.Equal(t, []string{"4"}, taken(s))
	})
}

// Positions of partitions are merged into the one that the next Run begins from.
func TestRestart_MergesPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &partitioned{next: make(chan bridge.Message), fail: make(chan error)}
		b := newBridge(t, src)
		s := subscribe(t, b, "a")
		for i, partition := range []string{"p1", "p0", "p1", "p1", "p2"} {
			src.next <- bridge.Message{Partition: partition, Position: bridge.Position(fmt.Sprintf("%s:%d", partition, i)), Data: []byte("x")}
		}
		src.fail <- errBad
		time.Sleep(time.Minute)
		src.next <- bridge.Message{Partition: "p2", Position: "p2:9", Data: []byte("y")}
		src.fail <- errBad
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []bridge.Position{"", "p0:1,p1:3,p2:4", "p0:1,p1:3,p2:9"}, src.froms)
		require.Equal(t, []string{"x", "x", "x", "x", "x", "y"}, taken(s))
	})
}

// partitioned is a source whose positions are lists, one entry for a partition.
type partitioned struct {
	next  chan bridge.Message
	fail  chan error
	froms []bridge.Position
}

func (p *partitioned) Capabilities() bridge.Capabilities { return log }

func (p *partitioned) Run(ctx context.Context, _ string, from bridge.Position, sink bridge.Sink) error {
	p.froms = append(p.froms, from)
	sink.Live()
	for {
		select {
		case m := <-p.next:
			if err := sink.Deliver(ctx, &m); err != nil {
				return err
			}
		case err := <-p.fail:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *partitioned) Merge(base, next bridge.Position) bridge.Position {
	partition, _, _ := strings.Cut(string(next), ":")
	var out []string
	for at := range strings.SplitSeq(string(base), ",") {
		if at != "" && !strings.HasPrefix(at, partition+":") {
			out = append(out, at)
		}
	}
	out = append(out, string(next))
	if len(out) > 1 {
		// p0 stands before p1, and so on.
		for i := len(out) - 1; i > 0 && out[i] < out[i-1]; i-- {
			out[i], out[i-1] = out[i-1], out[i]
		}
	}
	return bridge.Position(strings.Join(out, ","))
}

// Permanent ends the topic, and its subscribers learn why.
func TestRestart_NotAfterPermanent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		s, r := subscribe(t, b, "a"), newReader(t, b, "a")
		publish(m, "a", "1")
		synctest.Wait()
		forbidden := errors.New("forbidden")
		m.Fail("a", bridge.Permanent(fmt.Errorf("wrapped: %w", forbidden)))
		require.Equal(t, []string{"1", "closed"}, taken(s))
		require.ErrorIs(t, s.Err(), forbidden)
		require.ErrorIs(t, s.Err(), broadcast.ErrClosed)
		require.True(t, bridge.IsPermanent(s.Err()))
		require.Equal(t, []string{"1"}, next(t, r, 1))
		_, err := r.Next(bg)
		require.ErrorIs(t, err, forbidden)
		require.Empty(t, states(b))
		time.Sleep(time.Hour)
		require.Equal(t, 1, m.Runs("a"))

		// The next subscriber starts anew.
		subscribe(t, b, "a")
		require.Equal(t, 2, m.Runs("a"))
	})
}

// A Run that returns nil before its time has failed like any other.
func TestRestart_AfterNil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		var leave func()
		b := newBridge(t, sourceFunc(func(ctx context.Context, sink bridge.Sink) error {
			ctx, leave = context.WithCancel(ctx)
			_ = m.Run(ctx, "a", "", sink)
			return nil
		}))
		s := subscribe(t, b, "a")
		leave()
		time.Sleep(time.Minute)
		gap := (<-s.C()).Gap
		require.Equal(t, bridge.Restarted, gap.Reason)
		require.ErrorContains(t, gap.Err, "returned nil")
		require.Equal(t, bridge.Live, states(b)["a"])
	})
}

// sourceFunc is a Run as a source of the radio kind.
type sourceFunc func(ctx context.Context, sink bridge.Sink) error

func (f sourceFunc) Capabilities() bridge.Capabilities { return radio }

func (f sourceFunc) Run(ctx context.Context, _ string, _ bridge.Position, sink bridge.Sink) error {
	return f(ctx, sink)
}

// The backoff doubles up to its maximum, with full jitter, and begins anew when a Run
// has stayed up.
func TestRestart_Backoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound = 20 * time.Second
		var begun []time.Time
		b := newBridge(t, sourceFunc(func(ctx context.Context, sink bridge.Sink) error {
			begun = append(begun, time.Now())
			sink.Live()
			return errBad
		}), bridge.WithBackoff(time.Second, bound))
		subscribe(t, b, "a")
		time.Sleep(10 * time.Hour)
		b.Close()
		require.Greater(t, len(begun), 3000)
		most, late := time.Second, 0
		for i := 1; i < len(begun); i++ {
			pause := begun[i].Sub(begun[i-1])
			require.Positive(t, pause)
			require.LessOrEqual(t, pause, most, "pause %d", i)
			if most == bound && pause > bound/2 {
				late++
			}
			most = min(2*most, bound)
		}
		require.InDelta(t, 0.5, float64(late)/float64(len(begun)), 0.1, "as many in the second half as in the first")
	})
	synctest.Test(t, func(t *testing.T) {
		var ended, begun []time.Time
		b := newBridge(t, sourceFunc(func(ctx context.Context, sink bridge.Sink) error {
			begun = append(begun, time.Now())
			sink.Live()
			time.Sleep(time.Second)
			ended = append(ended, time.Now())
			return errBad
		}), bridge.WithBackoff(time.Second, time.Hour))
		subscribe(t, b, "a")
		time.Sleep(time.Hour)
		b.Close()
		require.Greater(t, len(begun), 1000)
		for i := 1; i < len(begun); i++ {
			require.LessOrEqual(t, begun[i].Sub(ended[i-1]), time.Second, "one that stayed up for as long as the pause")
		}
	})
}

// Who comes while the source is down waits until it is live, as for a first start.
func TestRestart_SubscribeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		subscribe(t, b, "a")
		m.Refuse(errBad)
		m.Fail("a", errBad)
		synctest.Wait()
		second := async(func() error { _, err := b.Subscribe(bg, "a"); return err })
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		_, err := b.Subscribe(ctx, "a")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(time.Hour)
		second.requireBlocked(t, "Subscribe in the backoff")
		m.Refuse(nil)
		time.Sleep(time.Minute)
		require.NoError(t, second.returned(t, "Subscribe"))
	})
}

// A topic that nobody wants any more stops in its backoff too, after its linger.
func TestRestart_LingerInTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m, bridge.WithBackoff(time.Hour, time.Hour), bridge.WithLinger(time.Millisecond))
		s := subscribe(t, b, "a")
		m.Refuse(errBad)
		m.Fail("a", errBad)
		synctest.Wait()
		require.Equal(t, bridge.Restarting, states(b)["a"])
		s.Close()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.Empty(t, states(b))
	})
}

// only is the stats of the one topic there is.
func only(t testing.TB, b *bridge.Bridge[string]) (got bridge.TopicStats) {
	t.Helper()
	n := 0
	for s := range b.Topics() {
		got = s
		n++
	}
	require.Equal(t, 1, n, "topics")
	return got
}

// A gap that has to wait for a subscriber holds up nothing but the events behind it.
func TestRestart_GapThatWaits(t *testing.T) {
	for _, end := range []string{"room", "leave", "Close", "Shutdown"} {
		bubble(t, end, func(t *testing.T) {
			m := bridgetest.NewMemory(bridge.Capabilities{Pausable: true})
			b := newBridge(t, m, bridge.WithHub(1, broadcast.Block), bridge.WithLinger(0))
			s := subscribe(t, b, "a")
			publish(m, "a", "1")
			synctest.Wait()
			m.Fail("a", errBad)
			synctest.Wait()
			require.Equal(t, bridge.Restarting, states(b)["a"])
			switch end {
			case "room":
				require.Equal(t, "1", word(<-s.C()))
				require.Equal(t, "gap restarted", word(<-s.C()))
				time.Sleep(time.Minute)
				require.Equal(t, bridge.Live, states(b)["a"])
			case "leave":
				s.Close()
				synctest.Wait()
				require.Empty(t, states(b))
			case "Close":
				begin := time.Now()
				b.Close()
				require.Zero(t, time.Since(begin))
			case "Shutdown":
				ctx, cancel := context.WithTimeout(bg, time.Second)
				defer cancel()
				require.ErrorIs(t, b.Shutdown(ctx), context.DeadlineExceeded)
			}
		})
	}
}
