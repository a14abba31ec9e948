package broadcast_test

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// TestEdge are the cases at the edge that have no better place; the others are
// with the law that they belong to:
//
//	subscribe during publish                    TestLaw1_OneTimeline
//	closing the full one unblocks, hub closes,
//	context done with free buffer               TestLaw4_BlockEnds
//	close in a receive loop, twice at once      TestLaw5_CloseIsCalm
//	T with pointers                             TestLaw7_NoLeak
//	a million subscribe-and-close pairs         TestLaw9_Bounded
//	panic in filter and policy                  TestFinePrint_Panics
//	negative capacity, nil context              TestBadInput
func TestEdge(t *testing.T) {
	bubble(t, "publish with no subscribers", noSubscribers)
	bubble(t, "publish from a subscriber of the same hub", publishFromSubscriber)
	bubble(t, "zero-size T", func(t *testing.T) { anyType(t, struct{}{}) })
	bubble(t, "zero-size array T", func(t *testing.T) { anyType(t, [0]int{}) })
	bubble(t, "huge T", func(t *testing.T) { anyType(t, [60_000]byte{7: 7}) })
	bubble(t, "T with pointers", func(t *testing.T) { anyType(t, map[string]*int{"a": new(int)}) })
	bubble(t, "interface T", func(t *testing.T) { anyType[error](t, errTest) })
	bubble(t, "func T", func(t *testing.T) {
		hub := newHub[func() int](t, 1, broadcast.Block)
		s := hub.Subscribe()
		require.NoError(t, hub.Publish(bg, func() int { return 7 }))
		require.Equal(t, 7, (<-s.C())())
	})
	bubble(t, "capacity 0", capacityZero)
	bubble(t, "10,000 subscribers", tenThousand)
	bubble(t, "10,000 subscribers, all full", tenThousandFull)
}

func noSubscribers(t *testing.T) {
	a := newAudit(newHub[int](t, 0, broadcast.Block))
	require.NoError(t, a.publish(bg, 1, 2))
	n, err := a.batch(t, bg, 3, 4)
	require.Equal(t, 2, n)
	require.NoError(t, err)
	checkLaws(t, a)
	require.Equal(t, broadcast.Stats{Published: 4}, a.hub.Stats())
	require.Zero(t, a.hub.Len())
	w := a.subscribe(broadcast.Block, 1)
	require.NoError(t, a.publish(bg, 5))
	require.Equal(t, []int{5}, w.drain())
	checkLaws(t, a)
	a.hub.Close()
	require.Equal(t, broadcast.ErrClosed, a.publish(bg, 6))
}

// A subscriber answers every event below 10 with the next one.
func publishFromSubscriber(t *testing.T) {
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	a.refer(20)
	w := a.subscribe(broadcast.Block, 1)
	var loop sync.WaitGroup
	loop.Go(func() {
		for e := range w.C() {
			w.got = append(w.got, e)
			if e >= 10 {
				a.hub.Close()
				continue
			}
			if err := a.hub.Publish(bg, e+1); err != nil {
				t.Errorf("Publish: %v", err)
			}
		}
	})
	require.NoError(t, a.hub.Publish(bg, 1))
	loop.Wait()
	checkLaws(t, a)
	require.Equal(t, span(1, 10), w.got)
}

// anyType sends event down every path: with room, to one full, to two full.
func anyType[T any](t *testing.T, event T) {
	hub := newHub[T](t, 1, broadcast.Block)
	filtered := hub.Subscribe(broadcast.WithFilter(func(T) bool { return true }))
	oldest := hub.Subscribe(broadcast.WithPolicy(broadcast.DropOldest))
	for n := 1; n <= 2; n++ {
		full := hub.Subscribe()
		require.NoError(t, hub.Publish(bg, event))
		p := async(func() error { return hub.Publish(bg, event) })
		p.requireBlocked(t, "publish to full subscriptions")
		for _, s := range []*broadcast.Subscription[T]{filtered, full} {
			require.Equal(t, event, <-s.C())
			synctest.Wait()
			require.Equal(t, event, <-s.C())
		}
		require.NoError(t, p.returned(t, "publish with room"))
		require.Equal(t, event, <-oldest.C())
		full.Close()
	}
}

// A publish under Block hands over to each receiver, in any order, and is over
// when the last one has it.
func capacityZero(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		a := newAudit(newHub[int](t, 0, broadcast.Block))
		for range n {
			a.subscribe(broadcast.Block, 0)
		}
		p := async(func() error { return a.publish(bg, 1) })
		for _, w := range a.all {
			p.requireBlocked(t, "publish before all have received")
			w.take(1)
		}
		require.NoError(t, p.returned(t, "publish"))
		checkLaws(t, a)

		eject := a.subscribe(broadcast.Eject, 0)
		for _, w := range a.all[:n] {
			go w.take(1)
		}
		synctest.Wait()
		require.NoError(t, a.publish(bg, 2))
		synctest.Wait()
		require.Equal(t, broadcast.ErrEjected, eject.Err())
		checkLaws(t, a)
	}
}

func tenThousand(t *testing.T) {
	const n = 10_000
	a := newAudit(newHub[int](t, 2, broadcast.Block))
	for i := range n {
		a.subscribe(everyAction()[i%4], 2)
	}
	require.Equal(t, n, a.hub.Len())
	require.NoError(t, a.publish(bg, 1, 2))
	checkLaws(t, a)
	for i, w := range a.all {
		require.Equal(t, []int{1, 2}, w.drain())
		if i%2 == 0 {
			w.Close()
		}
	}
	require.NoError(t, a.publish(bg, 3))
	require.Equal(t, n/2, a.hub.Len())
	a.hub.Close()
	for i, w := range a.all {
		if i%2 == 1 {
			require.Equal(t, 3, w.take(1).got[2])
		}
	}
	checkLaws(t, a)
}

// Each policy finds all of its 2,500 full at once.
func tenThousandFull(t *testing.T) {
	const n = 10_000
	a := newAudit(newHub[int](t, 1, broadcast.Block))
	for i := range n {
		a.subscribe(everyAction()[i%4], 1)
	}
	require.NoError(t, a.publish(bg, 1))
	p := async(func() error { return a.publish(bg, 2) })
	p.requireBlocked(t, "publish to full subscriptions")
	require.Equal(t, n*3/4, a.hub.Len())
	for i := 0; i < n; i += 4 {
		a.all[i].take(1)
	}
	require.NoError(t, p.returned(t, "publish with room"))
	checkLaws(t, a)
	require.Equal(t, broadcast.DropReasons{Newest: n / 4, Oldest: n / 4, Ejected: n / 4}, a.hub.Stats().DroppedBy)
}
