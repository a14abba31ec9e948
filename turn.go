package broadcast

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// handOver is how long a publisher may wait for its turn before the turn is
// handed to it; until then one that is running may take it first, as with
// sync.Mutex, whose limit this is too. Handing it over always makes a convoy:
// once publishers wait, each publish waits for a goroutine to be woken.
// BenchmarkPairPublishers, 8 publishers and 1 subscription: 10 times the plain
// loop with 0, 1.5 times with this.
const handOver = time.Millisecond

// turn orders the publishers of a hub: one at a time has it. Whoever holds mu
// while busy is not set has the turn. A publisher that must leave mu in the
// middle of its publish sets busy; nobody else has the turn until it gives it
// back. Publishers that find it taken wait in a queue which their context can
// leave.
//
// While anyone waits, the turn is taken, or the first of them is on its way:
// so whoever gives the turn back calls the next one.
type turn struct {
	mu     sync.Mutex
	busy   bool      // the turn is taken, or handed to one who waited; guarded by mu
	wait   list.List // of *waiting; guarded by mu
	coming *waiting  // was called and has not looked yet; guarded by mu
	closed bool      // all were dismissed, for good; guarded by mu
}

// waiting is a publisher that waits for its turn.
type waiting struct {
	since     time.Time
	called    chan struct{} // one token: look at the turn
	handed    bool          // the turn is its own; guarded by turn.mu
	dismissed bool          // the hub closed; guarded by turn.mu
}

// contended tells whether giving the turn back takes more than letting mu go.
func (t *turn) contended() bool { return t.busy || t.wait.Len() > 0 }

// await waits for the turn if somebody else has it. mu must be held; it is held
// again on return. False means that ctx ended or that all were dismissed.
func (t *turn) await(ctx context.Context) bool {
	t.mu.Unlock()
	done := ctx.Done() // a context of the user's own may do anything here: nobody depends on this publisher yet
	t.mu.Lock()
	switch {
	case t.closed:
		return false
	case !t.busy:
		return true
	}
	w := &waiting{since: time.Now(), called: make(chan struct{}, 1)}
	place := t.wait.PushBack(w)
	for {
		t.mu.Unlock()
		select {
		case <-w.called:
		case <-done:
		}
		t.mu.Lock()
		ended := isDone(done) // looked at again: both may be ready, and a context that has ended wins
		switch {
		case w.dismissed:
			return false
		case w.handed && ended:
			t.passLocked()
			return false
		case w.handed:
			return true
		case t.coming != w: // ctx ended before it was called
			t.wait.Remove(place)
			return false
		}
		t.coming = nil
		switch {
		case ended:
			t.callLocked()
			return false
		case !t.busy:
			return true
		}
		place = t.wait.PushFront(w)
	}
}

func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// passLocked gives the turn back.
func (t *turn) passLocked() {
	t.busy = false
	t.callLocked()
}

// callLocked calls the first of those who wait, unless somebody has the turn,
// who will do so, or one that was called is on its way.
func (t *turn) callLocked() {
	if t.busy || t.coming != nil || t.wait.Len() == 0 {
		return
	}
	w := t.wait.Remove(t.wait.Front()).(*waiting)
	if time.Since(w.since) < handOver {
		t.coming = w
	} else {
		t.busy, w.handed = true, true
	}
	w.called <- struct{}{} // has room: it is empty whenever w is in the queue
}

// dismissLocked sends everyone away without the turn, for good; also one that is
// on its way and may find the turn taken.
func (t *turn) dismissLocked() {
	t.closed = true
	if t.coming != nil {
		t.coming.dismissed = true
		t.coming = nil
	}
	for t.wait.Len() > 0 {
		w := t.wait.Remove(t.wait.Front()).(*waiting)
		w.dismissed = true
		w.called <- struct{}{}
	}
}
