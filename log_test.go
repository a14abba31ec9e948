package broadcast_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

func TestWithLogger(t *testing.T) {
	bubble(t, "nothing lost, nothing logged", logNothing)
	bubble(t, "one line a second", logOneLineASecond)
	bubble(t, "the greatest loss has the line", logGreatest)
	bubble(t, "the lines add up", logAddsUp)
	bubble(t, "more subscribers than names", logManyNames)
	bubble(t, "an eject", logEject)
	bubble(t, "a publish blocked for over a second", logBlocked)
	bubble(t, "with BlockFor", logBlockedFor)
	bubble(t, "canceled and closed", logCanceledAndClosed)
	bubble(t, "a logger that publishes to the same hub", logPublishes)
	bubble(t, "a logger that hangs holds up nobody", logHangs)
	bubble(t, "the goroutine ends", logGoroutineEnds)
	bubble(t, "Close flushes", logFlushedByClose)
	bubble(t, "Shutdown waits for consumers and warns", logShutdown)
	bubble(t, "Shutdown waits for the logger", logHangsInShutdown)
	bubble(t, "a Shutdown that gives up has all logged at once", logShutdownGivesUp)
}

func logNothing(t *testing.T) {
	l := newLogbook()
	hub := newHub[int](t, 1, broadcast.Block, l.option())
	s := hub.Subscribe()
	hub.Subscribe(broadcast.WithFilter(func(int) bool { return false }))
	require.NoError(t, hub.Publish(bg, 1))
	p := async(func() error { return hub.Publish(bg, 2) })
	time.Sleep(time.Second - 1)
	<-s.C()
	require.NoError(t, p.returned(t, "publish with room"))
	time.Sleep(time.Hour)
	hub.Close()
	require.Empty(t, l.take())
}

// A loss at every 10 ms for 2.5 seconds.
func logOneLineASecond(t *testing.T) {
	l := newLogbook()
	hub := newHub[int](t, 1, broadcast.DropNewest, l.option())
	hub.Subscribe(broadcast.WithName("slow"))
	for i := range 251 {
		require.NoError(t, hub.Publish(bg, i))
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(5 * time.Second)
	lines := l.take()
	require.Len(t, lines, 4, "%q", lines)
	require.Equal(t, `10ms events dropped subscriber=slow dropped=1`, lines[0])
	var last time.Duration
	for i, line := range l.lines {
		if i > 0 {
			require.Equal(t, time.Second, line.at-last)
		}
		last = line.at
	}
	require.EqualValues(t, 250, l.sum("events dropped", "dropped"))
	require.NoError(t, hub.Publish(bg, 0))
	require.Equal(t, `7.51s events dropped subscriber=slow dropped=1`, l.take()[4], "after a pause at once")
}

func logGreatest(t *testing.T) {
	l := newLogbook()
	hub := newHub[int](t, 1, broadcast.DropOldest, l.option())
	for i := range 5 {
		hub.Subscribe(broadcast.WithBuffer((i+2)%5), broadcast.WithPolicy(everyAction()[1+i%2]))
	}
	require.NoError(t, hub.Publish(bg, 0)) // #4, with no buffer, loses
	synctest.Wait()
	for i := range 4 {
		require.NoError(t, hub.Publish(bg, i))
	}
	time.Sleep(time.Minute)
	require.Equal(t, []string{
		"0s events dropped subscriber=#4 dropped=1",
		"1s events dropped subscriber=#4 dropped=4 suppressed=10",
	}, l.take())
	require.EqualValues(t, 15, hub.Stats().Dropped)
}

// Many lose by all ways there are, at all times; lines and suppressed losses are
// all of them.
func logAddsUp(t *testing.T) {
	l := newLogbook()
	hub := newHub[int](t, 1, broadcast.DropOldest, l.option())
	for i := range 400 {
		p := []broadcast.Policy{
			broadcast.DropNewest, broadcast.DropOldest, broadcast.Eject, broadcast.BlockFor(3*time.Millisecond, broadcast.DropNewest),
		}[i%4]
		s := hub.Subscribe(broadcast.WithPolicy(p), broadcast.WithBuffer(i%5))
		ctx, cancel := context.WithTimeout(bg, 2*time.Millisecond)
		_ = hub.Publish(ctx, i)
		cancel()
		time.Sleep(time.Duration(i%7) * time.Millisecond)
		if i%3 == 0 {
			s.Close()
		}
	}
	time.Sleep(3 * time.Second)
	s := hub.Stats()
	require.Equal(t, s.Dropped-s.DroppedBy.Ejected, l.sum("events dropped", "dropped"))
	require.Equal(t, s.Ejected, l.sum("subscriber ejected", ""))
	require.Positive(t, s.DroppedBy.Canceled)
	last := map[string]time.Duration{}
	for _, line := range l.lines {
		if before, ok := last[line.msg]; ok {
			require.GreaterOrEqual(t, line.at-before, time.Second, "two lines of %q", line.msg)
		}
		last[line.msg] = line.at
	}
}

func logManyNames(t *testing.T) {
	l := newLogbook()
	hub := newHub[int](t, 0, broadcast.DropNewest, l.option())
	const n = 3000
	for range n {
		hub.Subscribe()
	}
	for i := range 3 {
		require.NoError(t, hub.Publish(bg, i))
	}
	time.Sleep(3 * time.Second)
	l.take()
	require.EqualValues(t, 3*n, l.sum("events dropped", "dropped"))
}

func logEject(t *testing.T) {
	l := newLogbook()
	hub := newHub[int](t, 1, broadcast.Eject, l.option())
	hub.Subscribe(broadcast.WithName("one"))
	require.NoError(t, hub.Publish(bg, 1))
	require.NoError(t, hub.Publish(bg, 2))
	require.Equal(t, []string{`0s subscriber ejected subscriber=one dropped=1`}, l.take())
	for range 3 {
		hub.Subscribe()
	}
	require.NoError(t, hub.Publish(bg, 3))
	require.NoError(t, hub.Publish(bg, 4))
	time.Sleep(time.Minute)
	require.Equal(t, `1s subscriber ejected subscriber=#2 dropped=1 suppressed=2`, l.take()[1])
	require.Len(t, l.lines, 2, "the event of an eject has no line of its own")
}

// One line for each such publish, after a second, not at its end.
func logBlocked(t *testing.T) {
	for _, full := range []int{1, 3} {
		l := newLogbook()
		hub := newHub[int](t, 1, broadcast.Block, l.option())
		var subs []*broadcast.Subscription[int]
		for range full {
			subs = append(subs, hub.Subscribe(broadcast.WithName("stuck")))
		}
		require.NoError(t, hub.Publish(bg, 1))
		p := async(func() error { return hub.Publish(bg, 2) })
		time.Sleep(time.Second - 1)
		require.Empty(t, l.take())
		time.Sleep(time.Nanosecond)
		want := []string{`1s publish blocked for over a second subscriber=stuck blocked=1`}
		require.Equal(t, want, l.take())
		time.Sleep(time.Hour)
		require.Equal(t, want, l.take())
		p.requireBlocked(t, "publish to full subscriptions")
		for _, s := range subs {
			<-s.C()
		}
		require.NoError(t, p.returned(t, "publish with room"))
		p = async(func() error { return hub.Publish(bg, 3) })
		time.Sleep(time.Second)
		require.Len(t, l.take(), 2)
		hub.Close()
		require.Error(t, p.returned(t, "publish whose hub closed"))
	}
}

// The second counts from the start of all waits; the deadlines are kept beside.
func logBlockedFor(t *testing.T) {
	l := newLogbook()
	hub := newHub[int](t, 1, broadcast.Block, l.option())
	hub.Subscribe(broadcast.WithPolicy(broadcast.BlockFor(500*time.Millisecond, broadcast.DropNewest)))
	hub.Subscribe(broadcast.WithPolicy(broadcast.BlockFor(1700*time.Millisecond, broadcast.DropNewest)))
	require.NoError(t, hub.Publish(bg, 1))
	require.NoError(t, hub.Publish(bg, 2))
	require.Equal(t, 1700*time.Millisecond, time.Since(l.start))
	time.Sleep(time.Minute)
	require.Equal(t, []string{
		"500ms events dropped subscriber=#1 dropped=1",
		"1.5s publish blocked for over a second subscriber=#2 blocked=1", // it was noted at 1s
		"2.5s events dropped subscriber=#2 dropped=1",
	}, l.take())
}

func logCanceledAndClosed(t *testing.T) {
	l := newLogbook()
	hub := newHub[int](t, 1, broadcast.Block, l.option())
	s := hub.Subscribe()
	require.NoError(t, hub.Publish(bg, 1))
	ctx, cancel := context.WithTimeout(bg, time.Millisecond)
	defer cancel()
	require.Error(t, hub.Publish(ctx, 2))
	time.Sleep(time.Minute)
	p := async(func() error { return hub.Publish(bg, 3) })
	synctest.Wait()
	s.Close()
	require.NoError(t, p.returned(t, "publish"))
	time.Sleep(time.Minute)
	require.Equal(t, []string{
		"1ms events dropped subscriber=#1 dropped=1",
		"1m0.001s events dropped subscriber=#1 dropped=1",
	}, l.take())
}

// It loses its own events to the slow one, and that is logged, and so on, a
// line a second.
func logPublishes(t *testing.T) {
	l := newLogbook()
	hub := newHub[int](t, 1, broadcast.DropNewest, l.option())
	l.hook = func() {
		if time.Since(l.start) < 10*time.Second {
			_ = hub.Publish(bg, 7)
			_ = hub.Stats()
			hub.Subscribe().Close()
		}
	}
	hub.Subscribe()
	require.NoError(t, hub.Publish(bg, 1))
	require.NoError(t, hub.Publish(bg, 2))
	time.Sleep(time.Minute)
	require.Len(t, l.take(), 11)
	require.Equal(t, hub.Stats().Dropped, l.sum("events dropped", "dropped"))
}

func logHangs(t *testing.T) {
	l := newLogbook()
	resume := make(chan struct{})
	l.hook = func() { <-resume }
	hub := newHub[int](t, 1, broadcast.DropNewest, l.option())
	hub.Subscribe()
	for i := range 100 {
		require.NoError(t, hub.Publish(bg, i))
		time.Sleep(time.Second)
	}
	hub.Close()
	require.Len(t, l.take(), 1)
	close(resume)
}

// A second after the last loss nothing runs; the bubble of a hub that is not
// closed would be deadlocked otherwise.
func logGoroutineEnds(t *testing.T) {
	l := newLogbook()
	hub := broadcast.New[int](1, broadcast.DropNewest, l.option())
	hub.Subscribe()
	require.NoError(t, hub.Publish(bg, 1))
	require.NoError(t, hub.Publish(bg, 2))
	time.Sleep(time.Second)
	require.Len(t, l.take(), 1)
}

// What is not logged yet is logged at once when the hub closes, and then
// nothing runs.
func logFlushedByClose(t *testing.T) {
	l := newLogbook()
	hub := broadcast.New[int](1, broadcast.DropNewest, l.option())
	hub.Subscribe()
	for i := range 2 {
		require.NoError(t, hub.Publish(bg, i))
	}
	require.Len(t, l.take(), 1)
	for i := range 5 {
		require.NoError(t, hub.Publish(bg, i))
	}
	time.Sleep(100 * time.Millisecond)
	hub.Close()
	require.Equal(t, "100ms events dropped subscriber=#1 dropped=5", l.take()[1])
}

func logShutdown(t *testing.T) {
	l := newLogbook()
	hub := newHub[int](t, 2, broadcast.DropNewest, l.option())
	s := hub.Subscribe(broadcast.WithName("slow"))
	require.NoError(t, hub.Publish(bg, 1))
	require.NoError(t, hub.Publish(bg, 2))
	down := async(func() error { return hub.Shutdown(bg) })
	time.Sleep(time.Second)
	require.Empty(t, l.take())
	time.Sleep(time.Hour)
	lines := l.take()
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], `shutdown is slow holders=2 events are still buffered in 1 subscription(s) ("slow": 2)`)
	require.Less(t, l.lines[0].at, 1100*time.Millisecond)
	<-s.C()
	<-s.C()
	time.Sleep(time.Second)
	require.NoError(t, down.returned(t, "Shutdown"))
}

func logHangsInShutdown(t *testing.T) {
	l := newLogbook()
	resume := make(chan struct{})
	l.hook = func() { <-resume }
	hub := newHub[int](t, 0, broadcast.DropNewest, l.option())
	hub.Subscribe()
	require.NoError(t, hub.Publish(bg, 1))
	ctx, cancel := context.WithTimeoutCause(bg, time.Minute, errTest)
	defer cancel()
	err := hub.Shutdown(ctx)
	require.ErrorIs(t, err, errTest)
	require.ErrorContains(t, err, "the logger has not returned")
	close(resume)
	require.NoError(t, hub.Shutdown(bg))
	require.Equal(t, "0s events dropped subscriber=#1 dropped=1", l.take()[0])
}

// More goes wrong after the close than the lines that Close brings forward can
// take: the last is due a second later, and comes when Shutdown gives up.
func logShutdownGivesUp(t *testing.T) {
	l := newLogbook()
	hub := newHub[int](t, 8, broadcast.Block, l.option())
	handled, holding := hub.Subscribe(), hub.Subscribe()
	const panics = 5
	for i := range panics {
		require.NoError(t, hub.Publish(bg, i))
	}
	hub.Close()
	ctx, cancel := context.WithTimeout(bg, 100*time.Millisecond)
	defer cancel()
	h := async(func() error {
		return broadcast.Handle(bg, handled, func(context.Context, int) error {
			time.Sleep(time.Millisecond)
			panic("after the close")
		})
	})
	require.ErrorIs(t, hub.Shutdown(ctx), context.DeadlineExceeded)
	require.NoError(t, h.returned(t, "Handle of a closed hub"))
	synctest.Wait()
	require.Len(t, l.take(), 4, "the first, the two that Close brings forward, the rest")
	var logged uint64
	for _, line := range l.lines {
		logged += line.attrs["panics"].Uint64()
	}
	require.EqualValues(t, panics, logged)
	require.Equal(t, 100*time.Millisecond, l.lines[len(l.lines)-1].at)
	require.Len(t, holding.C(), panics)
}
