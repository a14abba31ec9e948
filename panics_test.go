package broadcast_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// bad are the ways in which a filter or a policy can fail to return.
var bad = []struct {
	name string
	fail func()
}{
	{"panic", func() { panic(errTest) }},
	{"Goexit", runtime.Goexit},
}

// failing publishes 2 on a goroutine of its own, which the event's filter or
// policy ends, and returns what Publish panicked with, nil after a Goexit.
func failing(publish func() error) running[any] {
	r := running[any]{make(chan any, 1)}
	go func() {
		returned := false
		defer func() {
			p := recover()
			if returned {
				p = "Publish returned"
			}
			r.result <- p
		}()
		_ = publish()
		returned = true
	}()
	return r
}

func TestFinePrint_Panics(t *testing.T) {
	for _, b := range bad {
		want := any(errTest)
		if b.name == "Goexit" {
			want = nil
		}
		for _, where := range []string{"filter", "policy", "policy of BlockFor", "policy of a filtered"} {
			for _, others := range []int{0, 1, 3} {
				name := fmt.Sprintf("%s/in=%s/waiting=%d", b.name, where, others)
				bubble(t, name, func(t *testing.T) { panicIn(t, where, others, b.fail, want) })
			}
		}
		bubble(t, b.name+"/of many", func(t *testing.T) { panicOfMany(t, b.fail, want) })
		bubble(t, b.name+"/of one that closed", func(t *testing.T) { panicOfClosed(t, b.fail, want) })
		bubble(t, b.name+"/in a batch", func(t *testing.T) { panicInBatch(t, b.fail, want) })
		bubble(t, b.name+"/context ends meanwhile", func(t *testing.T) { panicAndContext(t, b.fail, want) })
		bubble(t, b.name+"/with an eject", func(t *testing.T) { panicAndEject(t, b.fail, want) })
		bubble(t, b.name+"/with a line", func(t *testing.T) { panicWithLine(t, b.fail, want) })
	}
}

// addBad adds a subscription that fails at event 2, and for which it counts as
// dropped.
func addBad(a *audit[int], where string, fail func()) *witness[int] {
	filter := broadcast.WithFilter(func(e int) bool {
		if e == 2 {
			fail()
		}
		return true
	})
	policy := broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { fail(); return broadcast.Block })
	all := broadcast.WithFilter(func(int) bool { return true })
	switch where {
	case "filter":
		return a.subscribe(broadcast.DropNewest, 1, filter)
	case "policy":
		return a.subscribe(policy, 1)
	case "policy of BlockFor":
		return a.subscribe(broadcast.BlockFor(time.Millisecond, policy), 1)
	}
	return a.subscribe(policy, 1, all)
}

// All others get the event, those who wait too, wherever in the hub they stand;
// then the panic goes up, and the hub is as good as before.
func panicIn(t *testing.T, where string, waiting int, fail func(), want any) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	var others, full []*witness[int]
	add := func() {
		others = append(others, a.subscribe(broadcast.Block, 5), a.filtered(broadcast.Block, 5, func(int) bool { return true }),
			a.subscribe(broadcast.DropOldest, 5), a.subscribe(broadcast.PolicyFunc(broadcast.Block.Overflow), 5))
		for i := range waiting {
			if i%2 == 0 {
				full = append(full, a.subscribe(broadcast.Block, 1))
			} else {
				full = append(full, a.filtered(broadcast.Block, 1, func(int) bool { return true }))
			}
		}
	}
	add()
	w := addBad(a, where, fail)
	add()
	require.NoError(t, a.publish(bg, 1))
	p := failing(func() error { return a.hub.Publish(bg, 2) })
	time.Sleep(time.Second)
	for _, o := range others {
		synctest.Wait()
		require.Equal(t, []int{1, 2}, o.drain())
	}
	for _, f := range full {
		p.requireBlocked(t, "publish to a full subscription")
		f.take(1)
		synctest.Wait()
		f.take(1)
		require.Equal(t, []int{1, 2}, f.got)
	}
	require.Equal(t, want, p.returned(t, "publish"))
	a.timeline = append(a.timeline, 2)
	checkLaws(t, a)
	require.EqualValues(t, 1, w.Stats().Dropped)
	require.Equal(t, broadcast.DropReasons{Newest: 1}, a.hub.Stats().DroppedBy)
	blocked := 0
	if waiting > 0 || where == "policy of BlockFor" {
		blocked = 1
	}
	require.EqualValues(t, blocked, a.hub.Stats().Blocked, "once, though the wait was broken off and taken up again")
	w.drain()
	require.NoError(t, a.publish(bg, 3))
	require.Equal(t, []int{1, 3}, w.drain())
	checkLaws(t, a)
}

// Each panics, each event is lost for it alone; one of the panics arrives.
func panicOfMany(t *testing.T, fail func(), want any) {
	const n = 300
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	var good []*witness[int]
	for range n {
		addBad(a, "filter", fail)
		good = append(good, a.filtered(broadcast.Block, 2, func(int) bool { return true }))
		addBad(a, "policy", fail)
	}
	require.NoError(t, a.publish(bg, 1))
	p := failing(func() error { return a.hub.Publish(bg, 2) })
	require.Equal(t, want, p.returned(t, "publish"))
	a.timeline = append(a.timeline, 2)
	checkLaws(t, a)
	require.Equal(t, broadcast.DropReasons{Newest: 2 * n}, a.hub.Stats().DroppedBy)
	for _, w := range good {
		require.Equal(t, []int{1, 2}, w.drain())
	}
}

func panicOfClosed(t *testing.T, fail func(), want any) {
	for _, hubToo := range []bool{false, true} {
		a := newAudit(newHub[int](t, 1, broadcast.Block))
		var w *witness[int]
		w = addBad(a, "filter", func() {
			w.Close()
			if hubToo {
				a.hub.Close()
			}
			fail()
		})
		other := a.subscribe(broadcast.Block, 2)
		require.NoError(t, a.publish(bg, 1))
		p := failing(func() error { return a.hub.Publish(bg, 2) })
		require.Equal(t, want, p.returned(t, "publish"))
		a.timeline = append(a.timeline, 2)
		w.consume() // ends: the channel is closed
		require.Equal(t, []int{1}, w.got)
		require.Equal(t, []int{1, 2}, other.drain())
		checkLaws(t, a)
		require.EqualValues(t, 1, a.hub.Stats().Dropped)
	}
}

// The event with the panic was published, those behind it were not.
func panicInBatch(t *testing.T, fail func(), want any) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	addBad(a, "filter", fail)
	other := a.subscribe(broadcast.Block, 9)
	p := failing(func() error { _, err := a.hub.PublishBatch(bg, []int{1, 2, 3}); return err })
	require.Equal(t, want, p.returned(t, "batch"))
	a.timeline = []int{1, 2}
	require.Equal(t, []int{1, 2}, other.drain())
	checkLaws(t, a)
	require.NoError(t, a.publish(bg, 4))
	require.Equal(t, []int{1, 2, 4}, other.drain())
	checkLaws(t, a)
}

func panicAndContext(t *testing.T, fail func(), want any) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	a.canceling = true
	addBad(a, "filter", fail)
	full := a.subscribe(broadcast.Block, 1)
	require.NoError(t, a.publish(bg, 1))
	ctx, cancel := context.WithCancel(bg)
	p := failing(func() error { return a.hub.Publish(ctx, 2) })
	p.requireBlocked(t, "publish to a full subscription")
	cancel()
	require.Equal(t, want, p.returned(t, "publish"))
	a.timeline = append(a.timeline, 2)
	checkLaws(t, a)
	require.Equal(t, broadcast.DropReasons{Newest: 1, Canceled: 1}, a.hub.Stats().DroppedBy)
	full.take(1)
	require.NoError(t, a.publish(bg, 3))
	checkLaws(t, a)
}

// Who is ejected by the publish that panics is off its context all the same.
func panicAndEject(t *testing.T, fail func(), want any) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	ctx := newCountedContext()
	a.subscribe(broadcast.Eject, 1, broadcast.WithContext(ctx))
	addBad(a, "filter", fail)
	a.filtered(broadcast.Eject, 1, func(int) bool { return true }, broadcast.WithContext(ctx))
	require.NoError(t, a.publish(bg, 1))
	require.Equal(t, 2, ctx.registered())
	p := failing(func() error { return a.hub.Publish(bg, 2) })
	require.Equal(t, want, p.returned(t, "publish"))
	a.timeline = append(a.timeline, 2)
	require.Zero(t, ctx.registered())
	require.EqualValues(t, 2, a.hub.Stats().Ejected)
	checkLaws(t, a)
}

// The turn goes on to the next in line.
func panicWithLine(t *testing.T, fail func(), want any) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	resume := make(chan struct{})
	addBad(a, "filter", func() { <-resume; fail() })
	other := a.subscribe(broadcast.Block, 9)
	p := failing(func() error { return a.hub.Publish(bg, 2) })
	p.requireBlocked(t, "publish in the filter")
	next := async(func() error { return a.hub.Publish(bg, 3) })
	next.requireBlocked(t, "publish in line")
	close(resume)
	require.Equal(t, want, p.returned(t, "publish"))
	require.NoError(t, next.returned(t, "publish in line"))
	a.timeline = []int{2, 3}
	require.Equal(t, []int{2, 3}, other.drain())
	checkLaws(t, a)
}
