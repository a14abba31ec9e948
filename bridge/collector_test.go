package bridge_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// gathered is what a pedantic registry gets of c, as "name{label,...}" without the
// constant label.
func gathered(t testing.TB, c prometheus.Collector) map[string]float64 {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(c))
	families, err := reg.Gather()
	require.NoError(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				if l.GetName() != "bridge" {
					key += "/" + l.GetValue()
				}
			}
			out[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return out
}

// The collector tells of the network's side of each pattern, from the start and
// after its topic has stopped.
func TestCollector_Values(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m, bridge.WithBackoff(1, 1))
		c := bridge.NewCollector("orders", b)
		before := gathered(t, c)
		require.Zero(t, before["broadcast_bridge_messages_total/other"])
		require.Contains(t, before, "broadcast_bridge_topics/live")

		s := subscribe(t, b, "a")
		publish(m, "a", "1", "bad", "22")
		synctest.Wait()
		m.Report("a", bridge.Gap{Reason: bridge.SourceDropped, Count: 7})
		m.Report("a", bridge.Gap{Reason: 99})
		m.Warn("a")
		synctest.Wait()
		m.Cut()
		synctest.Wait()
		m.Fail("a", errBad)
		time.Sleep(time.Second)
		want := map[string]float64{
			"messages_total/a": 3, "bytes_total/a": 6, "decode_errors_total/a": 1,
			"gaps_total/a/disconnected": 1, "gaps_total/a/truncated": 0, "gaps_total/a/source_dropped": 1,
			"gaps_total/a/restarted": 1, "gaps_total/a/unknown": 1, "lost_messages_total/a": 7, "reconnects_total/a": 2,
			"failures_total/a": 1, "slow_consumer_warnings_total/a": 1, "lag_messages/a": 0, "live_topics/a": 1,
			"topics/starting": 0, "topics/live": 1, "topics/lingering": 0, "topics/restarting": 0, "topics/stopping": 0,
			"untracked_topics": 0,
		}
		got := gathered(t, c)
		for name, v := range want {
			require.Contains(t, got, "broadcast_bridge_"+name)
			require.Equal(t, v, got["broadcast_bridge_"+name], name)
		}
		require.NotContains(t, got, "broadcast_bridge_acknowledged_total/a", "without WithAck")

		s.Close()
		synctest.Wait()
		require.Equal(t, 1.0, gathered(t, c)["broadcast_bridge_topics/lingering"])
		time.Sleep(time.Minute)
		after := gathered(t, c)
		require.Equal(t, 3.0, after["broadcast_bridge_messages_total/a"])
		require.Equal(t, 0.0, after["broadcast_bridge_live_topics/a"])
		require.NotContains(t, after, "broadcast_bridge_lag_messages/a")

		subscribe(t, b, "a")
		publish(m, "a", "4")
		m.Warn("a")
		synctest.Wait()
		b.Close()
		after = gathered(t, c)
		require.Equal(t, 4.0, after["broadcast_bridge_messages_total/a"])
		require.Equal(t, 2.0, after["broadcast_bridge_slow_consumer_warnings_total/a"], "asked at the end of each Run")
	})
}

// resetting is a source whose count of warnings begins anew with each Run.
type resetting struct {
	*bridgetest.Memory
	n atomic.Uint64
}

func (r *resetting) Run(ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
	r.n.Store(0)
	return r.Memory.Run(ctx, pattern, from, sink)
}

func (r *resetting) Warnings(string) uint64 { return r.n.Load() }

// Warnings add up whether the source counts them for each Run or for all.
func TestCollector_WarningsOfEachRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &resetting{Memory: bridgetest.NewMemory(radio)}
		b := newBridge(t, m, bridge.WithLinger(0), bridge.WithBackoff(1, 1))
		c := bridge.NewCollector("x", b)
		for round := range uint64(3) {
			s := subscribe(t, b, "a")
			synctest.Wait()
			m.n.Store(3)
			require.Equal(t, float64(8*round+3), gathered(t, c)["broadcast_bridge_slow_consumer_warnings_total/a"])
			m.n.Store(5)
			m.Fail("a", errBad)
			time.Sleep(time.Second)
			m.n.Store(3)
			s.Close()
			synctest.Wait()
			require.Equal(t, float64(8*round+8), gathered(t, c)["broadcast_bridge_slow_consumer_warnings_total/a"])
		}
	})
}

// With WithAck there are two more.
func TestCollector_Acks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &failingAcks{Memory: bridgetest.NewMemory(queue)}
		b := newAckBridge(t, m)
		r := newReader(t, b, "a")
		publish(m.Memory, "a", "1", "2", "3")
		next(t, r, 2)
		synctest.Wait()
		m.fail.Store(true)
		next(t, r, 1)
		synctest.Wait()
		got := gathered(t, bridge.NewCollector("x", b))
		require.Equal(t, 1.0, got["broadcast_bridge_acknowledged_total/a"])
		require.NotZero(t, got["broadcast_bridge_acknowledge_errors_total/a"])
	})
}

// At most 100 patterns have series; the others are summed up, and a pattern that is
// called like their label is one of them. Names that are not UTF-8 do no harm.
func TestCollector_Bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(bridge.Capabilities{})
		b := newBridge(t, m, bridge.WithLinger(time.Second))
		c := bridge.NewCollector("x\xff", b)
		names := []string{"other", "bad\xff", "bad\uFFFD"}
		for i := range 150 {
			names = append(names, fmt.Sprint("room.", i))
		}
		for _, name := range names {
			s := subscribe(t, b, name)
			publish(m, name, "1")
			synctest.Wait()
			s.Close()
		}
		synctest.Wait()
		got := gathered(t, c)
		messages, patterns := 0.0, 0
		for name, v := range got {
			if n, ok := strings.CutPrefix(name, "broadcast_bridge_messages_total/"); ok {
				messages += v
				patterns++
				if n == "bad\uFFFD" {
					require.Equal(t, 2.0, v, "two patterns of one label")
				}
			}
		}
		require.Equal(t, float64(len(names)), messages, "the series add up to everything")
		require.Equal(t, 101, patterns)
		require.Equal(t, 52.0, got["broadcast_bridge_messages_total/other"])
		require.Equal(t, 52.0, got["broadcast_bridge_live_topics/other"])
		require.Equal(t, 52.0, got["broadcast_bridge_untracked_topics"])
		require.Len(t, got, 101*13+7)
		time.Sleep(time.Minute)
		require.Equal(t, 52.0, gathered(t, c)["broadcast_bridge_messages_total/other"])
	})
}

// Prometheus has nothing against the names, and two bridges, or the same again,
// register and unregister in one registry.
func TestCollector_Registry(t *testing.T) {
	m := bridgetest.NewMemory(queue)
	b := newBridge(t, m, bridge.WithAck())
	newReader(t, b, "a")
	c := bridge.NewCollector("one", b)
	problems, err := testutil.CollectAndLint(c)
	require.NoError(t, err)
	require.Empty(t, problems)
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(c))
	require.NoError(t, reg.Register(bridge.NewCollector("two", b)))
	require.Error(t, reg.Register(bridge.NewCollector("one", b)))
	require.True(t, reg.Unregister(bridge.NewCollector("one", b)))
	require.NoError(t, reg.Register(c))
}

// A scrape beside everything else, in real time.
func TestCollector_ConcurrentSafe(t *testing.T) {
	m := bridgetest.NewMemory(radio)
	b := newBridge(t, m, bridge.WithLinger(0))
	c := bridge.NewCollector("x", b)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 200 {
				testutil.CollectAndCount(c)
			}
		})
		wg.Go(func() {
			for range 200 {
				s, err := b.Subscribe(bg, "a")
				if err != nil {
					return
				}
				publish(m, "a", "1", "bad")
				m.Warn("a")
				s.Close()
			}
		})
	}
	wg.Wait()
}
