package bridge_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/stretchr/testify/require"
)

// Readers come and go at random, the source fails now and then: every message is
// handled by somebody before it is acknowledged, and all of them are in the end.
func TestAck_NeverAhead(t *testing.T) {
	for seed := range uint64(30) {
		bubble(t, fmt.Sprint("seed=", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			m := bridgetest.NewMemory(queue)
			watch := &watchedAcks{Memory: m, handled: map[string]bool{}}
			b := newAckBridge(t, watch, bridge.WithLinger(time.Second), bridge.WithHub(1, broadcast.Block, broadcast.WithRing(5+rnd.IntN(20))))
			watch.t = t
			newReader(t, b, "a").Close() // the system keeps what comes from here on
			const all = 300
			sent := 0
			for round := 0; len(watch.handled) < all; round++ {
				require.Less(t, round, 10_000, "%d of %d handled", len(watch.handled), all)
				for range rnd.IntN(10) {
					if sent < all {
						publish(m, "a", strconv.Itoa(sent))
						sent++
					}
				}
				if rnd.IntN(5) == 0 {
					m.Fail("a", errBad)
				}
				time.Sleep(time.Duration(rnd.IntN(3000)) * time.Millisecond)
				var readers []*reader
				for range 1 + rnd.IntN(2) {
					readers = append(readers, newReader(t, b, "a"))
				}
				for _, r := range readers {
					watch.take(r, rnd.IntN(40))
				}
				for _, r := range readers {
					r.Close()
				}
			}
			r := newReader(t, b, "a")
			for acked(m) < all-1 {
				watch.take(r, 10)
				time.Sleep(time.Second)
			}
		})
	}
}

// watchedAcks is a source that checks at each acknowledgement that somebody has
// handled what it is for.
type watchedAcks struct {
	*bridgetest.Memory
	t         *testing.T
	mu        sync.Mutex
	handled   map[string]bool
	delivered []string
}

// take handles at most n events of r, and asks for one more if there is one.
func (w *watchedAcks) take(r *reader, n int) {
	ctx, cancel := context.WithTimeout(bg, 10*time.Millisecond)
	defer cancel()
	for range n {
		e, err := r.Next(ctx)
		if err != nil {
			return
		}
		require.Zero(w.t, r.Missed())
		require.Nil(w.t, e.Gap)
		synctest.Wait() // a wrong acknowledgement comes now
		w.mu.Lock()
		w.handled[e.Value] = true
		w.mu.Unlock()
	}
}

func (w *watchedAcks) Run(ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
	w.mu.Lock()
	w.delivered = nil
	w.mu.Unlock()
	return w.Memory.Run(ctx, pattern, from, noting{sink, w})
}

func (w *watchedAcks) Ack(ctx context.Context, pattern string, n uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.delivered[:n] {
		if !w.handled[v] {
			w.t.Errorf("%s is acknowledged, and nobody has handled it", v)
		}
	}
	return w.Memory.Ack(ctx, pattern, n)
}

// noting is a sink that notes what was delivered.
type noting struct {
	bridge.Sink
	w *watchedAcks
}

func (s noting) Deliver(ctx context.Context, m *bridge.Message) error {
	s.w.mu.Lock()
	s.w.delivered = append(s.w.delivered, string(m.Data))
	s.w.mu.Unlock()
	return s.Sink.Deliver(ctx, m)
}
