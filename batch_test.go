package broadcast_test

import (
	"context"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// fickleContext is done from its n-th look on.
type fickleContext struct {
	context.Context
	looks, n int
}

func (c *fickleContext) Err() error {
	if c.looks++; c.looks >= c.n {
		return context.Canceled
	}
	return nil
}

func TestFinePrint_PublishBatch(t *testing.T) {
	bubble(t, "is like one by one", batchLikeOneByOne)
	bubble(t, "empty", batchEmpty)
	bubble(t, "looks at ctx before each event", batchLooksAtContext)
	bubble(t, "ctx ends in a filter in its middle", batchContextInFilter)
	bubble(t, "ctx ends while it waits in its middle", batchContextInWait)
	bubble(t, "hub closes in a filter in its middle", batchHubInFilter)
	bubble(t, "hub closes while it waits in its middle", batchHubInWait)
	bubble(t, "counts Blocked for each", batchBlocked)
	bubble(t, "subscriptions come and go between two events", batchComeAndGo)
	bubble(t, "the one waited for leaves", batchLeaver)
	bubble(t, "others wait for the whole batch", batchKeepsTurn)
	bubble(t, "others wait also where nobody is waited for", batchKeepsTurnWithRoom)
}

// batch is PublishBatch, with the timeline kept and the count checked.
func (a *audit[T]) batch(t *testing.T, ctx context.Context, events ...T) (int, error) {
	t.Helper()
	before := a.hub.Stats().Published
	n, err := a.hub.PublishBatch(ctx, events)
	a.timeline = append(a.timeline, events[:n]...)
	if rise := a.hub.Stats().Published - before; rise != uint64(n) {
		t.Errorf("PublishBatch = %d, want %d, by which Published rose", n, rise)
	}
	if n < len(events) && err == nil {
		t.Errorf("PublishBatch = %d of %d, %v", n, len(events), err)
	}
	return n, err
}

func batchLikeOneByOne(t *testing.T) {
	run := func(batch bool) (all [][]int, stats broadcast.Stats) {
		a := newAudit(newHub[int](t, 2, broadcast.Block))
		for _, p := range append(everyAction()[1:], broadcast.BlockFor(time.Second, broadcast.DropNewest), asking(broadcast.DropOldest)) {
			a.subscribe(p, 2)
			a.filtered(p, 2, func(e int) bool { return e%3 != 0 })
		}
		if batch {
			n, err := a.batch(t, bg, span(1, 20)...)
			require.Equal(t, 20, n)
			require.NoError(t, err)
		} else {
			require.NoError(t, a.publish(bg, span(1, 20)...))
		}
		checkLaws(t, a)
		for _, w := range a.all {
			all = append(all, w.drain())
		}
		return all, a.hub.Stats()
	}
	wantGot, wantStats := run(false)
	got, stats := run(true)
	require.Equal(t, wantGot, got)
	require.Equal(t, wantStats, stats)
}

func batchEmpty(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	a.subscribe(broadcast.Block, 1)
	for _, events := range [][]int{nil, {}} {
		n, err := a.batch(t, bg, events...)
		require.Zero(t, n)
		require.NoError(t, err)
	}
	ctx, cancel := context.WithCancelCause(bg)
	cancel(errTest)
	_, err := a.batch(t, ctx)
	require.Equal(t, errTest, err)
	a.hub.Close()
	_, err = a.batch(t, bg)
	require.Equal(t, broadcast.ErrClosed, err)
	checkLaws(t, a)
}

func batchLooksAtContext(t *testing.T) {
	for first := 1; first <= 5; first++ {
		a := newAudit(newHub[int](t, 9, broadcast.Block))
		w := a.subscribe(broadcast.Block, 9)
		ctx := &fickleContext{Context: bg, n: first}
		n, err := a.batch(t, ctx, 1, 2, 3, 4)
		require.Equal(t, first-1, n)
		require.Equal(t, span(1, first-1), w.drain())
		if n < 4 {
			require.Equal(t, context.Canceled, err)
		} else {
			require.NoError(t, err)
		}
		checkLaws(t, a)
	}
}

func batchContextInFilter(t *testing.T) {
	a := newAudit(newHub[int](t, 9, broadcast.Block))
	ctx, cancel := context.WithCancelCause(bg)
	w := a.subscribe(broadcast.Block, 9, broadcast.WithFilter(func(e int) bool {
		if e == 2 {
			cancel(errTest)
		}
		return true
	}))
	n, err := a.batch(t, ctx, 1, 2, 3, 4)
	require.Equal(t, 2, n)
	require.Equal(t, errTest, err, "the second had reached all, the third was not published")
	require.Equal(t, []int{1, 2}, w.drain())
	checkLaws(t, a)
}

func batchContextInWait(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	a.canceling = true
	full, other := a.subscribe(broadcast.Block, 1), a.subscribe(broadcast.Block, 9)
	ctx, cancel := context.WithTimeoutCause(bg, time.Second, errTest)
	defer cancel()
	n, err := a.batch(t, ctx, 1, 2, 3, 4)
	require.Equal(t, 2, n)
	require.ErrorIs(t, err, broadcast.ErrPartial)
	require.ErrorIs(t, err, errTest)
	require.Equal(t, []int{1}, full.drain())
	require.Equal(t, []int{1, 2}, other.drain())
	checkLaws(t, a)
	require.Equal(t, broadcast.DropReasons{Canceled: 1}, a.hub.Stats().DroppedBy)
	_, err = a.batch(t, bg, 5)
	require.NoError(t, err)
	checkLaws(t, a)
}

func batchHubInFilter(t *testing.T) {
	for _, keep := range []bool{false, true} {
		a := newAudit(newHub[int](t, 9, broadcast.Block))
		w := a.subscribe(broadcast.Block, 9, broadcast.WithFilter(func(e int) bool {
			if e == 2 {
				a.hub.CloseWithError(errTest)
				return keep
			}
			return true
		}))
		w.keep = func(e int) bool { return e != 2 || keep }
		n, err := a.batch(t, bg, 1, 2, 3, 4)
		require.Equal(t, 2, n)
		require.ErrorIs(t, err, broadcast.ErrClosed)
		require.ErrorIs(t, err, errTest)
		if keep {
			require.ErrorIs(t, err, broadcast.ErrPartial)
		} else {
			require.NotErrorIs(t, err, broadcast.ErrPartial)
		}
		w.consume()
		require.Equal(t, []int{1}, w.got)
		checkLaws(t, a)
	}
}

func batchHubInWait(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	full, other := a.subscribe(broadcast.Block, 1), a.subscribe(broadcast.Block, 9)
	time.AfterFunc(time.Second, a.hub.Close)
	n, err := a.batch(t, bg, 1, 2, 3, 4)
	require.Equal(t, 2, n)
	require.ErrorIs(t, err, broadcast.ErrPartial)
	require.ErrorIs(t, err, broadcast.ErrClosed)
	full.consume()
	other.consume()
	require.Equal(t, []int{1}, full.got)
	require.Equal(t, []int{1, 2}, other.got)
	checkLaws(t, a)
}

func batchBlocked(t *testing.T) {
	a := newAudit(newHub[int](t, 2, broadcast.Block))
	full := a.subscribe(broadcast.Block, 2)
	fullToo := a.subscribe(broadcast.Block, 3)
	p := async(func() error { _, err := a.batch(t, bg, span(1, 6)...); return err })
	for i := 1; i <= 4; i++ {
		p.requireBlocked(t, "batch to a full subscription")
		require.EqualValues(t, i, a.hub.Stats().Blocked)
		full.take(1)
		if i > 1 {
			fullToo.take(1)
		}
	}
	require.NoError(t, p.returned(t, "batch with room"))
	require.EqualValues(t, 4, a.hub.Stats().Blocked)
	checkLaws(t, a)
}

func batchComeAndGo(t *testing.T) {
	a := newAudit(newHub[int](t, 9, broadcast.Block))
	var late *witness[int]
	goes := a.subscribe(broadcast.Block, 9)
	a.subscribe(broadcast.Block, 9, broadcast.WithFilter(func(e int) bool {
		switch e {
		case 2:
			late = a.subscribe(broadcast.Block, 9)
		case 3:
			goes.Close()
		}
		return true
	}))
	n, err := a.batch(t, bg, 1, 2, 3, 4)
	require.Equal(t, 4, n)
	require.NoError(t, err)
	require.Equal(t, []int{3, 4}, late.drain())
	goes.consume()
	require.Equal(t, []int{1, 2, 3}, goes.got)
	checkLaws(t, a)
}

func batchLeaver(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	full, other := a.subscribe(broadcast.Block, 1), a.subscribe(broadcast.Block, 9)
	time.AfterFunc(time.Second, full.Close)
	n, err := a.batch(t, bg, 1, 2, 3, 4)
	require.Equal(t, 4, n)
	require.NoError(t, err)
	full.consume()
	require.Equal(t, []int{1}, full.got)
	require.Equal(t, []int{1, 2, 3, 4}, other.drain())
	checkLaws(t, a)
	require.EqualValues(t, 1, a.hub.Stats().Blocked)
}

func batchKeepsTurn(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	full := a.subscribe(broadcast.Block, 1)
	batch := async(func() error { _, err := a.hub.PublishBatch(bg, []int{1, 2, 3}); return err })
	batch.requireBlocked(t, "batch to a full subscription")
	single := async(func() error { return a.hub.Publish(bg, 4) })
	single.requireBlocked(t, "publish in line")
	full.take(4)
	require.NoError(t, batch.returned(t, "batch"))
	require.NoError(t, single.returned(t, "publish"))
	require.Equal(t, []int{1, 2, 3, 4}, full.got)
	a.timeline = span(1, 4)
	checkLaws(t, a)
}

// The context's own code runs between two events, and there somebody else
// publishes.
func batchKeepsTurnWithRoom(t *testing.T) {
	a := newAudit(newHub[int](t, 9, broadcast.Block))
	w := a.subscribe(broadcast.Block, 9)
	var single running[error]
	looks := 0
	ctx := ownContext{Context: bg, onErr: func() error {
		if looks++; looks == 2 {
			single = async(func() error { return a.hub.Publish(bg, 4) })
			single.requireBlocked(t, "publish in the middle of a batch")
		}
		return nil
	}}
	n, err := a.hub.PublishBatch(ctx, []int{1, 2, 3})
	require.Equal(t, 3, n)
	require.NoError(t, err)
	require.NoError(t, single.returned(t, "publish after the batch"))
	a.timeline = span(1, 4)
	require.Equal(t, a.timeline, w.drain())
	checkLaws(t, a)
}
