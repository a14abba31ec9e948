package broadcast_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// The hub closes from within a filter, in the middle of a pass that has served
// some and not others.
func TestFinePrint_CloseAgainstPass(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after bool // is a filtered one asked before and after the one that closes?
		keep          bool // what the filter that closes answers
		partial       bool // whether a live one missed the event
	}{
		{"alone, keeps", false, false, true, true},
		{"alone, rejects", false, false, false, false},
		{"one was asked before", true, false, false, false},
		{"one is to be asked", false, true, false, true},
		{"both", true, true, true, true},
	} {
		bubble(t, c.name, func(t *testing.T) {
			a := newAudit(newHub[int](t, 1, broadcast.Block))
			yes := func(int) bool { return true }
			plain := a.subscribe(broadcast.Block, 1)
			var before, after *witness[int]
			if c.after { // those who joined last are asked first
				after = a.filtered(broadcast.Block, 1, yes)
			}
			closes := a.subscribe(broadcast.Block, 1, broadcast.WithFilter(func(int) bool { a.hub.CloseWithError(errTest); return c.keep }))
			closes.keep = func(int) bool { return c.keep }
			if c.before {
				before = a.filtered(broadcast.Block, 1, yes)
			}
			err := a.hub.Publish(bg, 1)
			a.timeline = []int{1}
			if c.partial {
				require.ErrorIs(t, err, broadcast.ErrPartial)
				require.ErrorIs(t, err, broadcast.ErrClosed)
				require.ErrorIs(t, err, errTest)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, []int{1}, plain.drain())
			if before != nil {
				require.Equal(t, []int{1}, before.drain())
			}
			if after != nil {
				require.Empty(t, after.drain())
			}
			require.Empty(t, closes.drain())
			require.EqualValues(t, 1, a.hub.Stats().Published)
			checkLaws(t, a)
		})
	}
	bubble(t, "who left by itself was not missed", func(t *testing.T) {
		a := newAudit(newHub[int](t, 1, broadcast.Block))
		var w *witness[int]
		w = a.subscribe(broadcast.Block, 1, broadcast.WithFilter(func(int) bool { w.Close(); a.hub.Close(); return true }))
		require.NoError(t, a.publish(bg, 1))
		checkLaws(t, a)
	})
}

// loudError is a reason whose text is code of the user's own.
type loudError struct{ hub *broadcast.Hub[int] }

func (e loudError) Error() string {
	_ = e.hub.Publish(bg, 1)
	e.hub.Subscribe().Close()
	return "loud"
}

// The text of a reason is asked for by who prints the error, and not in the
// middle of Close or Publish.
func TestHub_CloseWithError_TextIsUserCode(t *testing.T) {
	bubble(t, "waiting publish", func(t *testing.T) {
		b := newBlockedHub(t, 1, false)
		b.hub.CloseWithError(loudError{b.hub})
		err := b.publish.returned(t, "publish whose hub closed")
		require.EqualError(t, err, broadcast.ErrPartial.Error()+": broadcast: closed: loud")
		require.EqualError(t, b.full[0].Err(), "broadcast: closed: loud")
		checkLaws(t, b.audit)
	})
}

func TestFinePrint_Shutdown(t *testing.T) {
	bubble(t, "nothing to wait for", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block)
		hub.Subscribe()
		start := time.Now()
		require.NoError(t, hub.Shutdown(bg))
		require.Zero(t, time.Since(start))
		require.Equal(t, broadcast.ErrClosed, hub.Publish(bg, 1))
		ctx, cancel := context.WithCancel(bg)
		cancel()
		require.NoError(t, hub.Shutdown(ctx), "with a context that is done, too")
	})
	bubble(t, "waits until all have drained", shutdownWaits)
	bubble(t, "waits for a publish in its middle", shutdownWaitsForPublish)
	bubble(t, "error", shutdownError)
	bubble(t, "error names eight", shutdownErrorOfMany)
	bubble(t, "waits for hooks", shutdownWaitsForHooks)
	bubble(t, "not for those who ended before or came after", shutdownOnlyLive)
	bubble(t, "after Close", shutdownAfterClose)
	bubble(t, "several at once", shutdownSeveral)
}

func shutdownWaits(t *testing.T) {
	a := newAudit(newHub[int](t, 3, broadcast.Block))
	one, two := a.subscribe(broadcast.Block, 3), a.subscribe(broadcast.Block, 3)
	require.NoError(t, a.publish(bg, 1, 2, 3))
	down := async(func() error { return a.hub.Shutdown(bg) })
	down.requireBlocked(t, "Shutdown")
	require.Equal(t, broadcast.ErrClosed, one.Err())
	one.drain()
	time.Sleep(time.Hour)
	down.requireBlocked(t, "Shutdown")
	two.take(2)
	time.Sleep(time.Hour)
	down.requireBlocked(t, "Shutdown")
	two.take(1)
	time.Sleep(50 * time.Millisecond) // "every few milliseconds"
	require.NoError(t, down.returned(t, "Shutdown"))
	checkLaws(t, a)
}

func shutdownWaitsForPublish(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	resume := make(chan struct{})
	a.subscribe(broadcast.Block, 1, broadcast.WithFilter(func(int) bool { <-resume; return true }))
	p := async(func() error { return a.publish(bg, 1) })
	p.requireBlocked(t, "publish in the filter")
	down := async(func() error { return a.hub.Shutdown(bg) })
	time.Sleep(time.Second)
	down.requireBlocked(t, "Shutdown")
	close(resume)
	require.ErrorIs(t, p.returned(t, "publish"), broadcast.ErrPartial)
	time.Sleep(50 * time.Millisecond)
	require.NoError(t, down.returned(t, "Shutdown"))
	checkLaws(t, a)
}

func shutdownError(t *testing.T) {
	a := newAudit(newHub[int](t, 3, broadcast.Block))
	named := a.subscribe(broadcast.Block, 3, broadcast.WithName("a \"name\""))
	a.subscribe(broadcast.Block, 3)
	a.subscribe(broadcast.Block, 3, broadcast.WithName("drained"))
	require.NoError(t, a.publish(bg, 1, 2, 3))
	named.take(1)
	a.all[2].drain()
	ctx, cancel := context.WithTimeoutCause(bg, time.Second, errTest)
	defer cancel()
	start := time.Now()
	err := a.hub.Shutdown(ctx)
	require.Equal(t, time.Second, time.Since(start))
	require.EqualError(t, err, `broadcast: shutdown: 5 events are still buffered in 2 subscription(s) ("a \"name\"": 2, #2: 3): `+errTest.Error())
	require.ErrorIs(t, err, errTest)
	require.Equal(t, []int{1, 2, 3}, named.drain(), "what is not drained stays readable")
	checkLaws(t, a)
}

func shutdownErrorOfMany(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	for range 12 {
		hub.Subscribe()
	}
	require.NoError(t, hub.Publish(bg, 1))
	ctx, cancel := context.WithCancel(bg)
	cancel()
	err := hub.Shutdown(ctx)
	require.ErrorIs(t, err, context.Canceled)
	var names []string
	for i := range 8 {
		names = append(names, fmt.Sprintf("#%d: 1", i+1))
	}
	require.EqualError(t, err, "broadcast: shutdown: 12 events are still buffered in 12 subscription(s) ("+strings.Join(names, ", ")+", ...): context canceled")
}

func shutdownWaitsForHooks(t *testing.T) {
	resume := make(chan struct{})
	hub := newHub[int](t, 1, broadcast.Block, broadcast.WithInterest(func(active bool) {
		if !active {
			<-resume
		}
	}))
	hub.Subscribe()
	ctx, cancel := context.WithTimeoutCause(bg, time.Minute, errTest)
	defer cancel()
	require.EqualError(t, hub.Shutdown(ctx), "broadcast: shutdown: a hook, a handler or the logger has not returned: "+errTest.Error())
	down := async(func() error { return hub.Shutdown(bg) })
	time.Sleep(time.Minute)
	down.requireBlocked(t, "Shutdown")
	close(resume)
	time.Sleep(50 * time.Millisecond)
	require.NoError(t, down.returned(t, "Shutdown"))
}

func shutdownOnlyLive(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	ctx, cancel := context.WithCancel(bg)
	closed, canceled := hub.Subscribe(), hub.Subscribe(broadcast.WithContext(ctx))
	ejected := hub.Subscribe(broadcast.WithPolicy(broadcast.Eject), broadcast.WithBuffer(1))
	require.NoError(t, hub.Publish(bg, 1))
	closed.Close()
	cancel()
	synctest.Wait()
	require.NoError(t, hub.Publish(bg, 2))
	require.Equal(t, context.Canceled, canceled.Err())
	require.Equal(t, broadcast.ErrEjected, ejected.Err())
	hub.Close()
	hub.Subscribe()
	require.NoError(t, hub.Shutdown(bg))
	require.Equal(t, 1, closed.Stats().Len)
}

func shutdownAfterClose(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	s := hub.Subscribe()
	require.NoError(t, hub.Publish(bg, 1))
	hub.CloseWithError(errTest)
	down := async(func() error { return hub.Shutdown(bg) })
	down.requireBlocked(t, "Shutdown")
	require.Equal(t, 1, <-s.C())
	time.Sleep(time.Second)
	require.NoError(t, down.returned(t, "Shutdown"))
	require.ErrorIs(t, s.Err(), errTest, "the reason stays")
}

func shutdownSeveral(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	s := hub.Subscribe()
	require.NoError(t, hub.Publish(bg, 1))
	ctx, cancel := context.WithTimeout(bg, time.Second)
	defer cancel()
	var downs sync.WaitGroup
	for i := range 5 {
		downs.Go(func() {
			if i == 0 {
				if err := hub.Shutdown(ctx); err == nil {
					t.Error("Shutdown = nil, want the cause of its context")
				}
				return
			}
			if err := hub.Shutdown(bg); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
	time.Sleep(time.Minute)
	<-s.C()
	downs.Wait()
}
