package broadcast_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// ownContext is a context of the user's own whose methods do as the test says.
type ownContext struct {
	context.Context
	onDone func()
	onErr  func() error
}

func (c ownContext) Done() <-chan struct{} {
	if c.onDone != nil {
		c.onDone()
	}
	return c.Context.Done()
}

func (c ownContext) Err() error {
	if c.onErr != nil {
		return c.onErr()
	}
	return c.Context.Err()
}

func TestPublish_ContextOfTheUsersOwn(t *testing.T) {
	bubble(t, "closes the hub in line", ownContextCloses)
	bubble(t, "makes room in line", ownContextMakesRoom)
	bubble(t, "has forgotten its error", ownContextForgets)
	for _, b := range bad {
		want := any(errTest)
		if b.name == "Goexit" {
			want = nil
		}
		bubble(t, b.name+"/in line", func(t *testing.T) { ownContextFailsInLine(t, b.fail, want) })
		for full := range 3 {
			bubble(t, b.name+"/while it waits", func(t *testing.T) { ownContextFailsInWait(t, 1+full, b.fail, want) })
		}
		bubble(t, b.name+"/at the start", func(t *testing.T) { ownContextFailsAtStart(t, b.fail, want) })
		bubble(t, b.name+"/between two events of a batch", func(t *testing.T) { ownContextFailsInBatch(t, b.fail, want) })
	}
}

func ownContextCloses(t *testing.T) {
	b := newBlockedHub(t, 1, false)
	err := b.hub.Publish(ownContext{Context: bg, onDone: b.hub.Close}, 3)
	require.Equal(t, broadcast.ErrClosed, err)
	require.ErrorIs(t, b.publish.returned(t, "publish whose hub closed"), broadcast.ErrPartial)
	checkLaws(t, b.audit)
}

func ownContextMakesRoom(t *testing.T) {
	b := newBlockedHub(t, 1, false)
	calls := 0
	ctx := ownContext{Context: bg, onDone: func() {
		calls++
		b.full[0].take(2)
		require.NoError(t, b.publish.returned(t, "publish with room"))
	}}
	require.NoError(t, b.audit.publish(ctx, 3))
	require.Equal(t, 1, calls)
	b.other.drain()
	checkLaws(t, b.audit)
}

// Nil must not be returned for an event that was not published.
func ownContextForgets(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	looks := 0
	forgets := ownContext{Context: bg, onErr: func() error {
		if looks++; looks%2 == 1 {
			return errTest
		}
		return nil
	}}
	require.Equal(t, context.Canceled, a.publish(forgets, 1))
	checkLaws(t, a)
}

func ownContextFailsInLine(t *testing.T, fail func(), want any) {
	b := newBlockedHub(t, 1, false)
	p := failing(func() error { return b.hub.Publish(ownContext{Context: bg, onDone: fail}, 3) })
	require.Equal(t, want, p.returned(t, "publish in line"))
	b.publish.requireBlocked(t, "publish to a full subscription")
	b.full[0].take(1)
	require.NoError(t, b.publish.returned(t, "publish with room"))
	b.ended(t, []int{1, 2})
}

// The event is lost for those who were to be waited for; the hub is as good as
// before.
func ownContextFailsInWait(t *testing.T, full int, fail func(), want any) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	a.canceling = true
	for range full {
		a.subscribe(broadcast.Block, 1)
	}
	other := a.filtered(broadcast.Block, 9, func(int) bool { return true })
	require.NoError(t, a.publish(bg, 1))
	p := failing(func() error { return a.hub.Publish(ownContext{Context: bg, onDone: fail}, 2) })
	require.Equal(t, want, p.returned(t, "publish"))
	a.timeline = append(a.timeline, 2)
	checkLaws(t, a)
	require.EqualValues(t, full, a.hub.Stats().Dropped)
	for _, w := range a.all[:full] {
		w.take(1)
	}
	require.NoError(t, a.publish(bg, 3))
	require.Equal(t, []int{1, 2, 3}, other.drain())
	a.hub.Close()
	for _, w := range a.all[:full] {
		w.consume()
		require.Equal(t, []int{1, 3}, w.got)
	}
	checkLaws(t, a)
}

func ownContextFailsAtStart(t *testing.T, fail func(), want any) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	a.subscribe(broadcast.Block, 1)
	ctx := ownContext{Context: bg, onErr: func() error { fail(); return nil }}
	p := failing(func() error { return a.hub.Publish(ctx, 1) })
	require.Equal(t, want, p.returned(t, "publish"))
	checkLaws(t, a)
	require.NoError(t, a.publish(bg, 2))
	checkLaws(t, a)
}

func ownContextFailsInBatch(t *testing.T, fail func(), want any) {
	a := newAudit(newHub[int](t, 9, broadcast.Block))
	w := a.subscribe(broadcast.Block, 9)
	looks := 0
	ctx := ownContext{Context: bg, onErr: func() error {
		if looks++; looks == 3 {
			fail()
		}
		return nil
	}}
	p := failing(func() error { _, err := a.hub.PublishBatch(ctx, []int{1, 2, 3, 4}); return err })
	require.Equal(t, want, p.returned(t, "batch"))
	a.timeline = []int{1, 2}
	checkLaws(t, a)
	require.NoError(t, a.publish(bg, 5))
	require.Equal(t, []int{1, 2, 5}, w.drain())
	checkLaws(t, a)
}

// Whatever a filter does to the clock or the scheduler, the first panic of a
// publish is the one that goes up.
func TestFinePrint_Panics_TheFirstGoesUp(t *testing.T) {
	bubble(t, "of five", func(t *testing.T) {
		a := newAudit(newHub[int](t, 1, broadcast.Block))
		var order []any
		for i := range 5 {
			a.subscribe(broadcast.Block, 1, broadcast.WithFilter(func(int) bool {
				order = append(order, i)
				time.Sleep(time.Second)
				panic(i)
			}))
		}
		p := failing(func() error { return a.hub.Publish(bg, 1) })
		time.Sleep(time.Minute)
		got := p.returned(t, "publish")
		require.Len(t, order, 5)
		require.Equal(t, order[0], got)
		a.timeline = []int{1}
		a.canceling = true
		checkLaws(t, a)
	})
	bubble(t, "mixed with Goexit", func(t *testing.T) {
		a := newAudit(newHub[int](t, 1, broadcast.Block))
		a.canceling = true
		other := a.filtered(broadcast.Block, 9, func(int) bool { return true })
		for i := range 6 {
			fail := bad[i%2].fail
			a.subscribe(broadcast.Block, 1, broadcast.WithFilter(func(int) bool { fail(); return true }))
		}
		p := failing(func() error { return a.hub.Publish(bg, 1) })
		require.NotEqual(t, any("Publish returned"), p.returned(t, "publish"))
		a.timeline = []int{1}
		checkLaws(t, a)
		require.EqualValues(t, 6, a.hub.Stats().Dropped)
		require.Equal(t, []int{1}, other.drain())
	})
}

// As a failed test does from within a handler of the logger.
func TestWithLogger_Goexit(t *testing.T) {
	bubble(t, "first line", func(t *testing.T) {
		l := newLogbook()
		l.hook = runtime.Goexit
		hub := newHub[int](t, 0, broadcast.DropNewest, l.option())
		hub.Subscribe()
		for i := range 3 {
			require.NoError(t, hub.Publish(bg, i))
			time.Sleep(2 * time.Second)
		}
		synctest.Wait()
		require.Len(t, l.take(), 3)
		require.NoError(t, hub.Shutdown(bg))
	})
}
