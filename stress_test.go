package broadcast_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// stress is a hub to which everything happens at once on the real scheduler.
// When it is over, the laws hold exactly.
type stress struct {
	*audit[int]
	t        *testing.T
	seed     uint64
	total    int // events that publishers try
	tried    atomic.Int64
	accepted sync.Map // events whose publish said that they were published
	edges    []bool   // what the interest hook was told
	ejects   int      // how often the eject hook was called
}

func newStress(t *testing.T, total int) *stress {
	s := &stress{t: t, seed: rand.Uint64(), total: total}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", s.seed)
		}
	})
	s.audit = newAudit(newHub[int](t, 2, broadcast.Block,
		broadcast.WithInterest(func(active bool) { s.edges = append(s.edges, active) }),
		broadcast.WithOnEject(func(broadcast.SubscriptionStats) { s.ejects++ }),
		broadcast.WithLogger(slog.New(slog.DiscardHandler))))
	s.canceling, s.receiving = true, true
	s.refer(total)
	return s
}

func (s *stress) rng(who int) *rand.Rand { return rand.New(rand.NewPCG(s.seed, uint64(who))) }

// publish tries events until they are used up or the hub closes.
func (s *stress) publishAll(rng *rand.Rand) {
	for {
		n := 1
		if rng.IntN(4) == 0 {
			n = 1 + rng.IntN(5)
		}
		last := int(s.tried.Add(int64(n)))
		if last > s.total {
			return
		}
		ctx, cancel := bg, context.CancelFunc(func() {})
		if rng.IntN(3) == 0 {
			ctx, cancel = context.WithTimeoutCause(bg, time.Duration(rng.IntN(100))*time.Microsecond, errTest)
		}
		events := span(last-n+1, last)
		published, err := 0, error(nil)
		if n == 1 {
			if err = s.hub.Publish(ctx, last); err == nil || errors.Is(err, broadcast.ErrPartial) {
				published = 1
			}
		} else {
			published, err = s.hub.PublishBatch(ctx, events)
		}
		cancel()
		for _, e := range events[:published] {
			s.accepted.Store(e, true)
		}
		switch {
		case errors.Is(err, broadcast.ErrClosed):
			return
		case err != nil && !errors.Is(err, errTest):
			s.t.Errorf("publish: %v", err)
		}
	}
}

// comeAndGo subscribes, takes some, and leaves, until the hub closes.
func (s *stress) comeAndGo(rng *rand.Rand) {
	policies := append(everyAction(),
		broadcast.BlockFor(50*time.Microsecond, broadcast.DropOldest),
		broadcast.BlockFor(20*time.Microsecond, broadcast.Eject),
		broadcast.PolicyFunc(func(o broadcast.Overflow) broadcast.Action { return broadcast.Action(o.Dropped % 3) }))
	for {
		ctx, cancel := context.WithCancelCause(bg)
		var opts []broadcast.SubscribeOption
		if rng.IntN(3) == 0 {
			opts = append(opts, broadcast.WithContext(ctx))
		}
		p, buffer := policies[rng.IntN(len(policies))], rng.IntN(5)
		var w *witness[int]
		if n := 2 + rng.IntN(3); rng.IntN(2) == 0 {
			w = s.filtered(p, buffer, func(e int) bool { return e%n != 0 }, opts...)
		} else {
			w = s.subscribe(p, buffer, opts...)
		}
		w.take(rng.IntN(50))
		closed := errors.Is(w.Err(), broadcast.ErrClosed)
		switch rng.IntN(4) {
		case 0:
			w.Close()
		case 1:
			go w.Close()
			w.consume()
		case 2:
			cancel(errTest)
			if len(opts) == 0 {
				w.Close()
			}
			w.consume()
		case 3:
			w.Close()
			w.drain()
		}
		cancel(nil)
		if closed {
			return
		}
	}
}

// scrape looks at everything all the time.
func (s *stress) scrape(stop *atomic.Bool) {
	var last broadcast.Stats
	for !stop.Load() {
		now := s.hub.Stats()
		checkMonotone(s.t, last, now)
		if now.Dropped+now.Filtered > now.Offered {
			s.t.Errorf("more lost than offered: %+v", now)
		}
		last = now
		seen := map[uint64]bool{}
		for one := range s.hub.Subscriptions() {
			if seen[one.ID] || one.Received > one.Offered {
				s.t.Errorf("seen twice, or more received than offered: %+v", one)
			}
			seen[one.ID] = true
		}
		runtime.Gosched()
	}
}

func (s *stress) run(publishers, subscribers, closeAt int) {
	var writers, others sync.WaitGroup
	var stop atomic.Bool
	for i := range subscribers {
		others.Go(func() { s.comeAndGo(s.rng(i)) })
	}
	for range 2 {
		others.Go(func() { s.scrape(&stop) })
	}
	for i := range publishers {
		writers.Go(func() { s.publishAll(s.rng(1000 + i)) })
	}
	for int(s.tried.Load()) < closeAt {
		runtime.Gosched()
	}
	for i := range 3 {
		others.Go(func() {
			if i == 0 {
				s.hub.Close()
			} else {
				s.hub.CloseWithError(errTest)
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	others.Wait()
	s.check()
}

// check is what holds when all is over: the laws, and that each publish told the
// truth.
func (s *stress) check() {
	checkLaws(s.t, s.audit)
	for _, w := range s.all { // some were left with what they held
		w.drain()
	}
	checkLaws(s.t, s.audit)
	require.NoError(s.t, s.hub.Shutdown(bg))
	published := map[int]bool{}
	for _, e := range s.timeline {
		published[e] = true
	}
	s.accepted.Range(func(e, _ any) bool {
		require.True(s.t, published[e.(int)], "event %v was not published, its publisher thinks so", e)
		delete(published, e.(int))
		return true
	})
	require.Empty(s.t, published, "these were published, their publishers think not")
	for i, active := range s.edges {
		require.Equal(s.t, i%2 == 0, active, "edge %d of interest", i)
	}
	require.Zero(s.t, len(s.edges)%2)
	require.LessOrEqual(s.t, s.ejects, int(s.hub.Stats().Ejected))
}

// One hub, for long.
func TestHub_ConcurrentSafe(t *testing.T) {
	total := 40_000
	if testing.Short() {
		total = 10_000
	}
	s := newStress(t, total)
	s.run(4, 8, total*3/4)
	t.Logf("%d subscriptions, %+v", len(s.all), s.hub.Stats())
}

// Many hubs, each for a short life: most of what can go wrong is near an end.
func TestHub_Close_ConcurrentSafe(t *testing.T) {
	hubs := 400
	if testing.Short() {
		hubs = 100
	}
	for i := range hubs {
		s := newStress(t, 60)
		s.run(2, 4, i%60)
		if t.Failed() {
			return
		}
	}
}

// DropOldest against a consumer that makes room at that very moment: the newest
// event is kept all the same. What was published last is received in the end,
// since nothing comes after it.
func TestDropOldest_ConcurrentSafe(t *testing.T) {
	bursts := 20_000
	if testing.Short() {
		bursts = 2000
	}
	for _, buffer := range []int{1, 2} {
		hub := newHub[int](t, buffer, broadcast.DropOldest)
		s := hub.Subscribe()
		var last, received atomic.Int64
		var consumer sync.WaitGroup
		consumer.Go(func() {
			for i := 0; ; i++ {
				select { // does not park: so it is as quick as can be
				case e, open := <-s.C():
					if !open {
						return
					}
					if int64(e) <= last.Swap(int64(e)) {
						t.Errorf("got %d out of order", e)
					}
					received.Add(1)
				default:
					if i%200 == 0 {
						runtime.Gosched()
					}
				}
			}
		})
		for burst := range bursts {
			newest := (burst + 1) * (buffer + 1)
			for e := newest - buffer; e <= newest; e++ {
				_ = hub.Publish(bg, e)
			}
			for last.Load() != int64(newest) {
				st, got := s.Stats(), uint64(received.Load())
				if got == st.Offered-st.Dropped && last.Load() != int64(newest) {
					t.Fatalf("event %d was lost, though none is newer: %+v", newest, st)
				}
				runtime.Gosched()
			}
		}
		hub.Close()
		consumer.Wait()
		if st := s.Stats(); st.Offered != st.Received+st.Dropped {
			t.Errorf("law 2: %+v", st)
		}
	}
}
