package broadcast_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// asked records what a policy is asked, and answers from a script whose last
// line is repeated.
type asked struct {
	answers []broadcast.Action

	mu  sync.Mutex
	all []broadcast.Overflow
}

func (a *asked) Overflow(o broadcast.Overflow) broadcast.Action {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, o)
	return a.answers[min(len(a.all), len(a.answers))-1]
}

func asking(answers ...broadcast.Action) *asked { return &asked{answers: answers} }

func (a *asked) got() []broadcast.Overflow {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.all)
}

// dropped and consecutive are these fields of all that was asked.
func (a *asked) dropped() (out []int) {
	for _, o := range a.got() {
		out = append(out, int(o.Dropped))
	}
	return out
}

func (a *asked) consecutive() (out []int) {
	for _, o := range a.got() {
		out = append(out, int(o.Consecutive))
	}
	return out
}

func TestFinePrint_Overflow(t *testing.T) {
	bubble(t, "who is asked for", overflowNames)
	for _, action := range []broadcast.Action{broadcast.DropNewest, broadcast.DropOldest} {
		bubble(t, "action="+action.String(), func(t *testing.T) { overflowInARow(t, action) })
		bubble(t, "with a filter/action="+action.String(), func(t *testing.T) { overflowWithFilter(t, action) })
	}
	bubble(t, "with Block", overflowWithBlock)
	bubble(t, "with Block and a filter", overflowWithBlockAndFilter)
	bubble(t, "after BlockFor", overflowAfterBlockFor)
	bubble(t, "given up", overflowGivenUp)
	bubble(t, "a filter panics between", overflowWithPanic)
	bubble(t, "no buffer", overflowWithoutBuffer)
	bubble(t, "each its own", overflowEachItsOwn)
}

func overflowNames(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	one, two := asking(broadcast.DropNewest), asking(broadcast.Eject)
	a.subscribe(broadcast.Block, 9)
	a.subscribe(one, 2, broadcast.WithName("one"))
	a.subscribe(two, 1)
	require.NoError(t, a.publish(bg, 1, 2, 3))
	require.Equal(t, []broadcast.Overflow{{ID: 2, Name: "one", Cap: 2}}, one.got())
	require.Equal(t, []broadcast.Overflow{{ID: 3, Cap: 1}}, two.got())
	checkLaws(t, a)
}

func overflowInARow(t *testing.T, action broadcast.Action) {
	a := newAudit(newHub[int](t, 2, broadcast.Block))
	p := asking(action)
	w := a.subscribe(p, 2)
	require.NoError(t, a.publish(bg, 1, 2, 3, 4, 5))
	require.Equal(t, []int{0, 1, 2}, p.dropped())
	require.Equal(t, []int{0, 1, 2}, p.consecutive())
	w.take(1)
	require.NoError(t, a.publish(bg, 6))
	require.Len(t, p.got(), 3)
	_, err := a.hub.PublishBatch(bg, []int{7, 8})
	require.NoError(t, err)
	a.timeline = append(a.timeline, 7, 8)
	require.Equal(t, []int{0, 1, 2, 3, 4}, p.dropped())
	require.Equal(t, []int{0, 1, 2, 0, 1}, p.consecutive())
	w.drain()
	require.NoError(t, a.publish(bg, 9, 10, 11))
	require.Equal(t, []int{0, 1, 2, 0, 1, 0}, p.consecutive())
	checkLaws(t, a)
}

// What the filter keeps away has found neither room nor none.
func overflowWithFilter(t *testing.T, action broadcast.Action) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	p := asking(action)
	w := a.filtered(p, 1, func(e int) bool { return e > 0 })
	require.NoError(t, a.publish(bg, -1, 1, -2, 2, -3, -4, 3, 4, -5))
	require.Equal(t, []int{0, 1, 2}, p.consecutive())
	w.take(1)
	require.NoError(t, a.publish(bg, -6, 5, -7, 6, -8, 7))
	require.Equal(t, []int{0, 1, 2, 0, 1}, p.consecutive())
	require.Equal(t, []int{0, 1, 2, 3, 4}, p.dropped())
	checkLaws(t, a)
}

// An event that had to wait did not find room at once.
func overflowWithBlock(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	p := asking(broadcast.Block)
	w := a.subscribe(p, 1)
	require.NoError(t, a.publish(bg, 1))
	for e := 2; e <= 4; e++ {
		publish := async(func() error { return a.publish(bg, e) })
		publish.requireBlocked(t, "publish to a full subscription")
		w.take(1)
		require.NoError(t, publish.returned(t, "publish with room"))
	}
	require.Equal(t, []int{0, 1, 2}, p.consecutive())
	w.take(1)
	require.NoError(t, a.publish(bg, 5))
	publish := async(func() error { return a.publish(bg, 6) })
	publish.requireBlocked(t, "publish to a full subscription")
	w.take(1)
	require.NoError(t, publish.returned(t, "publish with room"))
	require.Equal(t, []int{0, 1, 2, 0}, p.consecutive())
	require.Equal(t, []int{0, 0, 0, 0}, p.dropped())
	checkLaws(t, a)
}

func overflowWithBlockAndFilter(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	p := asking(broadcast.Block, broadcast.DropNewest)
	w := a.filtered(p, 1, func(e int) bool { return e > 0 })
	require.NoError(t, a.publish(bg, 1))
	publish := async(func() error { return a.publish(bg, 2) })
	publish.requireBlocked(t, "publish to a full subscription")
	w.take(1)
	require.NoError(t, publish.returned(t, "publish with room"))
	require.NoError(t, a.publish(bg, -1, 3))
	require.Equal(t, []int{0, 1}, p.consecutive())
	checkLaws(t, a)
}

func overflowAfterBlockFor(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	p := asking(broadcast.DropNewest)
	w := a.subscribe(broadcast.BlockFor(time.Second, p), 1)
	require.NoError(t, a.publish(bg, 1, 2, 3))
	require.Equal(t, []int{0, 1}, p.consecutive())
	publish := async(func() error { return a.publish(bg, 4) })
	publish.requireBlocked(t, "publish to a full subscription")
	require.Len(t, p.got(), 2, "asked only after the wait")
	w.take(1)
	require.NoError(t, publish.returned(t, "publish with room"))
	require.NoError(t, a.publish(bg, 5))
	require.Equal(t, []int{0, 1, 3}, p.consecutive(), "the event that got room after a wait counts too")
	require.Equal(t, []int{0, 1, 2}, p.dropped())
	checkLaws(t, a)
}

func overflowGivenUp(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	a.canceling = true
	p := asking(broadcast.Block, broadcast.DropNewest)
	a.subscribe(p, 1)
	require.NoError(t, a.publish(bg, 1))
	ctx, cancel := context.WithTimeout(bg, time.Second)
	defer cancel()
	require.ErrorIs(t, a.publish(ctx, 2), broadcast.ErrPartial)
	require.NoError(t, a.publish(bg, 3))
	require.Equal(t, []int{0, 1}, p.consecutive())
	require.Equal(t, []int{0, 1}, p.dropped())
	checkLaws(t, a)
}

func overflowWithPanic(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	p := asking(broadcast.DropNewest)
	a.subscribe(p, 1, broadcast.WithFilter(func(e int) bool {
		if e < 0 {
			panic(e)
		}
		return true
	}))
	require.NoError(t, a.publish(bg, 1, 2))
	require.PanicsWithValue(t, -1, func() { _ = a.hub.Publish(bg, -1) })
	a.timeline = append(a.timeline, -1)
	require.NoError(t, a.publish(bg, 3))
	require.Equal(t, []int{0, 1}, p.consecutive(), "what was lost in a panic found no room")
	require.Equal(t, []int{0, 2}, p.dropped())
	checkLaws(t, a)
}

func overflowWithoutBuffer(t *testing.T) {
	a := newAudit(newHub[int](t, 0, broadcast.Block))
	p := asking(broadcast.DropOldest)
	w := a.subscribe(p, 0)
	require.NoError(t, a.publish(bg, 1, 2))
	received := async(func() []int { return w.take(1).got })
	received.requireBlocked(t, "receive")
	require.NoError(t, a.publish(bg, 3))
	synctest.Wait()
	require.NoError(t, a.publish(bg, 4))
	require.Equal(t, []int{0, 1, 0}, p.consecutive())
	checkLaws(t, a)
}

// A subscription that joins late, or whose neighbour is full, starts at 0.
func overflowEachItsOwn(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	early, late := asking(broadcast.DropNewest), asking(broadcast.DropOldest)
	a.subscribe(early, 1)
	require.NoError(t, a.publish(bg, 1, 2, 3))
	w := a.subscribe(late, 1)
	require.NoError(t, a.publish(bg, 4, 5, 6))
	w.take(1)
	require.NoError(t, a.publish(bg, 7, 8))
	require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6}, early.consecutive())
	require.Equal(t, []int{0, 1, 0}, late.consecutive())
	require.Equal(t, []int{0, 1, 2}, late.dropped())
	checkLaws(t, a)
}

// Events that a filter panicked at are neither kept away nor given room: see
// overflowWithPanic. An unknown answer is the policy's panic.
func TestFinePrint_Overflow_UnknownAction(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second} {
		bubble(t, "after="+after.String(), func(t *testing.T) {
			a := newAudit(newHub[int](t, 1, broadcast.Block))
			other := a.subscribe(broadcast.Block, 3)
			bad := a.subscribe(broadcast.BlockFor(after, asking(broadcast.Action(4), broadcast.DropOldest)), 1)
			require.NoError(t, a.publish(bg, 1))
			require.PanicsWithValue(t, "broadcast: Policy: unknown Action(4): the actions are Block, DropNewest, DropOldest and Eject",
				func() { _ = a.hub.Publish(bg, 2) })
			a.timeline = append(a.timeline, 2)
			checkLaws(t, a)
			require.NoError(t, a.publish(bg, 3))
			require.Equal(t, []int{1, 2, 3}, other.drain())
			require.Equal(t, []int{3}, bad.drain())
			checkLaws(t, a)
		})
	}
}
