package broadcast_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

func TestLaw8_CalmCallbacks(t *testing.T) {
	for _, where := range []string{"filter", "policy", "policy of BlockFor"} {
		for _, others := range []string{"free", "waited for"} {
			bubble(t, fmt.Sprintf("anything but publish in a %s/others=%s", where, others), func(t *testing.T) {
				anythingInside(t, where, others == "waited for")
			})
		}
	}
	bubble(t, "anything in a hook", anythingInHook)
	bubble(t, "a hook that hangs holds up nobody", hangingHook)
	bubble(t, "a filter is asked once for an event", askedOnce)
	bubble(t, "one at a time", callbacksOneAtATime)
	bubble(t, "a policy is asked only when full", askedOnlyWhenFull)
}

// anythingInside calls every method that a filter or policy may call.
func anythingInside(t *testing.T, where string, wait bool) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	calls := 0
	inside := func() {
		calls++
		a.subscribe(broadcast.Block, 5, broadcast.WithName(fmt.Sprint("inside ", calls)))
		ctx, cancel := context.WithCancel(bg)
		gone := a.subscribe(broadcast.Block, 1, broadcast.WithContext(ctx))
		cancel()
		gone.Close()
		_ = a.hub.Stats()
		for s := range a.hub.Subscriptions() {
			_ = s
		}
		_, _ = a.hub.Len(), a.hub.Epoch()
		for _, w := range a.all {
			_, _ = w.Err(), w.Stats()
		}
	}
	ask := broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { inside(); return broadcast.DropOldest })
	switch where {
	case "filter":
		a.subscribe(broadcast.DropOldest, 1, broadcast.WithFilter(func(int) bool { inside(); return true }))
	case "policy":
		a.subscribe(ask, 1)
	case "policy of BlockFor":
		a.subscribe(broadcast.BlockFor(1, ask), 1)
	}
	full := a.subscribe(broadcast.Block, 1)
	require.NoError(t, a.publish(bg, 1))
	if !wait {
		full.take(1)
	}
	p := async(func() error { return a.publish(bg, 2) })
	time.Sleep(time.Nanosecond) // for BlockFor
	if wait {
		p.requireBlocked(t, "publish to a full subscription")
		full.take(1)
	}
	require.NoError(t, p.returned(t, "publish with room"))
	synctest.Wait()
	require.NotZero(t, calls)
	checkLaws(t, a)
	full.drain()
	require.NoError(t, a.publish(bg, 3))
	checkLaws(t, a)
}

func anythingInHook(t *testing.T) {
	var hub *broadcast.Hub[int]
	var told []bool
	ready, rounds := make(chan struct{}), 0
	act := func() {
		<-ready
		if rounds++; rounds > 3 {
			return
		}
		s := hub.Subscribe(broadcast.WithBuffer(1), broadcast.WithPolicy(broadcast.Eject))
		for i := range 3 {
			if err := hub.Publish(bg, i); err != nil {
				t.Errorf("Publish: %v", err)
			}
		}
		if _, err := hub.PublishBatch(bg, []int{1, 2}); err != nil {
			t.Errorf("PublishBatch: %v", err)
		}
		s.Close()
		_, _ = hub.Len(), hub.Stats()
		for range hub.Subscriptions() {
			continue
		}
	}
	hub = newHub[int](t, 1, broadcast.Eject,
		broadcast.WithInterest(func(active bool) { told = append(told, active); act() }),
		broadcast.WithOnEject(func(broadcast.SubscriptionStats) { act() }))
	close(ready)
	hub.Subscribe()
	synctest.Wait()
	require.Greater(t, rounds, 3)
	require.NoError(t, hub.Shutdown(bg))
	for i, active := range told {
		require.Equal(t, i%2 == 0, active)
	}

	// Close from a hook is the end of it all.
	hub = newHub[int](t, 1, broadcast.Block, broadcast.WithInterest(func(bool) { hub.Close() }))
	s := hub.Subscribe()
	for range s.C() {
		t.Error("got an event")
	}
	require.Equal(t, broadcast.ErrClosed, s.Err())
}

func hangingHook(t *testing.T) {
	resume := make(chan struct{})
	hub := newHub[int](t, 1, broadcast.Eject,
		broadcast.WithInterest(func(bool) { <-resume }),
		broadcast.WithOnEject(func(broadcast.SubscriptionStats) { <-resume }))
	a := newAudit(hub)
	for i := range 20 {
		w := a.subscribe(broadcast.Eject, 1)
		require.NoError(t, a.publish(bg, 2*i, 2*i+1))
		require.Equal(t, broadcast.ErrEjected, w.Err())
		a.subscribe(broadcast.Block, 1).Close()
	}
	checkLaws(t, a)
	hub.Close()
	close(resume)
	require.NoError(t, hub.Shutdown(bg), "it waits for the hooks only")
}

func askedOnce(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	asked := map[int]int{}
	full := a.subscribe(broadcast.Block, 1, broadcast.WithFilter(func(e int) bool { asked[e]++; return true }))
	require.NoError(t, a.publish(bg, 1))
	p := async(func() error { return a.publish(bg, 2, 3) })
	p.requireBlocked(t, "publish to a full subscription")
	full.take(1)
	p.requireBlocked(t, "publish to a full subscription")
	full.take(1)
	require.NoError(t, p.returned(t, "publish with room"))
	require.Equal(t, map[int]int{1: 1, 2: 1, 3: 1}, asked)
	checkLaws(t, a)
}

// Filters and policies need no lock of their own, whoever publishes.
func callbacksOneAtATime(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	inside, most, calls := 0, 0, 0 // without a lock: the race detector looks on
	enter := func() {
		inside++
		calls++
		most = max(most, inside)
		runtime.Gosched()
		inside--
	}
	for range 3 {
		hub.Subscribe(broadcast.WithFilter(func(int) bool { enter(); return false }))
		hub.Subscribe(broadcast.WithPolicy(broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { enter(); return broadcast.DropOldest })))
	}
	var publishers sync.WaitGroup
	for p := range 8 {
		publishers.Go(func() {
			for i := range 20 {
				if err := hub.Publish(bg, p*100+i); err != nil {
					t.Errorf("Publish: %v", err)
				}
			}
		})
	}
	publishers.Wait()
	require.Equal(t, 1, most)
	require.Equal(t, 8*20*3+(8*20-1)*3, calls)
}

func askedOnlyWhenFull(t *testing.T) {
	a := newAudit(newHub[int](t, 2, broadcast.Block))
	asked := 0
	w := a.subscribe(broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { asked++; return broadcast.DropNewest }), 2)
	require.NoError(t, a.publish(bg, 1, 2))
	require.Zero(t, asked)
	require.NoError(t, a.publish(bg, 3))
	require.Equal(t, 1, asked)
	w.take(1)
	require.NoError(t, a.publish(bg, 4))
	require.Equal(t, 1, asked)
	checkLaws(t, a)
}
