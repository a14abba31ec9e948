package bridgetest_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/stretchr/testify/require"
)

// witness is a test that may fail: it notes what is said.
type witness struct {
	testing.TB
	mu       sync.Mutex
	errors   []string // guarded by mu
	skips    []string // guarded by mu
	cleanups []func()
}

func (w *witness) Helper()                   {}
func (w *witness) Logf(string, ...any)       {}
func (w *witness) Cleanup(fn func())         { w.cleanups = append(w.cleanups, fn) }
func (w *witness) Fatal(args ...any)         { w.Errorf("%s", fmt.Sprint(args...)); runtime.Goexit() }
func (w *witness) Fatalf(f string, a ...any) { w.Errorf(f, a...); runtime.Goexit() }

func (w *witness) Errorf(f string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errors = append(w.errors, fmt.Sprintf(f, a...))
}

func (w *witness) Skipf(f string, a ...any) {
	w.mu.Lock()
	w.skips = append(w.skips, fmt.Sprintf(f, a...))
	w.mu.Unlock()
	runtime.Goexit()
}

// watchRow runs a row, and returns what it has said.
func watchRow(t *testing.T, n int, factory bridgetest.Factory) *witness {
	t.Helper()
	w := &witness{TB: t}
	synctest.Test(t, func(*testing.T) {
		call := func(fn func()) {
			done := make(chan struct{})
			go func() { defer close(done); fn() }()
			<-done
		}
		call(func() { bridgetest.RunRow(w, n, factory) })
		for len(w.cleanups) > 0 {
			last := w.cleanups[len(w.cleanups)-1]
			w.cleanups = w.cleanups[:len(w.cleanups)-1]
			call(last)
		}
		time.Sleep(2 * time.Hour) // for what was left behind
	})
	return w
}

// bent is a sink that treats some calls in its own way.
type bent struct {
	bridge.Sink
	live    func(bridge.Sink)
	deliver func(context.Context, bridge.Sink, *bridge.Message) error
	gap     func(context.Context, bridge.Sink, bridge.Gap) error
}

func (b *bent) Live() {
	if b.live == nil {
		b.Sink.Live()
		return
	}
	b.live(b.Sink)
}

func (b *bent) Deliver(ctx context.Context, m *bridge.Message) error {
	if b.deliver == nil {
		return b.Sink.Deliver(ctx, m)
	}
	return b.deliver(ctx, b.Sink, m)
}

func (b *bent) Gap(ctx context.Context, g bridge.Gap) error {
	if b.gap == nil {
		return b.Sink.Gap(ctx, g)
	}
	return b.gap(ctx, b.Sink, g)
}

type runFunc func(m *bridgetest.Memory, ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error

// broken is a Memory whose Run is not as it should be.
type broken struct {
	*bridgetest.Memory
	run runFunc
	ack func(ctx context.Context, pattern string, n uint64) error
}

func (b *broken) Run(ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
	if b.run == nil {
		return b.Memory.Run(ctx, pattern, from, sink)
	}
	return b.run(b.Memory, ctx, pattern, from, sink)
}

func (b *broken) Ack(ctx context.Context, pattern string, n uint64) error {
	if b.ack == nil {
		return b.Memory.Ack(ctx, pattern, n)
	}
	return b.ack(ctx, pattern, n)
}

// bending is a Run with a bent sink, a new one for each.
func bending(bend func() *bent) runFunc {
	return func(m *bridgetest.Memory, ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
		b := bend()
		b.Sink = sink
		return m.Run(ctx, pattern, from, b)
	}
}

// The suite can fail: each rule is broken by a source, and the row says so.
func TestSuite_SeesWhatIsBroken(t *testing.T) {
	for _, c := range breakages {
		t.Run(fmt.Sprintf("row=%d/%s", c.row, c.name), func(t *testing.T) {
			said := watchRow(t, c.row, func(testing.TB) *bridgetest.Harness {
				m := bridgetest.NewMemory(memories[c.kind], bridgetest.WithQueue(1000))
				h := harnessOf(m)
				h.Topic = func(n int) string { return fmt.Sprint("topic.", n) }
				b := &broken{Memory: m, run: c.run}
				if c.ack != nil {
					b.ack = c.ack(m)
				}
				source := func() bridge.Source {
					if memories[c.kind].Acks {
						return b
					}
					return struct{ bridge.Source }{b}
				}
				if c.run != nil || c.ack != nil {
					h.Source, h.Again = source(), source
				}
				if c.bend != nil {
					c.bend(m, h)
				}
				return h
			})
			require.Empty(t, said.skips)
			require.NotEmpty(t, said.errors, "the row has passed")
			require.Contains(t, strings.Join(said.errors, "\n"), c.want)
		})
	}
}

// A row that cannot be run says what is missing.
func TestSuite_SaysWhatIsMissing(t *testing.T) {
	for n, want := range map[int]string{
		1: "Restart", 2: "Cut", 3: "Blackhole", 4: "Mute", 6: "Overrun", 9: "Truncate", 10: "Subscriptions", 12: "does not acknowledge",
	} {
		can := "log"
		said := watchRow(t, n, func(testing.TB) *bridgetest.Harness {
			m := bridgetest.NewMemory(memories[can])
			return &bridgetest.Harness{Source: sourceOf(m), Publish: m.Publish}
		})
		require.Empty(t, said.errors)
		require.Len(t, said.skips, 1)
		require.Contains(t, said.skips[0], want)
	}
	for n, want := range map[int]string{5: "nobody may lose", 9: "does not start from positions", 12: "Acked"} {
		said := watchRow(t, n, func(testing.TB) *bridgetest.Harness {
			m := bridgetest.NewMemory(memories["queue"])
			return &bridgetest.Harness{Source: m, Publish: m.Publish}
		})
		require.Empty(t, said.errors)
		require.Len(t, said.skips, 1)
		require.Contains(t, said.skips[0], want)
	}
	said := watchRow(t, 11, func(testing.TB) *bridgetest.Harness {
		m := bridgetest.NewMemory(memories["radio"])
		return &bridgetest.Harness{Source: sourceOf(m), Publish: m.Publish, SlowJoiner: "that is how it is"}
	})
	require.Contains(t, said.skips[0], "that is how it is")
	said = watchRow(t, 11, func(testing.TB) *bridgetest.Harness { return &bridgetest.Harness{} })
	require.Contains(t, said.errors[0], "no Source or no Publish")
}

// What cannot confirm a subscription passes the other rows.
func TestSuite_SlowJoiner(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 5, 6, 7, 8, 10, 13} {
		said := watchRow(t, n, func(testing.TB) *bridgetest.Harness {
			m := bridgetest.NewMemory(memories["vague"], bridgetest.WithQueue(1000))
			h := harnessOf(m)
			h.Source = struct{ bridge.Source }{&broken{Memory: m, run: early(time.Millisecond)}}
			h.SlowJoiner = "it is live too early"
			return h
		})
		require.Empty(t, said.skips, "row %d", n)
		require.Empty(t, said.errors, "row %d", n)
	}
}
