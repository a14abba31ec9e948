package broadcast_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

func TestFinePrint_BlockFor(t *testing.T) {
	bubble(t, "waits that long and no longer", blockForWaits)
	bubble(t, "room in time", blockForRoomInTime)
	bubble(t, "room in the last instant", blockForLastInstant)
	bubble(t, "0 or less does not wait", blockForZero)
	bubble(t, "one start, though filters take their time", blockForSlowFilter)
	bubble(t, "each publish has a start of its own", blockForEachPublish)
	bubble(t, "then asks a function that says Block", blockForThenBlock)
	bubble(t, "then ejects one while another is waited for", blockForThenEject)
	bubble(t, "for ever", blockForEver)
	bubble(t, "context ends before", blockForContext)
	bubble(t, "a policy of the user's own that asks it", blockForAsked)
	bubble(t, "who leaves is not asked for", blockForLeaver)
	bubble(t, "who was just closed is not asked for", blockForClosedByAnother)
	bubble(t, "who has just got room is not asked for", blockForRoomByAnother)
}

func blockForWaits(t *testing.T) {
	for action, want := range map[broadcast.Action][]int{
		broadcast.DropNewest: {1, 2}, broadcast.DropOldest: {2, 3}, broadcast.Eject: {1, 2},
	} {
		a := newAudit(newHub[int](t, 2, broadcast.BlockFor(time.Second, action)))
		w := a.subscribe(broadcast.BlockFor(time.Second, action), 2)
		start := time.Now()
		require.NoError(t, a.publish(bg, 1, 2))
		require.Zero(t, time.Since(start))
		require.NoError(t, a.publish(bg, 3))
		require.Equal(t, time.Second, time.Since(start))
		checkLaws(t, a)
		require.Equal(t, want, w.drain())
		require.Equal(t, action == broadcast.Eject, w.Err() == broadcast.ErrEjected)
		require.EqualValues(t, 1, a.hub.Stats().Blocked)
	}
}

func blockForRoomInTime(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	w := a.subscribe(broadcast.BlockFor(time.Second, broadcast.Eject), 1)
	require.NoError(t, a.publish(bg, 1))
	start := time.Now()
	p := async(func() error { return a.publish(bg, 2) })
	time.Sleep(time.Second - 1)
	p.requireBlocked(t, "publish to a full subscription")
	w.take(1)
	require.NoError(t, p.returned(t, "publish with room"))
	require.Equal(t, time.Second-1, time.Since(start))
	require.Equal(t, []int{1, 2}, w.drain())
	time.Sleep(time.Hour)
	require.NoError(t, w.Err())
	checkLaws(t, a)
}

// Room at the very end: the event arrives or the policy is asked, and the counts
// say which.
func blockForLastInstant(t *testing.T) {
	for range 20 {
		a := newAudit(newHub[int](t, 1, broadcast.Block))
		w := a.subscribe(broadcast.BlockFor(time.Second, broadcast.DropNewest), 1)
		require.NoError(t, a.publish(bg, 1))
		go func() {
			time.Sleep(time.Second)
			w.take(1)
		}()
		require.NoError(t, a.publish(bg, 2))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		w.drain()
		checkLaws(t, a)
		require.EqualValues(t, 2-len(w.got), a.hub.Stats().DroppedBy.Newest)
	}
}

func blockForZero(t *testing.T) {
	for _, d := range []time.Duration{0, -1, math.MinInt64} {
		require.Equal(t, broadcast.Policy(broadcast.DropOldest), broadcast.BlockFor(d, broadcast.DropOldest))
		a := newAudit(newHub[int](t, 1, broadcast.Block))
		w := a.subscribe(broadcast.BlockFor(d, broadcast.DropOldest), 1)
		start := time.Now()
		require.NoError(t, a.publish(bg, 1, 2, 3))
		require.Zero(t, time.Since(start))
		require.Equal(t, []int{3}, w.drain())
		require.Zero(t, a.hub.Stats().Blocked)
		checkLaws(t, a)
	}
}

// The first wait of a publish begins the time of all, wherever in the hub they
// stand: the filters between them take a second each.
func blockForSlowFilter(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	slow := func() {
		a.subscribe(broadcast.Block, 9, broadcast.WithFilter(func(e int) bool {
			if e == 2 {
				time.Sleep(time.Second)
			}
			return true
		}))
	}
	for range 3 {
		a.subscribe(broadcast.BlockFor(3500*time.Millisecond, broadcast.DropNewest), 1)
		slow()
		a.subscribe(broadcast.BlockFor(4500*time.Millisecond, broadcast.DropOldest), 1)
	}
	require.NoError(t, a.publish(bg, 1))
	start := time.Now()
	require.NoError(t, a.publish(bg, 2))
	require.Equal(t, 4500*time.Millisecond, time.Since(start))
	require.Equal(t, broadcast.DropReasons{Newest: 3, Oldest: 3}, a.hub.Stats().DroppedBy)
	checkLaws(t, a)
}

func blockForEachPublish(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	a.subscribe(broadcast.BlockFor(time.Second, broadcast.DropNewest), 1)
	a.subscribe(broadcast.BlockFor(time.Second, broadcast.DropNewest), 1)
	require.NoError(t, a.publish(bg, 1))
	start := time.Now()
	require.NoError(t, a.publish(bg, 2, 3))
	require.Equal(t, 2*time.Second, time.Since(start))
	n, err := a.hub.PublishBatch(bg, []int{4, 5, 6})
	require.Equal(t, 3, n)
	require.NoError(t, err)
	require.Equal(t, 5*time.Second, time.Since(start))
	a.timeline = span(1, 6)
	checkLaws(t, a)
	require.EqualValues(t, 5, a.hub.Stats().Blocked)
}

func blockForThenBlock(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	then := asking(broadcast.Block)
	w := a.subscribe(broadcast.BlockFor(time.Second, then), 1)
	short := a.subscribe(broadcast.BlockFor(2*time.Second, broadcast.DropNewest), 1)
	require.NoError(t, a.publish(bg, 1))
	p := async(func() error { return a.publish(bg, 2) })
	p.requireBlocked(t, "publish to a full subscription")
	require.Empty(t, then.got())
	time.Sleep(time.Hour)
	p.requireBlocked(t, "publish after then said Block")
	require.Len(t, then.got(), 1)
	require.EqualValues(t, 1, short.Stats().Dropped)
	w.take(1)
	require.NoError(t, p.returned(t, "publish with room"))
	require.EqualValues(t, 1, a.hub.Stats().Blocked)
	checkLaws(t, a)
}

func blockForThenEject(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	ctx := newCountedContext()
	stuck := a.subscribe(broadcast.Block, 1)
	var ejects []*witness[int]
	for i := range 5 {
		ejects = append(ejects, a.subscribe(broadcast.BlockFor(time.Duration(i+1)*time.Second, broadcast.Eject), 1, broadcast.WithContext(ctx)))
	}
	require.NoError(t, a.publish(bg, 1))
	start := time.Now()
	p := async(func() error { return a.publish(bg, 2) })
	for i, w := range ejects {
		sleepUntil(start, time.Duration(i+1)*time.Second)
		p.requireBlocked(t, "publish to a full subscription")
		w.consume() // ends: the channel of the ejected is closed
		require.Equal(t, broadcast.ErrEjected, w.Err())
		require.Equal(t, 5-i, a.hub.Len())
	}
	stuck.take(1)
	require.NoError(t, p.returned(t, "publish with room"))
	require.Zero(t, ctx.registered())
	checkLaws(t, a)
}

func blockForEver(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	w := a.subscribe(broadcast.BlockFor(math.MaxInt64, broadcast.DropNewest), 1)
	require.NoError(t, a.publish(bg, 1))
	p := async(func() error { return a.publish(bg, 2) })
	time.Sleep(1000 * time.Hour)
	p.requireBlocked(t, "publish to a full subscription")
	w.take(1)
	require.NoError(t, p.returned(t, "publish with room"))
	checkLaws(t, a)
}

func blockForContext(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	w := a.subscribe(broadcast.BlockFor(2*time.Second, broadcast.Eject), 1)
	require.NoError(t, a.publish(bg, 1))
	ctx, cancel := context.WithTimeoutCause(bg, time.Second, errTest)
	defer cancel()
	start := time.Now()
	err := a.publish(ctx, 2)
	require.ErrorIs(t, err, errTest)
	require.ErrorIs(t, err, broadcast.ErrPartial)
	require.Equal(t, time.Second, time.Since(start))
	require.NoError(t, w.Err())
	require.Equal(t, broadcast.DropReasons{Canceled: 1}, a.hub.Stats().DroppedBy)
	checkLaws(t, a)
}

// The hub cannot see through a function, so there is no time.
func blockForAsked(t *testing.T) {
	inner := broadcast.BlockFor(time.Second, broadcast.DropNewest)
	require.Equal(t, broadcast.Block, inner.Overflow(broadcast.Overflow{}))
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	w := a.subscribe(broadcast.PolicyFunc(inner.Overflow), 1)
	require.NoError(t, a.publish(bg, 1))
	p := async(func() error { return a.publish(bg, 2) })
	time.Sleep(time.Hour)
	p.requireBlocked(t, "publish to a full subscription")
	w.take(1)
	require.NoError(t, p.returned(t, "publish with room"))
	checkLaws(t, a)
}

func blockForLeaver(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	then := asking(broadcast.DropNewest)
	leaver := a.subscribe(broadcast.BlockFor(time.Second, then), 1)
	stays := a.subscribe(broadcast.BlockFor(2*time.Second, broadcast.DropNewest), 1)
	require.NoError(t, a.publish(bg, 1))
	p := async(func() error { return a.publish(bg, 2) })
	p.requireBlocked(t, "publish to a full subscription")
	leaver.Close()
	time.Sleep(2 * time.Second)
	require.NoError(t, p.returned(t, "publish"))
	require.Empty(t, then.got())
	require.EqualValues(t, 1, stays.Stats().Dropped)
	checkLaws(t, a)
	require.Equal(t, broadcast.DropReasons{Newest: 1, Closed: 1}, a.hub.Stats().DroppedBy)
}

// All are due at the same time. The first to be asked closes everyone.
func blockForClosedByAnother(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	asked := 0
	then := broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action {
		asked++
		for _, w := range a.all {
			w.Close()
		}
		return broadcast.DropNewest
	})
	for range 3 {
		a.subscribe(broadcast.BlockFor(time.Second, then), 1)
	}
	require.NoError(t, a.publish(bg, 1, 2))
	require.Equal(t, 1, asked)
	require.Equal(t, broadcast.DropReasons{Closed: 3}, a.hub.Stats().DroppedBy)
	for _, w := range a.all {
		requireClosed(t, w, true)
		require.Equal(t, []int{1}, w.got)
	}
	checkLaws(t, a)
}

// All are due at the same time. The first to be asked makes room for the others.
func blockForRoomByAnother(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	asked := 0
	then := broadcast.PolicyFunc(func(o broadcast.Overflow) broadcast.Action {
		asked++
		for _, w := range a.all {
			if w.Stats().ID != o.ID {
				w.drain()
			}
		}
		return broadcast.DropNewest
	})
	for range 3 {
		a.subscribe(broadcast.BlockFor(time.Second, then), 1)
	}
	require.NoError(t, a.publish(bg, 1, 2))
	require.Equal(t, 1, asked)
	checkLaws(t, a)
	require.Equal(t, broadcast.DropReasons{Newest: 1}, a.hub.Stats().DroppedBy)
}
