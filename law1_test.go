package broadcast_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

func TestLaw1_OneTimeline(t *testing.T) {
	bubble(t, "concurrent publishers", concurrentPublishers)
	bubble(t, "a publish that starts after another returned", publishersInTurns)
	bubble(t, "those who wait in line", publishersInLine)
	bubble(t, "a batch is not torn", batchIsOnePiece)
	bubble(t, "publish happens before receive", publishHappensBefore)
	bubble(t, "subscribe before publish", subscribeBeforePublish)
	bubble(t, "subscribe during a blocked publish", subscribeDuringPublish)
}

// Everyone sees what several publishers publish at once in one order, whatever
// the buffers, also those who had to be waited for.
func concurrentPublishers(t *testing.T) {
	const publishers, each = 4, 100
	hub := newHub[[2]int](t, 0, broadcast.Block)
	a := newAudit(hub)
	a.receiving = true
	a.refer(publishers * each)
	var consumers, writers sync.WaitGroup
	for _, buffer := range []int{0, 1, 3, 64} {
		w := a.subscribe(broadcast.Block, buffer)
		f := a.filtered(broadcast.Block, buffer, func(e [2]int) bool { return e[1]%3 == 0 })
		d := a.subscribe(broadcast.DropOldest, buffer)
		consumers.Go(w.consume)
		consumers.Go(f.consume)
		consumers.Go(d.consume)
	}
	for p := range publishers {
		writers.Go(func() {
			for i := range each {
				if err := hub.Publish(bg, [2]int{p, i}); err != nil {
					t.Errorf("Publish: %v", err)
				}
			}
		})
	}
	writers.Wait()
	synctest.Wait()
	checkLaws(t, a)
	hub.Close()
	consumers.Wait()
	checkLaws(t, a)
	require.Len(t, a.timeline, publishers*each)
	next := [publishers]int{}
	for _, e := range a.timeline {
		require.Equal(t, next[e[0]], e[1], "publisher %d: its own order", e[0])
		next[e[0]]++
	}
}

func publishersInTurns(t *testing.T) {
	const rounds = 50
	hub := newHub[int](t, 2*rounds, broadcast.Block)
	a := newAudit(hub)
	w := a.subscribe(broadcast.Block, 2*rounds)
	ping, pong := make(chan int), make(chan int)
	go func() {
		for i := range ping {
			if err := hub.Publish(bg, i+1); err != nil {
				t.Errorf("Publish: %v", err)
			}
			pong <- i
		}
	}()
	for i := range rounds {
		require.NoError(t, hub.Publish(bg, 2*i))
		ping <- 2 * i
		<-pong
	}
	close(ping)
	a.timeline = span(0, 2*rounds-1)
	require.Equal(t, a.timeline, w.drain())
	checkLaws(t, a)
}

// The turn goes to those who wait for it in the order in which they came.
func publishersInLine(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	a := newAudit(hub)
	a.refer(10)
	w := a.subscribe(broadcast.Block, 1)
	require.NoError(t, hub.Publish(bg, 0))
	var line []running[error]
	for i := 1; i <= 5; i++ {
		p := async(func() error { return hub.Publish(bg, i) })
		p.requireBlocked(t, fmt.Sprintf("publish %d with the buffer full", i))
		line = append(line, p)
	}
	for i, p := range line {
		require.EqualValues(t, i+1, hub.Stats().Blocked, "only who has the turn waits for room")
		w.take(1)
		require.NoError(t, p.returned(t, "publish with room"))
	}
	w.take(1)
	require.Equal(t, span(0, 5), w.got)
	checkLaws(t, a)
}

func batchIsOnePiece(t *testing.T) {
	const publishers, batches, size = 3, 20, 5
	hub := newHub[int](t, 1, broadcast.Block)
	a := newAudit(hub)
	a.refer(publishers * batches * size)
	var consumers, writers sync.WaitGroup
	consumers.Go(a.subscribe(broadcast.Block, 1).consume)
	consumers.Go(a.filtered(broadcast.Block, 2, func(e int) bool { return e%2 == 0 }).consume)
	for p := range publishers {
		writers.Go(func() {
			for b := range batches {
				first := (p*batches + b) * size
				n, err := hub.PublishBatch(bg, span(first, first+size-1))
				if n != size || err != nil {
					t.Errorf("PublishBatch = %d, %v, want %d, nil", n, err, size)
				}
			}
		})
	}
	writers.Wait()
	hub.Close()
	consumers.Wait()
	checkLaws(t, a)
	for i := 0; i < len(a.timeline); i += size {
		require.Equal(t, span(a.timeline[i], a.timeline[i]+size-1), a.timeline[i:i+size])
	}
}

// The race detector proves it: the publisher writes what the consumer reads.
func publishHappensBefore(t *testing.T) {
	for _, buffer := range []int{0, 1, 4} {
		hub := newHub[*int](t, buffer, broadcast.Block)
		plain := hub.Subscribe()
		filtered := hub.Subscribe(broadcast.WithFilter(func(p *int) bool { return *p >= 0 }))
		newest := hub.Subscribe(broadcast.WithPolicy(broadcast.DropOldest), broadcast.WithBuffer(1))
		var sums sync.WaitGroup
		for _, s := range []*broadcast.Subscription[*int]{plain, filtered, newest} {
			sums.Go(func() {
				last := -1
				for p := range s.C() {
					if *p <= last {
						t.Errorf("read %d after %d", *p, last)
					}
					last = *p
				}
			})
		}
		for i := range 20 {
			p := new(int)
			*p = i
			require.NoError(t, hub.Publish(bg, p))
		}
		hub.Close()
		sums.Wait()
	}
}

func subscribeBeforePublish(t *testing.T) {
	const subs = 20
	hub := newHub[int](t, subs, broadcast.Block)
	a := newAudit(hub)
	for i := range subs {
		joined := make(chan struct{})
		go func() {
			a.subscribe(broadcast.Block, subs)
			close(joined)
		}()
		<-joined
		require.NoError(t, a.publish(bg, i))
	}
	hub.Close()
	for i, w := range a.all {
		require.Equal(t, span(i, subs-1), w.drain(), "the subscription made before event %d", i)
	}
	checkLaws(t, a)
}

// Who joins while an event is in flight is not waited for, does not get that
// event, and is not charged with it.
func subscribeDuringPublish(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	a := newAudit(hub)
	full := a.subscribe(broadcast.Block, 1)
	require.NoError(t, a.publish(bg, 1))
	p := async(func() error { return a.publish(bg, 2) })
	p.requireBlocked(t, "publish to a full subscription")
	late := a.subscribe(broadcast.Block, 1)
	require.Equal(t, 2, hub.Len())
	gone := a.subscribe(broadcast.Block, 1)
	gone.Close()
	require.Zero(t, late.Stats().Offered)
	full.take(2)
	require.NoError(t, p.returned(t, "publish with room"))
	checkLaws(t, a)
	require.NoError(t, a.publish(bg, 3))
	require.Equal(t, []int{3}, late.drain())
	require.Empty(t, gone.drain())
	full.drain()
	checkLaws(t, a)
	require.EqualValues(t, 1, late.Stats().Offered)
}
