package broadcast_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

var errTest = errors.New("a cause of the test's own")

func TestLaw2_Conservation(t *testing.T) {
	for seed := range uint64(20) {
		bubble(t, fmt.Sprintf("random walk/seed=%d", seed), func(t *testing.T) { randomWalk(t, seed, 150) })
	}
	bubble(t, "after an eject", conservationAfterEject)
	bubble(t, "after the subscription closed", conservationAfterClose)
	bubble(t, "after a cancel", conservationAfterCancel)
	bubble(t, "after the hub closed", conservationAfterHubClose)
	bubble(t, "who leaves folds its counts in", conservationOfLeavers)
	bubble(t, "in the middle of a publish", conservationMidway)
}

// walk is a hub to which random things happen, one after the other.
type walk struct {
	*audit[int]
	rng     *rand.Rand
	next    int
	cancels []context.CancelCauseFunc
}

// randomWalk checks the laws after every step.
func randomWalk(t *testing.T, seed uint64, steps int) {
	w := &walk{rng: rand.New(rand.NewPCG(seed, 0))}
	w.audit = newAudit(newHub[int](t, 2, broadcast.Block))
	w.canceling = true
	for step := range steps {
		w.step()
		synctest.Wait()
		checkLaws(t, w.audit)
		if t.Failed() {
			t.Fatalf("at step %d", step)
		}
	}
	w.hub.CloseWithError(errTest)
	for _, cancel := range w.cancels {
		cancel(nil)
	}
	checkLaws(t, w.audit)
	for _, s := range w.all {
		s.drain()
	}
	checkLaws(t, w.audit)
}

func (w *walk) step() {
	ctx, cancel := context.WithTimeout(bg, time.Millisecond)
	defer cancel()
	switch w.rng.IntN(9) {
	case 0:
		w.join()
	case 1, 2, 3:
		_ = w.publish(ctx, w.event())
	case 4:
		events := []int{w.event(), w.event(), w.event()}
		n, _ := w.hub.PublishBatch(ctx, events)
		w.timeline = append(w.timeline, events[:n]...)
	case 5, 6:
		if s := w.any(); s != nil && s.Stats().Len > 0 {
			s.take(1 + w.rng.IntN(s.Stats().Len))
		}
	case 7:
		if s := w.any(); s != nil {
			s.Close()
		}
	case 8:
		if n := len(w.cancels); n > 0 {
			w.cancels[w.rng.IntN(n)](errTest)
		}
	}
}

func (w *walk) event() int {
	w.next++
	return w.next
}

func (w *walk) any() *witness[int] {
	if len(w.all) == 0 {
		return nil
	}
	return w.all[w.rng.IntN(len(w.all))]
}

func (w *walk) join() {
	policies := append(everyAction(),
		broadcast.BlockFor(time.Microsecond, broadcast.DropOldest),
		broadcast.BlockFor(time.Second, broadcast.DropNewest),
		broadcast.PolicyFunc(func(o broadcast.Overflow) broadcast.Action {
			return broadcast.Action((o.Dropped + o.Consecutive) % 4)
		}))
	p, buffer := policies[w.rng.IntN(len(policies))], w.rng.IntN(4)
	var opts []broadcast.SubscribeOption
	if w.rng.IntN(2) == 0 {
		ctx, cancel := context.WithCancelCause(bg)
		w.cancels = append(w.cancels, cancel)
		opts = append(opts, broadcast.WithContext(ctx))
	}
	if n := 2 + w.rng.IntN(3); w.rng.IntN(2) == 0 {
		w.filtered(p, buffer, func(e int) bool { return e%n != 0 }, opts...)
		return
	}
	w.subscribe(p, buffer, opts...)
}

// everyAction is the four actions as policies.
func everyAction() []broadcast.Policy {
	return []broadcast.Policy{broadcast.Block, broadcast.DropNewest, broadcast.DropOldest, broadcast.Eject}
}

func conservationAfterEject(t *testing.T) {
	hub := newHub[int](t, 2, broadcast.Eject)
	a := newAudit(hub)
	s := a.subscribe(broadcast.Eject, 2)
	require.NoError(t, a.publish(bg, 1, 2, 3, 4))
	st := s.Stats()
	require.Equal(t, broadcast.SubscriptionStats{ID: 1, Len: 2, Cap: 2, Offered: 3, Dropped: 1}, st)
	require.Equal(t, []int{1, 2}, s.drain())
	checkLaws(t, a)
	require.Equal(t, broadcast.DropReasons{Ejected: 1}, hub.Stats().DroppedBy)
}

func conservationAfterClose(t *testing.T) {
	hub := newHub[int](t, 2, broadcast.Block)
	a := newAudit(hub)
	s := a.subscribe(broadcast.Block, 2)
	require.NoError(t, a.publish(bg, 1, 2))
	p := async(func() error { return a.publish(bg, 3) })
	p.requireBlocked(t, "publish to a full subscription")
	s.Close()
	require.NoError(t, p.returned(t, "publish after the full one left"))
	require.NoError(t, a.publish(bg, 4))
	require.Equal(t, broadcast.SubscriptionStats{ID: 1, Len: 2, Cap: 2, Offered: 3, Dropped: 1}, s.Stats())
	checkLaws(t, a)
	s.drain()
	checkLaws(t, a)
	require.Equal(t, broadcast.DropReasons{Closed: 1}, hub.Stats().DroppedBy)
}

func conservationAfterCancel(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	a := newAudit(hub)
	a.canceling = true
	s, other := a.subscribe(broadcast.Block, 1), a.subscribe(broadcast.Block, 2)
	require.NoError(t, a.publish(bg, 1))
	ctx, cancel := context.WithCancelCause(bg)
	p := async(func() error { return a.publish(ctx, 2) })
	p.requireBlocked(t, "publish to a full subscription")
	cancel(errTest)
	err := p.returned(t, "publish whose context ended")
	require.ErrorIs(t, err, errTest)
	require.ErrorIs(t, err, broadcast.ErrPartial)
	require.Equal(t, broadcast.SubscriptionStats{ID: 1, Len: 1, Cap: 1, Offered: 2, Dropped: 1}, s.Stats())
	require.Equal(t, []int{1, 2}, other.drain())
	checkLaws(t, a)
	require.Equal(t, broadcast.DropReasons{Canceled: 1}, hub.Stats().DroppedBy)
}

func conservationAfterHubClose(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	a := newAudit(hub)
	s, other := a.subscribe(broadcast.Block, 1), a.subscribe(broadcast.Block, 2)
	require.NoError(t, a.publish(bg, 1))
	p := async(func() error { return a.publish(bg, 2) })
	p.requireBlocked(t, "publish to a full subscription")
	hub.Close()
	err := p.returned(t, "publish whose hub closed")
	require.ErrorIs(t, err, broadcast.ErrClosed)
	require.ErrorIs(t, err, broadcast.ErrPartial)
	checkLaws(t, a)
	require.Equal(t, []int{1}, s.drain())
	require.Equal(t, []int{1, 2}, other.drain())
	checkLaws(t, a)
	require.Equal(t, broadcast.DropReasons{Closed: 1}, hub.Stats().DroppedBy)
}

// Thousands come, lose, filter and leave by every way there is; the hub's sums
// lack none of it.
func conservationOfLeavers(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	a := newAudit(hub)
	n := 0
	for range 300 {
		ctx, cancel := context.WithCancel(bg)
		a.subscribe(broadcast.Eject, 1)
		closed := a.subscribe(broadcast.DropNewest, 1)
		a.subscribe(broadcast.DropOldest, 1, broadcast.WithContext(ctx))
		filtered := a.filtered(broadcast.DropOldest, 1, func(e int) bool { return e%2 == 0 })
		require.NoError(t, a.publish(bg, n, n+1, n+2))
		n += 3
		closed.Close()
		cancel()
		synctest.Wait()
		filtered.Close()
		require.Zero(t, hub.Len())
	}
	checkLaws(t, a)
	s := hub.Stats()
	require.EqualValues(t, 900, s.Published)
	require.EqualValues(t, 300*(2+3+3+3), s.Offered)
	require.EqualValues(t, 300*(1+2+2)+150*(0+1), s.Dropped)
	require.EqualValues(t, 150*(1+2), s.Filtered)
	require.EqualValues(t, 300, s.Ejected)
	hub.Close()
	checkLaws(t, a)
}

// Whoever looks in the middle of a publish never sees more lost than offered,
// and nothing that goes back.
func conservationMidway(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.DropNewest)
	a := newAudit(hub)
	var last broadcast.Stats
	looks := 0
	look := func() {
		looks++
		s := hub.Stats()
		checkMonotone(t, last, s)
		if s.Dropped+s.Filtered > s.Offered {
			t.Errorf("more lost than offered: %+v", s)
		}
		for one := range hub.Subscriptions() {
			if one.Dropped+one.Filtered+uint64(one.Len) > one.Offered {
				t.Errorf("more lost than offered: %+v", one)
			}
		}
		last = s
	}
	for range 3 {
		a.subscribe(broadcast.DropNewest, 1)
		a.subscribe(broadcast.DropOldest, 1)
		even := func(e int) bool { return e%2 == 0 }
		looks := broadcast.WithFilter(func(e int) bool { look(); return even(e) })
		a.subscribe(broadcast.DropOldest, 1, looks).keep = even
		a.subscribe(broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { look(); return broadcast.DropOldest }), 1)
	}
	require.NoError(t, a.publish(bg, span(1, 20)...))
	require.Equal(t, 3*20+3*19, looks)
	checkLaws(t, a)
}
