package broadcast_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// told records what the hooks are told, as text.
type told struct {
	mu     sync.Mutex
	lines  []string
	inside atomic.Int32
}

func (o *told) add(format string, args ...any) {
	if o.inside.Add(1) != 1 {
		panic("two hooks at a time")
	}
	runtime.Gosched()
	o.mu.Lock()
	o.lines = append(o.lines, fmt.Sprintf(format, args...))
	o.mu.Unlock()
	o.inside.Add(-1)
}

func (o *told) take() []string {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	lines := o.lines
	o.lines = nil
	return lines
}

func (o *told) options() []broadcast.Option {
	return []broadcast.Option{
		broadcast.WithInterest(func(active bool) { o.add("%v", active) }),
		broadcast.WithOnEject(func(s broadcast.SubscriptionStats) { o.add("eject %d", s.ID) }),
	}
}

func TestFinePrint_Hooks(t *testing.T) {
	bubble(t, "interest begins and ends", interestEdges)
	bubble(t, "interest ends by every way of leaving", interestEnds)
	bubble(t, "never conflated", interestNotConflated)
	bubble(t, "nothing to tell", interestNothing)
	bubble(t, "alternate whatever races", interestAlternates)
	bubble(t, "an eject is told between the edges", ejectInOrder)
	bubble(t, "an eject has the final counts", ejectStats)
	bubble(t, "a hook that hangs has 1,024 ejects waiting", ejectsBounded)
	bubble(t, "Goexit in a hook", hookGoexit)
	bubble(t, "not on the caller's stack", hookNotOnCaller)
	bubble(t, "Shutdown waits", hookAndShutdown)
	bubble(t, "only one of the hooks", oneHook)
}

func interestEdges(t *testing.T) {
	var o told
	hub := newHub[int](t, 1, broadcast.Block, o.options()...)
	require.Empty(t, o.take())
	one := hub.Subscribe()
	require.Equal(t, []string{"true"}, o.take())
	two := hub.Subscribe()
	one.Close()
	require.Empty(t, o.take())
	two.Close()
	two.Close()
	require.Equal(t, []string{"false"}, o.take())
	hub.Subscribe()
	hub.Subscribe()
	hub.Close()
	hub.Close()
	require.Equal(t, []string{"true", "false"}, o.take())
	hub.Subscribe()
	require.Empty(t, o.take())
}

func interestEnds(t *testing.T) {
	var o told
	hub := newHub[int](t, 1, broadcast.Eject, o.options()...)
	ctx, cancel := context.WithCancel(bg)
	hub.Subscribe(broadcast.WithContext(ctx))
	cancel()
	require.Equal(t, []string{"true", "false"}, o.take())
	hub.Subscribe()
	hub.Subscribe(broadcast.WithFilter(func(int) bool { return true }))
	require.NoError(t, hub.Publish(bg, 1))
	require.Equal(t, []string{"true"}, o.take())
	require.NoError(t, hub.Publish(bg, 2))
	require.Equal(t, []string{"eject 2", "eject 3", "false"}, o.take())
}

// Each change arrives, though the hook was busy with the first.
func interestNotConflated(t *testing.T) {
	var o told
	resume := make(chan struct{})
	hub := newHub[int](t, 1, broadcast.Block, broadcast.WithInterest(func(active bool) {
		<-resume
		o.add("%v", active)
	}))
	var want []string
	for range 100 {
		hub.Subscribe().Close()
		want = append(want, "true", "false")
	}
	hub.Subscribe()
	want = append(want, "true")
	require.Empty(t, o.take())
	close(resume)
	require.Equal(t, want, o.take())
}

func interestNothing(t *testing.T) {
	var o told
	hub := newHub[int](t, 1, broadcast.Block, o.options()...)
	ctx, cancel := context.WithCancel(bg)
	cancel()
	hub.Subscribe(broadcast.WithContext(ctx))
	require.NoError(t, hub.Publish(bg, 1))
	hub.Close()
	require.Empty(t, o.take())
}

func interestAlternates(t *testing.T) {
	var o told
	hub := newHub[int](t, 1, broadcast.Eject, o.options()[0])
	var churn sync.WaitGroup
	for range 8 {
		churn.Go(func() {
			for i := range 100 {
				s := hub.Subscribe()
				_ = hub.Publish(bg, i)
				_ = hub.Publish(bg, i)
				s.Close()
			}
		})
	}
	churn.Wait()
	lines := o.take()
	require.Zero(t, len(lines)%2)
	require.NotEmpty(t, lines)
	for i, line := range lines {
		require.Equal(t, fmt.Sprint(i%2 == 0), line, "edge %d", i)
	}
}

// Behind the edge before it and before the edge after it, also where the hook
// lags behind.
func ejectInOrder(t *testing.T) {
	var o told
	resume := make(chan struct{})
	hub := newHub[int](t, 0, broadcast.Eject,
		broadcast.WithInterest(func(active bool) { <-resume; o.add("%v", active) }), o.options()[1])
	for e := range 3 {
		hub.Subscribe()
		require.NoError(t, hub.Publish(bg, e))
	}
	s := hub.Subscribe()
	hub.Subscribe(broadcast.WithPolicy(broadcast.DropNewest)).Close()
	require.NoError(t, hub.Publish(bg, 9))
	require.Equal(t, broadcast.ErrEjected, s.Err())
	close(resume)
	require.Equal(t, []string{
		"true", "eject 1", "false", "true", "eject 2", "false", "true", "eject 3", "false", "true", "eject 4", "false",
	}, o.take())
}

func ejectStats(t *testing.T) {
	var got []broadcast.SubscriptionStats
	hub := newHub[int](t, 2, broadcast.Eject, broadcast.WithOnEject(func(s broadcast.SubscriptionStats) { got = append(got, s) }))
	s := hub.Subscribe(broadcast.WithName("name"), broadcast.WithFilter(func(e int) bool { return e > 0 }))
	for _, e := range []int{0, 1, 2} {
		require.NoError(t, hub.Publish(bg, e))
	}
	<-s.C()
	require.NoError(t, hub.Publish(bg, 3))
	require.NoError(t, hub.Publish(bg, 4))
	synctest.Wait()
	want := broadcast.SubscriptionStats{ID: 1, Name: "name", Len: 2, Cap: 2, Offered: 5, Received: 1, Dropped: 1, Filtered: 1}
	require.Equal(t, []broadcast.SubscriptionStats{want}, got)
	require.Equal(t, want, s.Stats())
}

func ejectsBounded(t *testing.T) {
	var got []uint64
	resume := make(chan struct{})
	hub := newHub[int](t, 0, broadcast.Eject, broadcast.WithOnEject(func(s broadcast.SubscriptionStats) {
		<-resume
		got = append(got, s.ID)
	}))
	hub.Subscribe()
	require.NoError(t, hub.Publish(bg, 0))
	synctest.Wait() // the hook hangs with the first
	const n = 3000
	for i := 2; i <= n; i++ {
		hub.Subscribe()
	}
	require.NoError(t, hub.Publish(bg, 0))
	close(resume)
	synctest.Wait()
	require.Len(t, got, 1+1024)
	require.EqualValues(t, n, hub.Stats().Ejected)
	hub.Subscribe()
	require.NoError(t, hub.Publish(bg, 0))
	synctest.Wait()
	require.EqualValues(t, n+1, got[len(got)-1], "when there is room, ejects are told again")
}

// As t.FailNow in a hook of a test: the others are told all the same.
func hookGoexit(t *testing.T) {
	var o told
	hub := newHub[int](t, 1, broadcast.Block, broadcast.WithInterest(func(active bool) {
		o.add("%v", active)
		runtime.Goexit()
	}))
	for range 3 {
		hub.Subscribe().Close()
	}
	require.Equal(t, []string{"true", "false", "true", "false", "true", "false"}, o.take())
	require.NoError(t, hub.Shutdown(bg))
}

func hookNotOnCaller(t *testing.T) {
	resume := make(chan struct{})
	hub := newHub[int](t, 0, broadcast.Eject,
		broadcast.WithInterest(func(bool) { <-resume }), broadcast.WithOnEject(func(broadcast.SubscriptionStats) { <-resume }))
	// On this stack a hook would deadlock the bubble.
	hub.Subscribe().Close()
	hub.Subscribe()
	require.NoError(t, hub.Publish(bg, 1))
	hub.Subscribe()
	hub.Close()
	close(resume)
}

func hookAndShutdown(t *testing.T) {
	var o told
	hub := newHub[int](t, 0, broadcast.Eject,
		broadcast.WithInterest(func(active bool) { time.Sleep(time.Second); o.add("%v", active) }),
		broadcast.WithOnEject(func(s broadcast.SubscriptionStats) { time.Sleep(time.Second); o.add("eject %d", s.ID) }))
	hub.Subscribe()
	require.NoError(t, hub.Publish(bg, 1))
	hub.Subscribe()
	require.NoError(t, hub.Shutdown(bg))
	require.Equal(t, []string{"true", "eject 1", "false", "true", "false"}, o.lines)
}

func oneHook(t *testing.T) {
	for _, only := range []int{0, 1} {
		var o told
		hub := newHub[int](t, 0, broadcast.Eject, o.options()[only])
		hub.Subscribe()
		require.NoError(t, hub.Publish(bg, 1))
		require.Equal(t, [][]string{{"true", "false"}, {"eject 1"}}[only], o.take())
	}
}
