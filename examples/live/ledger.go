package main

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gobroadcast/broadcast"
)

// subscriber is what a subscription to a hub, a reader of its ring and a
// subscription to a coalescing hub have in common.
type subscriber interface {
	Close()
	Err() error
	Stats() broadcast.SubscriptionStats
}

// consumer is one subscriber of a hub with its own count of what it got, to be
// held against the hub's.
type consumer struct {
	name     string
	browser  bool
	end      subscriber    // its end of the hub
	received atomic.Uint64 // taken from there
	unsent   atomic.Uint64 // of these: in a write to the browser that failed
}

// account is how one consumer's numbers stand, or the sum of several.
type account struct {
	offered, received, dropped, filtered, coalesced, left uint64

	unsent uint64
	wrong  int // consumers whose numbers did not add up
}

func (c *consumer) account() account {
	st := c.end.Stats()
	a := account{
		offered:   st.Offered,
		received:  c.received.Load(),
		dropped:   st.Dropped,
		filtered:  st.Filtered,
		coalesced: st.Coalesced,
		left:      uint64(st.Len),
		unsent:    c.unsent.Load(),
	}
	if a.received != st.Received || a.offered != a.received+a.dropped+a.filtered+a.coalesced+a.left {
		a.wrong = 1
	}
	return a
}

func (a *account) add(b account) {
	a.offered += b.offered
	a.received += b.received
	a.dropped += b.dropped
	a.filtered += b.filtered
	a.coalesced += b.coalesced
	a.left += b.left
	a.unsent += b.unsent
	a.wrong += b.wrong
}

// maxLeft is how many consumers that have left are remembered one by one.
const maxLeft = 50

// ledger knows every consumer of one hub that ever was, in bounded memory.
type ledger struct {
	mu       sync.Mutex // guards all below
	live     []*consumer
	left     []*consumer // the latest maxLeft, oldest first
	earlier  account     // the sum of those before
	nEarlier int
}

// join enters a consumer that has just subscribed.
func (l *ledger) join(name string, browser bool, end subscriber) *consumer {
	c := &consumer{name: name, browser: browser, end: end}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live = append(l.live, c)
	return c
}

// leave ends the consumer's subscription. Its account is not taken now: an
// event may be in flight to it, which the hub has still to count. When 50
// others have left after it, or at the end, that is long over.
func (l *ledger) leave(c *consumer) {
	c.end.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live = slices.DeleteFunc(l.live, func(o *consumer) bool { return o == c })
	l.left = append(l.left, c)
	if len(l.left) > maxLeft {
		l.earlier.add(l.left[0].account())
		l.nEarlier++
		l.left = slices.Delete(l.left, 0, 1)
	}
}

// browsers returns how many browsers are connected.
func (l *ledger) browsers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, c := range l.live {
		if c.browser {
			n++
		}
	}
	return n
}

// received returns what all consumers that ever were have counted.
func (l *ledger) received() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.earlier.received
	for _, c := range slices.Concat(l.live, l.left) {
		n += c.received.Load()
	}
	return n
}

// all returns the remembered consumers in the order in which they came, and
// what is known of those before.
func (l *ledger) all() (known []*consumer, earlier account, nEarlier int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known = slices.Concat(l.live, l.left)
	slices.SortFunc(known, func(a, b *consumer) int { return cmp.Compare(a.end.Stats().ID, b.end.Stats().ID) })
	return known, l.earlier, l.nEarlier
}
