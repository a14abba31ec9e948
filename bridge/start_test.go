package bridge_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/stretchr/testify/require"
)

// Concurrent first subscribers share one start, and all of them wait for it.
func TestStart_Shared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		m.Mute(true)
		var waiters []running[error]
		for range 50 {
			waiters = append(waiters,
				async(func() error { _, err := b.Subscribe(bg, "a"); return err }),
				async(func() error { _, err := b.NewReader(bg, "a"); return err }))
		}
		for _, w := range waiters {
			w.requireBlocked(t, "Subscribe before the system has confirmed")
		}
		m.Mute(false)
		for _, w := range waiters {
			require.NoError(t, w.returned(t, "Subscribe"))
		}
		require.Equal(t, 1, m.Runs("a"))
	})
}

// A start that fails fails all who wait, and the next one tries again.
func TestStart_FailsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		m.Mute(true)
		var waiters []running[error]
		for range 10 {
			waiters = append(waiters, async(func() error { _, err := b.Subscribe(bg, "a"); return err }))
		}
		synctest.Wait()
		broken := errors.New("broken")
		m.Fail("a", broken)
		for _, w := range waiters {
			err := w.returned(t, "Subscribe")
			require.ErrorIs(t, err, broken)
			require.ErrorContains(t, err, `start of topic "a"`)
		}
		require.Empty(t, states(b))
		require.Equal(t, 1, m.Runs("a"), "no waiter tries by itself")

		m.Mute(false)
		subscribe(t, b, "a")
		require.Equal(t, 2, m.Runs("a"))
	})
}

// A start belongs to all who wait: the ctx of the first one does not end it, that of
// the last one does.
func TestStart_NotBoundToTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		m.Mute(true)
		gone := errors.New("gone")
		wait := func() (running[error], context.CancelCauseFunc) {
			ctx, cancel := context.WithCancelCause(bg)
			return async(func() error { _, err := b.Subscribe(ctx, "a"); return err }), cancel
		}
		first, cancelFirst := wait()
		synctest.Wait()
		second, cancelSecond := wait()
		synctest.Wait()
		cancelFirst(gone)
		require.Equal(t, gone, first.returned(t, "the first Subscribe"))
		second.requireBlocked(t, "the second Subscribe")
		require.Equal(t, 1, m.Subscriptions("a"))

		cancelSecond(gone)
		require.Equal(t, gone, second.returned(t, "the second Subscribe"))
		synctest.Wait()
		require.Equal(t, 0, m.Subscriptions("a"), "nobody waits: the start is given up, without a linger")
		require.Empty(t, states(b))

		third, cancelThird := wait()
		third.requireBlocked(t, "the third Subscribe")
		m.Mute(false)
		require.NoError(t, third.returned(t, "the third Subscribe"))
		cancelThird(gone)
		synctest.Wait()
		require.Equal(t, bridge.Live, states(b)["a"], "the ctx bounds the start only")
		require.Equal(t, 2, m.Runs("a"))
	})
}

// The ctx that is done wins, also where the topic is live.
func TestStart_ContextDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		subscribe(t, b, "a")
		ctx, cancel := context.WithCancelCause(bg)
		cancel(errBad)
		_, err := b.Subscribe(ctx, "a")
		require.Equal(t, errBad, err)
		_, err = b.NewReader(ctx, "b")
		require.Equal(t, errBad, err)
		require.Zero(t, m.Runs("b"))
	})
}

// A start is not held up by the Run of the topic that stopped just before, and does
// not run beside it either.
func TestStart_BehindTheLastRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		slow := &slowEnd{Memory: m, leave: make(chan struct{})}
		b := newBridge(t, slow, bridge.WithLinger(0))
		subscribe(t, b, "a").Close()
		synctest.Wait()
		require.Equal(t, bridge.Stopping, states(b)["a"])

		second := async(func() error { _, err := b.Subscribe(bg, "a"); return err })
		second.requireBlocked(t, "Subscribe while the last Run ends")
		require.Equal(t, 1, m.Runs("a"))

		// One that gives up meanwhile leaves nothing behind either.
		ctx, cancel := context.WithCancel(bg)
		third := async(func() error { _, err := b.Subscribe(ctx, "a"); return err })
		third.requireBlocked(t, "the third Subscribe")
		cancel()
		require.ErrorIs(t, third.returned(t, "the third Subscribe"), context.Canceled)

		close(slow.leave)
		require.NoError(t, second.returned(t, "Subscribe"))
		require.Equal(t, 2, m.Runs("a"))
		require.Equal(t, 1, slow.most)
	})
}

// A topic that is given up while the one before still ends does not let the next one
// run beside that.
func TestStart_GivenUpBehindTheLastRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		slow := &slowEnd{Memory: m, leave: make(chan struct{})}
		b := newBridge(t, slow, bridge.WithLinger(0))
		subscribe(t, b, "a").Close()
		synctest.Wait()
		before := runtime.NumGoroutine()
		for range 100 {
			ctx, cancel := context.WithTimeout(bg, time.Second)
			_, err := b.Subscribe(ctx, "a")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
			synctest.Wait()
		}
		require.LessOrEqual(t, runtime.NumGoroutine(), before+2, "those that were given up do not pile up")
		require.Equal(t, bridge.Stopping, states(b)["a"])
		last := async(func() error { _, err := b.Subscribe(bg, "a"); return err })
		last.requireBlocked(t, "Subscribe while the first Run ends")
		require.Equal(t, 1, m.Runs("a"))
		close(slow.leave)
		require.NoError(t, last.returned(t, "Subscribe"))
		require.Equal(t, 2, m.Runs("a"))
		require.Equal(t, 1, slow.most)
	})
}

// The first subscriber is in the hub before the source delivers anything: nothing of
// a replay is lost.
func TestStart_FirstOfAReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(log)
		publish(m, "a", "1", "2", "3")
		b := newBridge(t, m, bridge.WithLinger(0), bridge.WithFrom(func(string) bridge.Position { return "1" }))
		for range 1000 {
			s := subscribe(t, b, "a")
			require.Equal(t, "2", (<-s.C()).Value)
			s.Close()
			synctest.Wait() // else the topic may live on
		}
		require.Equal(t, 1000, m.Runs("a"))
	})
}

// The same with those who give up and those who come at once.
func TestStart_GivenUpConcurrentSafe(t *testing.T) {
	for range 1000 {
		synctest.Test(t, func(t *testing.T) {
			m := bridgetest.NewMemory(radio)
			slow := &slowEnd{Memory: m, leave: make(chan struct{})}
			b := newBridge(t, slow, bridge.WithLinger(0))
			subscribe(t, b, "a").Close()
			synctest.Wait()
			var wg sync.WaitGroup
			for range 30 {
				ctx, cancel := context.WithCancel(bg)
				go cancel()
				wg.Go(func() {
					if s, err := b.Subscribe(ctx, "a"); err == nil {
						s.Close()
					}
				})
			}
			wg.Wait()
			synctest.Wait()
			require.Equal(t, 1, m.Runs("a"))
			close(slow.leave)
			subscribe(t, b, "a")
			require.Equal(t, 2, m.Runs("a"))
			b.Close()
			require.Equal(t, 1, slow.most)
		})
	}
}

// slowEnd is a source whose Run takes its time to return.
type slowEnd struct {
	*bridgetest.Memory
	leave     chan struct{}
	mu        sync.Mutex
	now, most int
}

func (s *slowEnd) Run(ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
	s.count(1)
	defer s.count(-1)
	err := s.Memory.Run(ctx, pattern, from, sink)
	<-s.leave
	return err
}

func (s *slowEnd) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now += n
	s.most = max(s.most, s.now)
}

// Subscribe returns after Live: what is published then arrives.
func TestStart_SubscribeThenPublish(t *testing.T) {
	for name, can := range map[string]bridge.Capabilities{"radio": radio, "log": log} {
		bubble(t, name, func(t *testing.T) {
			m := bridgetest.NewMemory(can)
			b := newBridge(t, m, bridge.WithLinger(0))
			for range 1000 {
				s := subscribe(t, b, "a")
				publish(m, "a", "1")
				require.Equal(t, "1", (<-s.C()).Value)
				s.Close()
			}
		})
	}
}

// A wrong option panics as it does for a hub, and leaves nothing behind.
func TestStart_WrongOption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		wrong := broadcast.WithFilter(func(int) bool { return true })
		require.Panics(t, func() { _, _ = b.Subscribe(bg, "a", wrong) })
		require.Panics(t, func() { _, _ = b.NewReader(bg, "a", wrong) })
		synctest.Wait()
		require.Empty(t, states(b), "the start was given up")
		var none context.Context
		require.Panics(t, func() { _, _ = b.Subscribe(none, "a") })
		require.Panics(t, func() { _, _ = b.NewReader(none, "a") })
	})
}

// WithFrom says where a topic starts, also when it starts anew.
func TestStart_From(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(log)
		publish(m, "a", "1", "2", "3")
		from := bridge.Position("1")
		b := newBridge(t, m, bridge.WithLinger(0), bridge.WithFrom(func(pattern string) bridge.Position {
			require.Equal(t, "a", pattern)
			return from
		}))
		s := subscribe(t, b, "a")
		require.Equal(t, []string{"2", "3"}, taken(s))
		s.Close()
		synctest.Wait()
		from = "2"
		s = subscribe(t, b, "a")
		require.Equal(t, []string{"3"}, taken(s))
		e := async(func() bridge.Event[string] { return <-s.C() })
		publish(m, "a", "4")
		require.Equal(t, bridge.Position("4"), e.returned(t, "receive").Position)
	})
}
