package bridge_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/stretchr/testify/require"
)

// closing is a state in which a bridge is closed.
type closing struct {
	name string
	can  bridge.Capabilities
	opts []bridge.Option
	// enter brings b into the state, and returns what is to hold afterwards.
	enter func(t *testing.T, m *bridgetest.Memory, b *bridge.Bridge[string]) (after func())
}

var closings = []closing{
	{name: "idle", can: radio, enter: func(*testing.T, *bridgetest.Memory, *bridge.Bridge[string]) func() { return func() {} }},
	{name: "starting", can: radio, enter: func(t *testing.T, m *bridgetest.Memory, b *bridge.Bridge[string]) func() {
		m.Mute(true)
		var waiters []running[error]
		for range 5 {
			waiters = append(waiters, async(func() error { _, err := b.Subscribe(bg, "a"); return err }))
		}
		waiters[0].requireBlocked(t, "Subscribe")
		return func() {
			for _, w := range waiters {
				require.Equal(t, broadcast.ErrClosed, w.returned(t, "Subscribe"))
			}
		}
	}},
	{name: "live", can: radio, enter: func(t *testing.T, m *bridgetest.Memory, b *bridge.Bridge[string]) func() {
		s, r := subscribe(t, b, "a"), newReader(t, b, "a")
		waits := async(func() error { _, err := r.Next(bg); return err })
		waits.requireBlocked(t, "Next")
		return func() {
			require.Equal(t, []string{"closed"}, taken(s))
			require.Equal(t, broadcast.ErrClosed, s.Err())
			require.Equal(t, broadcast.ErrClosed, waits.returned(t, "Next"))
		}
	}},
	{name: "lingering", can: radio, enter: func(t *testing.T, m *bridgetest.Memory, b *bridge.Bridge[string]) func() {
		subscribe(t, b, "a").Close()
		synctest.Wait()
		require.Equal(t, bridge.Lingering, states(b)["a"])
		return func() {}
	}},
	{name: "backoff", can: radio, opts: []bridge.Option{bridge.WithBackoff(time.Hour, time.Hour)}, enter: inBackoff},
	{name: "backoff of a log", can: log, opts: []bridge.Option{bridge.WithBackoff(time.Hour, time.Hour)}, enter: inBackoff},
	{name: "backoff with acks", can: queue, opts: []bridge.Option{bridge.WithBackoff(time.Hour, time.Hour), bridge.WithAck()}, enter: inBackoff},
	{name: "run again", can: radio, enter: func(t *testing.T, m *bridgetest.Memory, b *bridge.Bridge[string]) func() {
		s := subscribe(t, b, "a")
		m.Mute(true)
		m.Fail("a", errBad)
		time.Sleep(time.Minute)
		require.Equal(t, bridge.Restarting, states(b)["a"])
		require.Empty(t, taken(s), "no gap while it is not live")
		return func() { require.Equal(t, []string{"closed"}, taken(s)) }
	}},
	{name: "start behind a Run that has failed", can: radio, enter: func(t *testing.T, m *bridgetest.Memory, b *bridge.Bridge[string]) func() {
		m.Refuse(errBad)
		_, err := b.Subscribe(bg, "a")
		require.ErrorIs(t, err, errBad)
		return func() {}
	}},
	{name: "acks, no reader", can: queue, opts: []bridge.Option{bridge.WithAck()}, enter: func(t *testing.T, m *bridgetest.Memory, b *bridge.Bridge[string]) func() {
		newReader(t, b, "a").Close()
		publish(m, "a", "1", "2")
		synctest.Wait()
		return func() { require.Zero(t, m.Acked("a")) }
	}},
	{name: "acks, all released", can: queue, opts: []bridge.Option{bridge.WithAck()}, enter: func(t *testing.T, m *bridgetest.Memory, b *bridge.Bridge[string]) func() {
		r := newReader(t, b, "a")
		publish(m, "a", "1", "2")
		next(t, r, 2)
		waits := async(func() error { _, err := r.Next(bg); return err })
		waits.requireBlocked(t, "Next")
		return func() {
			require.Equal(t, uint64(2), m.Acked("a"))
			require.Equal(t, broadcast.ErrClosed, waits.returned(t, "Next"))
		}
	}},
}

func inBackoff(t *testing.T, m *bridgetest.Memory, b *bridge.Bridge[string]) func() {
	r := newReader(t, b, "a")
	waits := async(func() error {
		for {
			if _, err := r.Next(bg); err != nil {
				return err
			}
		}
	})
	m.Fail("a", errBad)
	waits.requireBlocked(t, "Next")
	require.Equal(t, bridge.Restarting, states(b)["a"])
	late := async(func() error { _, err := b.NewReader(bg, "a"); return err })
	late.requireBlocked(t, "NewReader in the backoff")
	return func() {
		require.Equal(t, broadcast.ErrClosed, waits.returned(t, "Next"))
		require.Equal(t, broadcast.ErrClosed, late.returned(t, "NewReader"))
	}
}

// Close and Shutdown in each state, twice, alone and at once: within no time at all,
// and nothing runs afterwards, which the end of the bubble proves.
func TestClose_InEachState(t *testing.T) {
	ends := map[string]func(t *testing.T, b *bridge.Bridge[string]){
		"Close":    func(_ *testing.T, b *bridge.Bridge[string]) { b.Close() },
		"Shutdown": func(t *testing.T, b *bridge.Bridge[string]) { require.NoError(t, b.Shutdown(bg)) },
		"Shutdown without time": func(_ *testing.T, b *bridge.Bridge[string]) {
			ctx, cancel := context.WithCancel(bg)
			cancel()
			_ = b.Shutdown(ctx) // an error, or nil where nothing was left
		},
		"all at once": func(_ *testing.T, b *bridge.Bridge[string]) {
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(b.Close)
				wg.Go(func() { _ = b.Shutdown(bg) })
			}
			wg.Wait()
		},
	}
	for _, c := range closings {
		for name, end := range ends {
			bubble(t, c.name+"/"+name, func(t *testing.T) {
				m := bridgetest.NewMemory(c.can)
				b := newBridge(t, m, c.opts...)
				after := c.enter(t, m, b)
				synctest.Wait()
				begin := time.Now()
				end(t, b)
				require.Zero(t, m.Subscriptions("a"))
				require.Less(t, time.Since(begin), 200*time.Millisecond)
				require.Empty(t, states(b))
				after()
				end(t, b)
				require.Less(t, time.Since(begin), 200*time.Millisecond)
				_, err := b.Subscribe(bg, "a")
				require.Error(t, err)
			})
		}
	}
}

// Close leaves what is buffered readable; it does not wait for anyone to take it.
func TestClose_KeepsWhatIsBuffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		s, r := subscribe(t, b, "a"), newReader(t, b, "a")
		publish(m, "a", "1", "2")
		synctest.Wait()
		b.Close()
		require.Equal(t, []string{"1", "2", "closed"}, taken(s))
		require.Equal(t, []string{"1", "2"}, next(t, r, 2))
	})
}

// Close frees a Deliver that waits for a subscriber.
func TestClose_BlockedDeliver(t *testing.T) {
	for _, policy := range []broadcast.Policy{broadcast.Block, broadcast.BlockFor(time.Hour, broadcast.DropOldest)} {
		for _, shutdown := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				m := bridgetest.NewMemory(log)
				b := newBridge(t, m, bridge.WithHub(1, policy))
				s := subscribe(t, b, "a")
				publish(m, "a", "1", "2", "3")
				synctest.Wait()
				begin := time.Now()
				if shutdown {
					ctx, cancel := context.WithTimeout(bg, time.Second)
					defer cancel()
					require.ErrorIs(t, b.Shutdown(ctx), context.DeadlineExceeded)
					require.Equal(t, time.Second, time.Since(begin))
				} else {
					b.Close()
					require.Zero(t, time.Since(begin))
				}
				require.Equal(t, []string{"1", "closed"}, taken(s))
			})
		}
	}
}

// Shutdown stops the intake, and waits until all is drained.
func TestShutdown_Drains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		s, r := subscribe(t, b, "a"), newReader(t, b, "b")
		publish(m, "a", "1", "2")
		publish(m, "b", "3")
		synctest.Wait()
		shutdown := async(func() error { return b.Shutdown(bg) })
		shutdown.requireBlocked(t, "Shutdown")
		require.Zero(t, m.Subscriptions("a"), "the intake has stopped")
		require.Equal(t, map[string]bridge.State{"a": bridge.Stopping, "b": bridge.Stopping}, states(b))
		_, err := b.Subscribe(bg, "a")
		require.Equal(t, broadcast.ErrClosed, err)
		publish(m, "a", "late")
		require.Equal(t, []string{"1", "2", "closed"}, taken(s))
		time.Sleep(time.Second)
		shutdown.requireBlocked(t, "Shutdown while one topic is left")
		require.Equal(t, []string{"3"}, next(t, r, 1))
		time.Sleep(time.Second)
		require.NoError(t, shutdown.returned(t, "Shutdown"))
	})
}

// A message that waits for room when Shutdown begins is not lost.
func TestShutdown_BlockedDeliver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(log)
		b := newBridge(t, m, bridge.WithHub(1, broadcast.Block))
		s, other := subscribe(t, b, "a"), subscribe(t, b, "a", broadcast.WithBuffer(5))
		publish(m, "a", "1", "2", "3")
		synctest.Wait()
		shutdown := async(func() error { return b.Shutdown(bg) })
		shutdown.requireBlocked(t, "Shutdown")
		for _, want := range []string{"1", "2"} {
			time.Sleep(time.Second)
			require.Equal(t, want, (<-s.C()).Value)
		}
		require.Equal(t, []string{"1", "2", "closed"}, taken(other))
		time.Sleep(time.Second)
		require.NoError(t, shutdown.returned(t, "Shutdown"))
		require.Equal(t, []string{"closed"}, taken(s))
		require.Zero(t, s.Stats().Dropped)
	})
}

// At its deadline Shutdown closes and says what was left, and so does Close in the
// middle of it. A second Shutdown has a deadline of its own.
func TestShutdown_CutShort(t *testing.T) {
	hurry := errors.New("hurry")
	cuts := map[string]struct {
		cut  func(b *bridge.Bridge[string])
		want error
	}{
		"deadline": {nil, context.DeadlineExceeded},
		"Close":    {func(b *bridge.Bridge[string]) { b.Close() }, broadcast.ErrClosed},
		"Shutdown": {func(b *bridge.Bridge[string]) {
			ctx, cancel := context.WithCancelCause(bg)
			cancel(hurry)
			_ = b.Shutdown(ctx)
		}, hurry},
	}
	for name, c := range cuts {
		bubble(t, name, func(t *testing.T) {
			m := bridgetest.NewMemory(radio)
			b := newBridge(t, m)
			s := subscribe(t, b, "a", broadcast.WithName("stuck"))
			subscribe(t, b, "b")
			publish(m, "a", "1", "2")
			publish(m, "b", "1")
			synctest.Wait()
			begin := time.Now()
			ctx, cancel := context.WithTimeout(bg, time.Minute)
			defer cancel()
			shutdown := async(func() error { return b.Shutdown(ctx) })
			shutdown.requireBlocked(t, "Shutdown")
			wait := time.Minute
			if c.cut != nil {
				wait = 0
				c.cut(b)
			} else {
				time.Sleep(time.Minute)
			}
			err := shutdown.returned(t, "Shutdown")
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, "and 1 topics more")
			require.Equal(t, wait, time.Since(begin))
			require.Equal(t, []string{"1", "2", "closed"}, taken(s))
			require.ErrorIs(t, b.Shutdown(bg), c.want, "again")
		})
	}
}

// Close waits for a source whose Run takes its time.
func TestClose_WaitsForTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowEnd{Memory: bridgetest.NewMemory(radio), leave: make(chan struct{})}
		b := newBridge(t, slow, bridge.WithLinger(0))
		s := subscribe(t, b, "b")
		subscribe(t, b, "a").Close() // one that has stopped already
		closed := async(func() error { b.Close(); return nil })
		closed.requireBlocked(t, "Close")
		require.Equal(t, []string{"closed"}, taken(s), "subscribers do not wait for that")
		shutdown := async(func() error { return b.Shutdown(bg) })
		shutdown.requireBlocked(t, "Shutdown")
		close(slow.leave)
		require.NoError(t, closed.returned(t, "Close"))
		require.NoError(t, shutdown.returned(t, "Shutdown"))
	})
}

// Close against subscribers that come, leave and wait, in real time.
func TestClose_ConcurrentSafe(t *testing.T) {
	for range 200 {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m, bridge.WithLinger(0))
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for {
					s, err := b.Subscribe(bg, string(rune('a'+i%3)))
					if err != nil {
						return
					}
					publish(m, "a", "1")
					s.Close()
				}
			})
		}
		wg.Go(func() { m.Fail("a", errBad) })
		wg.Go(func() { m.Refuse(errBad); m.Refuse(nil) })
		wg.Go(func() {
			for range b.Topics() {
				continue
			}
		})
		b.Close()
		wg.Wait()
		require.Zero(t, m.Subscriptions("a"))
	}
}
