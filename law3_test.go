package broadcast_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

func TestLaw3_Isolation(t *testing.T) {
	for _, p := range []broadcast.Policy{broadcast.DropNewest, broadcast.DropOldest, broadcast.Eject} {
		bubble(t, fmt.Sprintf("a stuck one changes nothing/policy=%v", p), func(t *testing.T) { stuckChangesNothing(t, p) })
	}
	bubble(t, "those with room have the event before the wait", roomBeforeWait)
	for _, n := range []int{2, 3, 10, 300} {
		bubble(t, fmt.Sprintf("who gets room has the event at once/full=%d", n), func(t *testing.T) { roomAtOnce(t, n) })
	}
	bubble(t, "all waits have one start", oneStart)
	bubble(t, "all policies in one hub", mixedWaits)
	bubble(t, "only the next event is delayed", onlyTheNext)
	bubble(t, "who gets room before the wait is not waited for", roomSinceThePass)
	for stuck := 1; stuck <= 3; stuck++ {
		bubble(t, fmt.Sprintf("who leaves is released/stuck=%d", stuck), func(t *testing.T) { leaverReleased(t, stuck) })
	}
	bubble(t, "nil events to several full ones", nilEvents)
}

// A publish that never waits returns at once, and the others get just what they
// get where nobody is stuck. Publish runs on the test's own goroutine: would it
// block, the bubble would be deadlocked and say so.
func stuckChangesNothing(t *testing.T, p broadcast.Policy) {
	run := func(stuck bool) (got [][]int) {
		hub := newHub[int](t, 2, p)
		a := newAudit(hub)
		if stuck {
			a.subscribe(p, 1, broadcast.WithName("stuck"))
		}
		others := []*witness[int]{
			a.subscribe(p, 2),
			a.filtered(p, 3, func(e int) bool { return e%3 != 0 }),
			a.subscribe(broadcast.BlockFor(time.Second, p), 4),
		}
		if stuck {
			a.subscribe(p, 0, broadcast.WithName("stuck from the start"))
		}
		before := time.Now()
		for e := 1; e <= 20; e++ {
			require.NoError(t, a.publish(bg, e))
			for i, w := range others {
				if e%(i+2) == 0 {
					w.drain()
				}
			}
		}
		require.Zero(t, time.Since(before))
		checkLaws(t, a)
		for _, w := range others {
			got = append(got, w.drain())
		}
		return got
	}
	require.Equal(t, run(false), run(true))
}

// Whatever they are and whether they joined before or after the full one.
func roomBeforeWait(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	a := newAudit(hub)
	var others []*witness[int]
	add := func() {
		for _, p := range everyAction() {
			others = append(others, a.subscribe(p, 2))
			others = append(others, a.filtered(p, 2, func(int) bool { return true }))
		}
		others = append(others, a.subscribe(broadcast.BlockFor(time.Hour, broadcast.Eject), 2))
	}
	add()
	full := a.subscribe(broadcast.Block, 1)
	fullToo := a.filtered(broadcast.Block, 1, func(int) bool { return true })
	add()
	require.NoError(t, a.publish(bg, 1))
	p := async(func() error { return a.publish(bg, 2) })
	p.requireBlocked(t, "publish to full subscriptions")
	for _, w := range others {
		require.Equal(t, []int{1, 2}, w.drain())
	}
	full.take(2)
	p.requireBlocked(t, "publish to the other full subscription")
	fullToo.take(2)
	require.NoError(t, p.returned(t, "publish with room"))
	checkLaws(t, a)
}

// n full ones get room one after the other, each at a time of its own, and the
// last one is stuck for an hour.
func roomAtOnce(t *testing.T, n int) {
	hub := newHub[int](t, 1, broadcast.Block)
	a := newAudit(hub)
	for range n {
		a.subscribe(broadcast.Block, 1)
	}
	require.NoError(t, a.publish(bg, 1))
	p := async(func() error { return a.publish(bg, 2) })
	order := make([]int, n)
	for i := range order {
		order[i] = (i*7 + 3) % n // not the order in which they joined; 7 divides no n
	}
	for i, at := range order {
		p.requireBlocked(t, "publish with a full subscription")
		w := a.all[at]
		require.Equal(t, 1, w.Stats().Len)
		if i == n-1 {
			time.Sleep(time.Hour)
			p.requireBlocked(t, "publish with a stuck subscription")
		}
		time.Sleep(time.Millisecond)
		before := time.Now()
		require.Equal(t, []int{1}, w.take(1).got)
		synctest.Wait()
		require.Equal(t, 1, w.Stats().Len, "the one that got room has the event")
		require.Equal(t, []int{1, 2}, w.take(1).got)
		require.Zero(t, time.Since(before), "and at once")
	}
	require.NoError(t, p.returned(t, "publish with room everywhere"))
	require.EqualValues(t, 1, hub.Stats().Blocked)
	checkLaws(t, a)
}

// Each has its own time, all times run from one start, so together they take as
// long as the longest.
func oneStart(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	a := newAudit(hub)
	const n = 100
	for i := range n {
		d := time.Duration(i+1) * time.Millisecond
		a.subscribe(broadcast.BlockFor(d, broadcast.DropNewest), 1)
		a.subscribe(broadcast.BlockFor(d, broadcast.DropOldest), 1)
	}
	require.NoError(t, a.publish(bg, 1))
	start := time.Now()
	p := async(func() error { return a.publish(bg, 2) })
	for i := range n {
		p.requireBlocked(t, "publish within the longest time")
		require.EqualValues(t, 2*i, hub.Stats().Dropped)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, 2*(i+1), hub.Stats().Dropped)
	}
	require.NoError(t, p.returned(t, "publish"))
	require.Equal(t, n*time.Millisecond, time.Since(start))
	require.Equal(t, broadcast.DropReasons{Newest: n, Oldest: n}, hub.Stats().DroppedBy)
	require.EqualValues(t, 1, hub.Stats().Blocked)
	for i, w := range a.all {
		require.Equal(t, []int{1 + i%2}, w.drain())
	}
	checkLaws(t, a)
}

// Every policy does its own at its own time, while one with Block is stuck.
func mixedWaits(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	a := newAudit(hub)
	stuck := a.subscribe(broadcast.Block, 1)
	newest := a.subscribe(broadcast.DropNewest, 1)
	oldest := a.subscribe(broadcast.DropOldest, 1)
	eject := a.subscribe(broadcast.Eject, 1)
	custom := a.subscribe(broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { return broadcast.DropOldest }), 1)
	after20 := a.subscribe(broadcast.BlockFor(20*time.Millisecond, broadcast.DropOldest), 1)
	after50 := a.subscribe(broadcast.BlockFor(50*time.Millisecond, broadcast.Eject), 1)
	after90 := a.subscribe(broadcast.BlockFor(90*time.Millisecond, broadcast.DropNewest), 1)
	inTime := a.subscribe(broadcast.BlockFor(90*time.Millisecond, broadcast.DropNewest), 1)
	filter := a.filtered(broadcast.Block, 1, func(e int) bool { return e != 2 })
	require.NoError(t, a.publish(bg, 1))
	start := time.Now()
	p := async(func() error { return a.publish(bg, 2) })

	p.requireBlocked(t, "publish")
	require.Equal(t, []int{1}, newest.drain())
	require.Equal(t, []int{2}, oldest.drain())
	require.Equal(t, []int{2}, custom.drain())
	require.Equal(t, []int{1}, filter.drain())
	require.ErrorIs(t, eject.Err(), broadcast.ErrEjected)
	_, open := <-eject.take(1).C()
	require.False(t, open, "the channel of the ejected is closed though others are waited for")

	sleepUntil(start, 20*time.Millisecond)
	p.requireBlocked(t, "publish after 20 ms")
	require.Equal(t, []int{2}, after20.drain())
	require.Equal(t, []int{1}, inTime.take(1).got)
	synctest.Wait()
	require.Equal(t, []int{1, 2}, inTime.drain())

	sleepUntil(start, 50*time.Millisecond-1)
	synctest.Wait()
	require.NoError(t, after50.Err())
	sleepUntil(start, 50*time.Millisecond)
	p.requireBlocked(t, "publish after 50 ms")
	require.ErrorIs(t, after50.Err(), broadcast.ErrEjected)

	sleepUntil(start, 90*time.Millisecond)
	p.requireBlocked(t, "publish after 90 ms")
	require.Equal(t, []int{1}, after90.drain())

	sleepUntil(start, time.Hour)
	p.requireBlocked(t, "publish with a stuck subscription")
	require.Equal(t, []int{1, 2}, stuck.take(2).got)
	require.NoError(t, p.returned(t, "publish with room"))
	checkLaws(t, a)
	require.Equal(t, broadcast.DropReasons{Newest: 2, Oldest: 3, Ejected: 2}, hub.Stats().DroppedBy)
}

func sleepUntil(start time.Time, after time.Duration) {
	time.Sleep(time.Until(start.Add(after)))
}

// Before the stuck one is full, it delays nobody; then it delays the next event
// for all, until it has room.
func onlyTheNext(t *testing.T) {
	hub := newHub[int](t, 3, broadcast.Block)
	a := newAudit(hub)
	stuck, other := a.subscribe(broadcast.Block, 3), a.subscribe(broadcast.Block, 10)
	require.NoError(t, a.publish(bg, 1, 2, 3))
	p := async(func() error { return a.publish(bg, 4, 5) })
	p.requireBlocked(t, "publish to the stuck one")
	require.Equal(t, []int{1, 2, 3, 4}, other.drain())
	stuck.take(1)
	p.requireBlocked(t, "the next publish")
	require.Equal(t, []int{1, 2, 3, 4, 5}, other.drain())
	stuck.take(1)
	require.NoError(t, p.returned(t, "publish with room"))
	checkLaws(t, a)
}

// They are full when the event comes, and have room when the filters of others
// have been asked.
func roomSinceThePass(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	a := newAudit(hub)
	policy := asking(broadcast.Eject)
	full := []*witness[int]{a.subscribe(broadcast.Block, 1), a.subscribe(policy, 1), a.subscribe(broadcast.BlockFor(time.Second, policy), 1)}
	a.subscribe(broadcast.Block, 9, broadcast.WithFilter(func(e int) bool { // who joined last is asked first
		if e > 1 {
			for _, w := range full {
				require.Len(t, w.C(), 1)
				w.drain()
			}
		}
		return true
	}))
	require.NoError(t, a.publish(bg, 1, 2, 3))
	require.Empty(t, policy.got())
	require.Zero(t, hub.Stats().Blocked)
	for _, w := range full {
		require.Equal(t, []int{1, 2, 3}, w.drain())
	}
	checkLaws(t, a)
}

// Of those who are waited for, one leaves by its own Close and one by its
// context, and so does one that has the event: their channels close at once,
// while the wait for the stuck ones goes on.
func leaverReleased(t *testing.T, stuck int) {
	hub := newHub[int](t, 1, broadcast.Block)
	a := newAudit(hub)
	ctx, cancel := context.WithCancelCause(bg)
	closer := a.subscribe(broadcast.Block, 1)
	for range stuck {
		a.subscribe(broadcast.Block, 1)
	}
	canceled := a.subscribe(broadcast.Block, 1, broadcast.WithContext(ctx))
	served := a.filtered(broadcast.Block, 9, func(int) bool { return true })
	require.NoError(t, a.publish(bg, 1))
	p := async(func() error { return a.publish(bg, 2) })
	for _, leave := range []func(){closer.Close, func() { cancel(errTest) }, served.Close} {
		p.requireBlocked(t, "publish to full ones")
		leave()
		p.requireBlocked(t, "publish to full ones after one left")
		for _, w := range []*witness[int]{closer, canceled, served} {
			if w.Err() != nil {
				requireClosed(t, w, true)
			}
		}
	}
	require.Equal(t, []int{1}, closer.got)
	require.Equal(t, []int{1}, canceled.got)
	require.Equal(t, []int{1, 2}, served.got)
	require.Equal(t, errTest, canceled.Err())
	for _, w := range a.all[1 : 1+stuck] {
		w.take(1)
	}
	require.NoError(t, p.returned(t, "publish with room"))
	checkLaws(t, a)
	require.Equal(t, broadcast.DropReasons{Closed: 2}, hub.Stats().DroppedBy)
}

// The slow path goes through reflection, which must take a nil interface too.
func nilEvents(t *testing.T) {
	hub := newHub[any](t, 1, broadcast.Block)
	one, two := hub.Subscribe(), hub.Subscribe()
	require.NoError(t, hub.Publish(bg, nil))
	p := async(func() error { return hub.Publish(bg, nil) })
	p.requireBlocked(t, "publish to full subscriptions")
	for _, s := range []*broadcast.Subscription[any]{one, two} {
		require.Nil(t, <-s.C())
		synctest.Wait()
		require.Nil(t, <-s.C())
	}
	require.NoError(t, p.returned(t, "publish with room"))
}
