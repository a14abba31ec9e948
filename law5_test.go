package broadcast_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

func TestLaw5_CloseIsCalm(t *testing.T) {
	bubble(t, "inside a receive loop", closeInReceiveLoop)
	bubble(t, "twice at once", closeTwiceAtOnce)
	bubble(t, "while a filter hangs", closeWhileFilterHangs)
	bubble(t, "inside a filter and a policy", closeInsideFilterAndPolicy)
	bubble(t, "what is buffered stays readable", bufferedStaysReadable)
	bubble(t, "Err when the channel is seen closed", errWhenSeenClosed)
	bubble(t, "Err and Len before Close returns", errBeforeReturn)
	bubble(t, "publish after close", publishAfterClose)
	bubble(t, "subscribe after close", subscribeAfterClose)
	bubble(t, "the first reason counts", firstReasonCounts)
	bubble(t, "Err keeps the first reason", errKeepsFirst)
}

func closeInReceiveLoop(t *testing.T) {
	for _, p := range everyAction() {
		hub := newHub[int](t, 2, p)
		a := newAudit(hub)
		a.receiving = true
		one, all := a.subscribe(p, 2), a.subscribe(p, 2)
		var loops sync.WaitGroup
		loops.Go(func() {
			for e := range one.C() {
				one.got = append(one.got, e)
				one.Close() // what is buffered still comes
			}
		})
		loops.Go(func() {
			for e := range all.C() {
				all.got = append(all.got, e)
				hub.Close()
			}
		})
		a.publishUntilClosed(t, 10)
		loops.Wait()
		checkLaws(t, a)
	}
}

// publishUntilClosed publishes up to n events to a hub that may close.
func (a *audit[T]) publishUntilClosed(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		if err := a.publish(bg, any(i).(T)); err != nil {
			require.ErrorIs(t, err, broadcast.ErrClosed)
			return
		}
	}
}

// Of hub and subscription, by many at the same time, with a publish waiting.
func closeTwiceAtOnce(t *testing.T) {
	for range 50 {
		b := newBlockedHub(t, 2, true)
		var closers sync.WaitGroup
		for i := range 16 {
			closers.Go(func() {
				switch i % 4 {
				case 0:
					b.hub.Close()
				case 1:
					b.hub.CloseWithError(errTest)
				default:
					b.full[i%2].Close()
				}
			})
		}
		closers.Wait()
		synctest.Wait()
		if err := b.publish.returned(t, "publish whose hub closed"); err != nil {
			require.ErrorIs(t, err, broadcast.ErrClosed)
		}
		for _, w := range b.full {
			w.consume() // ends: the channel is closed
		}
		checkLaws(t, b.audit)
	}
}

// Close waits for nobody's code: the filter returns only after it.
func closeWhileFilterHangs(t *testing.T) {
	for _, hubCloses := range []bool{false, true} {
		hub := newHub[int](t, 2, broadcast.Block)
		a := newAudit(hub)
		resume := make(chan struct{})
		hangs := a.subscribe(broadcast.Block, 2, broadcast.WithFilter(func(int) bool { <-resume; return true }))
		other := a.subscribe(broadcast.Block, 2)
		p := async(func() error { return a.publish(bg, 1) })
		p.requireBlocked(t, "publish in the filter")
		if hubCloses {
			hub.Close()
			require.Equal(t, broadcast.ErrClosed, other.Err())
		} else {
			other.Close()
			hangs.Close()
		}
		other.consume() // ends, though the publish is in its middle
		require.Equal(t, []int{1}, other.got)
		require.Equal(t, broadcast.ErrClosed, hangs.Err())
		require.Zero(t, hub.Len())
		close(resume)
		err := p.returned(t, "publish")
		if hubCloses {
			require.ErrorIs(t, err, broadcast.ErrClosed)
			require.ErrorIs(t, err, broadcast.ErrPartial)
		} else {
			require.NoError(t, err)
		}
		hangs.consume()
		require.Empty(t, hangs.got)
		checkLaws(t, a)
		require.Equal(t, broadcast.DropReasons{Closed: 1}, hub.Stats().DroppedBy)
	}
}

func closeInsideFilterAndPolicy(t *testing.T) {
	for _, what := range []string{"itself", "another", "hub", "all"} {
		for _, inFilter := range []bool{true, false} {
			hub := newHub[int](t, 1, broadcast.Block)
			a := newAudit(hub)
			var self, other *witness[int]
			act := func() {
				switch what {
				case "itself":
					self.Close()
				case "another":
					other.Close()
				case "hub":
					hub.Close()
				case "all":
					self.Close()
					other.Close()
					hub.Close()
				}
			}
			if inFilter {
				self = a.subscribe(broadcast.DropNewest, 1, broadcast.WithFilter(func(e int) bool {
					if e == 2 {
						act()
					}
					return true
				}))
			} else {
				self = a.subscribe(broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { act(); return broadcast.DropOldest }), 1)
			}
			other = a.filtered(broadcast.DropOldest, 1, func(int) bool { return true })
			require.NoError(t, a.publish(bg, 1))
			err := a.publish(bg, 2)
			if what == "hub" {
				require.ErrorIs(t, err, broadcast.ErrClosed)
				require.ErrorIs(t, err, broadcast.ErrPartial)
			} else {
				require.NoError(t, err)
			}
			// Whoever left during the publish is closed when it returns, not later.
			for _, w := range a.all {
				requireClosed(t, w, w.Err() != nil)
			}
			hub.Close()
			for _, w := range a.all {
				requireClosed(t, w, true)
			}
			checkLaws(t, a)
		}
	}
}

// requireClosed drains w without waiting and fails unless its channel is closed
// or not, as it should be.
func requireClosed[T comparable](t *testing.T, w *witness[T], want bool) {
	t.Helper()
	w.drain()
	select {
	case _, open := <-w.C():
		require.False(t, open)
		require.True(t, want, "the channel is closed")
	default:
		require.False(t, want, "the channel is not closed")
	}
}

func bufferedStaysReadable(t *testing.T) {
	ends := map[string]func(*broadcast.Hub[int], *witness[int], context.CancelFunc){
		"own close": func(_ *broadcast.Hub[int], w *witness[int], _ context.CancelFunc) { w.Close() },
		"hub close": func(h *broadcast.Hub[int], _ *witness[int], _ context.CancelFunc) { h.Close() },
		"context":   func(_ *broadcast.Hub[int], _ *witness[int], cancel context.CancelFunc) { cancel() },
		"eject": func(h *broadcast.Hub[int], _ *witness[int], _ context.CancelFunc) {
			_ = h.Publish(bg, 4)
		},
	}
	for name, end := range ends {
		hub := newHub[int](t, 3, broadcast.Eject)
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		a := newAudit(hub)
		w := a.subscribe(broadcast.Eject, 3, broadcast.WithContext(ctx))
		require.NoError(t, a.publish(bg, 1, 2, 3))
		end(hub, w, cancel)
		synctest.Wait()
		require.Error(t, w.Err(), name)
		require.Equal(t, 3, w.Stats().Len, name)
		w.consume()
		require.Equal(t, []int{1, 2, 3}, w.got, name)
	}
}

// A consumer that sees its channel closed can tell why, however it raced.
func errWhenSeenClosed(t *testing.T) {
	for i := range 200 {
		hub := newHub[int](t, 1, broadcast.Eject)
		ctx, cancel := context.WithCancelCause(bg)
		w := hub.Subscribe(broadcast.WithContext(ctx))
		saw := async(func() error {
			for range w.C() {
			}
			return w.Err()
		})
		want := broadcast.ErrClosed
		switch i % 3 {
		case 0:
			go w.Close()
		case 1:
			go hub.Close()
		case 2:
			go cancel(errTest)
			want = errTest
		}
		require.Equal(t, want, saw.returned(t, "receive loop"))
		cancel(nil)
	}
}

// Also where the channel cannot be closed yet, because its publisher is busy.
func errBeforeReturn(t *testing.T) {
	b := newBlockedHub(t, 2, false)
	require.Equal(t, 3, b.hub.Len())
	b.full[0].Close()
	require.Equal(t, broadcast.ErrClosed, b.full[0].Err())
	require.Equal(t, 2, b.hub.Len())
	require.Equal(t, 2, b.hub.Stats().Subscribers)
	b.hub.CloseWithError(errTest)
	require.Equal(t, broadcast.ErrClosed, b.full[0].Err(), "the first reason stays")
	require.ErrorIs(t, b.full[1].Err(), errTest)
	require.Zero(t, b.hub.Len())
	for range b.hub.Subscriptions() {
		t.Error("a subscription is left")
	}
	b.publish.returned(t, "publish whose hub closed")
}

func publishAfterClose(t *testing.T) {
	for _, reason := range []error{nil, errTest} {
		a := newAudit(newHub[int](t, 1, broadcast.Block))
		w := a.subscribe(broadcast.Block, 1)
		a.hub.CloseWithError(reason)
		err := a.publish(bg, 1)
		require.ErrorIs(t, err, broadcast.ErrClosed)
		require.NotErrorIs(t, err, broadcast.ErrPartial)
		n, batchErr := a.hub.PublishBatch(bg, []int{1, 2})
		require.Zero(t, n)
		require.Equal(t, err, batchErr)
		require.Equal(t, err, w.Err())
		if reason != nil {
			require.ErrorIs(t, err, reason)
		} else {
			require.Equal(t, broadcast.ErrClosed, err)
		}
		w.consume()
		require.Empty(t, w.got)
		checkLaws(t, a)
	}
}

func subscribeAfterClose(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	a.subscribe(broadcast.Block, 1)
	require.NoError(t, a.publish(bg, 1))
	a.hub.CloseWithError(errTest)
	ctx := newCountedContext()
	w := a.subscribe(broadcast.Block, 3, broadcast.WithName("late"), broadcast.WithContext(ctx))
	require.ErrorIs(t, w.Err(), errTest)
	require.ErrorIs(t, w.Err(), broadcast.ErrClosed)
	w.consume() // ends: the channel is closed
	w.Close()
	require.Equal(t, broadcast.SubscriptionStats{Name: "late", Cap: 3}, w.Stats())
	require.Zero(t, ctx.registered())
	ctx.end(errors.New("too late"))
	require.ErrorIs(t, w.Err(), errTest)
	checkLaws(t, a)
}

func firstReasonCounts(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	hub.CloseWithError(errTest)
	hub.CloseWithError(errors.New("another"))
	hub.Close()
	err := hub.Publish(bg, 1)
	require.EqualError(t, err, "broadcast: closed: "+errTest.Error())
}

func errKeepsFirst(t *testing.T) {
	hub := newHub[int](t, 0, broadcast.Eject)
	ctx, cancel := context.WithCancelCause(bg)
	w := hub.Subscribe(broadcast.WithContext(ctx))
	require.NoError(t, w.Err())
	require.NoError(t, hub.Publish(bg, 1))
	require.Equal(t, broadcast.ErrEjected, w.Err())
	w.Close()
	cancel(errTest)
	hub.CloseWithError(errTest)
	synctest.Wait()
	require.Equal(t, broadcast.ErrEjected, w.Err())
}
