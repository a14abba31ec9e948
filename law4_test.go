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

func TestLaw4_BlockEnds(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		for _, filter := range []bool{false, true} {
			name := func(s string) string { return fmt.Sprintf("%s/full=%d/filter=%v", s, n, filter) }
			with := func(fn func(*testing.T, *blockedHub)) func(*testing.T) {
				return func(t *testing.T) { fn(t, newBlockedHub(t, n, filter)) }
			}
			bubble(t, name("room"), with(blockEndsByRoom))
			bubble(t, name("subscription closes"), with(blockEndsByClose))
			bubble(t, name("context of the subscription ends"), with(blockEndsByItsContext))
			bubble(t, name("hub closes"), with(blockEndsByHubClose))
			bubble(t, name("hub closes with a reason"), with(blockEndsByReason))
			bubble(t, name("context ends"), with(blockEndsByContext))
			bubble(t, name("deadline"), with(blockEndsByDeadline))
		}
	}
	bubble(t, "context done before", doneContextPublishesNothing)
	bubble(t, "context ends in line", contextEndsInLine)
	bubble(t, "hub closes with a line", hubClosesWithLine)
	bubble(t, "the line goes on after one has left it", lineGoesOn)
	bubble(t, "context ends, then all leave", contextEndsThenLeave)
}

// blockedHub is a hub with a publish of 2 that waits for n full subscriptions,
// which hold 1, while another has room.
type blockedHub struct {
	*audit[int]
	full    []*witness[int]
	other   *witness[int]
	publish running[error]

	cancel    context.CancelCauseFunc // of the publish
	cancelSub context.CancelCauseFunc // of the subscriptions
}

func newBlockedHub(t *testing.T, n int, filter bool) *blockedHub {
	b := &blockedHub{audit: newAudit(newHub[int](t, 1, broadcast.Block))}
	b.canceling = true
	var ctx, subCtx context.Context
	ctx, b.cancel = context.WithCancelCause(bg)
	subCtx, b.cancelSub = context.WithCancelCause(bg)
	t.Cleanup(func() { b.cancel(nil); b.cancelSub(nil) })
	for range n {
		if filter {
			b.full = append(b.full, b.filtered(broadcast.Block, 1, func(int) bool { return true }, broadcast.WithContext(subCtx)))
		} else {
			b.full = append(b.full, b.subscribe(broadcast.Block, 1, broadcast.WithContext(subCtx)))
		}
	}
	b.other = b.subscribe(broadcast.Block, 5)
	require.NoError(t, b.audit.publish(bg, 1))
	b.publish = async(func() error { return b.audit.publish(ctx, 2) })
	b.publish.requireBlocked(t, "publish to full subscriptions")
	require.Equal(t, []int{1, 2}, b.other.drain())
	return b
}

// ended checks what holds after every end: the hub goes on, with everyone who
// is still live.
func (b *blockedHub) ended(t *testing.T, wantFull []int) {
	t.Helper()
	synctest.Wait()
	checkLaws(t, b.audit)
	for _, w := range b.full {
		require.Equal(t, wantFull, w.drain())
	}
	checkLaws(t, b.audit)
	require.EqualValues(t, 1, b.hub.Stats().Blocked)
	require.NoError(t, b.audit.publish(bg, 3))
	require.Equal(t, []int{1, 2, 3}, b.other.drain())
	for _, w := range b.full {
		w.drain()
	}
	checkLaws(t, b.audit)
}

func blockEndsByRoom(t *testing.T, b *blockedHub) {
	for _, w := range b.full {
		b.publish.requireBlocked(t, "publish before there was room everywhere")
		w.take(1)
	}
	require.NoError(t, b.publish.returned(t, "publish with room"))
	b.ended(t, []int{1, 2})
	require.Zero(t, b.hub.Stats().Dropped)
}

func blockEndsByClose(t *testing.T, b *blockedHub) {
	for _, w := range b.full {
		b.publish.requireBlocked(t, "publish before all had left")
		w.Close()
		w.Close()
	}
	require.NoError(t, b.publish.returned(t, "publish without the full ones"))
	b.ended(t, []int{1})
	require.Equal(t, broadcast.DropReasons{Closed: uint64(len(b.full))}, b.hub.Stats().DroppedBy)
}

func blockEndsByItsContext(t *testing.T, b *blockedHub) {
	b.cancelSub(errTest)
	require.NoError(t, b.publish.returned(t, "publish without the full ones"))
	for _, w := range b.full {
		require.Equal(t, errTest, w.Err())
	}
	b.ended(t, []int{1})
	require.Equal(t, broadcast.DropReasons{Closed: uint64(len(b.full))}, b.hub.Stats().DroppedBy)
}

func blockEndsByHubClose(t *testing.T, b *blockedHub) {
	b.hub.Close()
	err := b.publish.returned(t, "publish whose hub closed")
	require.ErrorIs(t, err, broadcast.ErrClosed)
	require.ErrorIs(t, err, broadcast.ErrPartial)
	require.Equal(t, broadcast.DropReasons{Closed: uint64(len(b.full))}, b.hub.Stats().DroppedBy)
	for _, w := range b.full {
		require.Equal(t, broadcast.ErrClosed, w.Err())
		w.consume()
		require.Equal(t, []int{1}, w.got)
	}
	checkLaws(t, b.audit)
}

func blockEndsByReason(t *testing.T, b *blockedHub) {
	b.hub.CloseWithError(errTest)
	err := b.publish.returned(t, "publish whose hub closed")
	require.ErrorIs(t, err, broadcast.ErrClosed)
	require.ErrorIs(t, err, broadcast.ErrPartial)
	require.ErrorIs(t, err, errTest)
	checkLaws(t, b.audit)
}

func blockEndsByContext(t *testing.T, b *blockedHub) {
	b.cancel(errTest)
	err := b.publish.returned(t, "publish whose context ended")
	require.ErrorIs(t, err, broadcast.ErrPartial)
	require.ErrorIs(t, err, errTest)
	require.NotErrorIs(t, err, broadcast.ErrClosed)
	require.NotErrorIs(t, err, context.Canceled, "the cause, not what the context says beside it")
	b.ended(t, []int{1})
	require.Equal(t, broadcast.DropReasons{Canceled: uint64(len(b.full))}, b.hub.Stats().DroppedBy)
}

func blockEndsByDeadline(t *testing.T, b *blockedHub) {
	b.full[0].take(1)
	synctest.Wait()
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	line := async(func() error { return b.hub.Publish(ctx, 7) })
	start := time.Now()
	if len(b.full) == 1 { // the first has ended; this one waits for room
		require.NoError(t, b.publish.returned(t, "publish with room"))
		line.requireBlocked(t, "publish to a full subscription")
	}
	time.Sleep(time.Minute - 1)
	line.requireBlocked(t, "publish before its deadline")
	time.Sleep(time.Nanosecond)
	err := line.returned(t, "publish after its deadline")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, time.Minute, time.Since(start))
	if len(b.full) == 1 {
		require.ErrorIs(t, err, broadcast.ErrPartial)
		b.timeline = append(b.timeline, 7)
		checkLaws(t, b.audit)
		return
	}
	require.NotErrorIs(t, err, broadcast.ErrPartial, "it never had the turn")
}

// With room everywhere, too: the context wins.
func doneContextPublishesNothing(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	w := a.subscribe(broadcast.Block, 1)
	ctx, cancel := context.WithCancelCause(bg)
	cancel(errTest)
	require.Equal(t, errTest, a.publish(ctx, 1))
	n, err := a.hub.PublishBatch(ctx, []int{1, 2})
	require.Zero(t, n)
	require.Equal(t, errTest, err)
	require.Empty(t, w.drain())
	checkLaws(t, a)
	a.hub.Close()
	require.Equal(t, errTest, a.publish(ctx, 1))
}

func contextEndsInLine(t *testing.T) {
	b := newBlockedHub(t, 1, false)
	ctx, cancel := context.WithCancelCause(bg)
	line := async(func() error { return b.hub.Publish(ctx, 7) })
	batch := async(func() error {
		n, err := b.hub.PublishBatch(ctx, []int{8, 9})
		return fmt.Errorf("%d: %w", n, err)
	})
	line.requireBlocked(t, "publish that waits for its turn")
	batch.requireBlocked(t, "batch that waits for its turn")
	cancel(errTest)
	require.Equal(t, errTest, line.returned(t, "publish whose context ended"))
	require.EqualError(t, batch.returned(t, "batch whose context ended"), "0: "+errTest.Error())
	b.publish.requireBlocked(t, "publish to a full subscription")
	b.full[0].take(1)
	require.NoError(t, b.publish.returned(t, "publish with room"))
	b.ended(t, []int{1, 2})
}

func hubClosesWithLine(t *testing.T) {
	b := newBlockedHub(t, 1, false)
	var line []running[error]
	for range 5 {
		line = append(line, async(func() error { return b.hub.Publish(bg, 7) }))
		line = append(line, async(func() error { _, err := b.hub.PublishBatch(bg, []int{7}); return err }))
	}
	synctest.Wait()
	b.hub.CloseWithError(errTest)
	for _, p := range line {
		err := p.returned(t, "publish whose hub closed")
		require.ErrorIs(t, err, broadcast.ErrClosed)
		require.ErrorIs(t, err, errTest)
		require.NotErrorIs(t, err, broadcast.ErrPartial)
	}
	require.ErrorIs(t, b.publish.returned(t, "publish whose hub closed"), broadcast.ErrPartial)
	checkLaws(t, b.audit)
}

// The first and one in the middle of the line leave; the turn reaches the others.
func lineGoesOn(t *testing.T) {
	b := newBlockedHub(t, 1, false)
	leave, cancel := context.WithCancel(bg)
	var stay, left []running[error]
	for i := range 6 {
		ctx, line := bg, &stay
		if i%3 == 0 {
			ctx, line = leave, &left
		}
		*line = append(*line, async(func() error { return b.hub.Publish(ctx, 10+i) }))
		synctest.Wait()
	}
	cancel()
	for _, p := range left {
		require.Equal(t, context.Canceled, p.returned(t, "publish whose context ended"))
	}
	b.full[0].take(2)
	require.NoError(t, b.publish.returned(t, "publish with room"))
	for _, p := range stay {
		b.full[0].take(1)
		require.NoError(t, p.returned(t, "publish with room"))
	}
	b.timeline = []int{1, 2, 11, 12, 14, 15}
	require.Equal(t, b.timeline, b.full[0].got)
	b.other.drain()
	checkLaws(t, b.audit)
}

// A subscription that was given up is not touched any more: it closes at once.
func contextEndsThenLeave(t *testing.T) {
	b := newBlockedHub(t, 3, true)
	b.cancel(errTest)
	require.ErrorIs(t, b.publish.returned(t, "publish whose context ended"), errTest)
	for _, w := range b.full {
		w.Close()
		w.consume()
		require.Equal(t, []int{1}, w.got)
	}
	checkLaws(t, b.audit)
}
