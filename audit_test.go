package broadcast_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/broadcasttest"
)

// audit knows a hub from outside: every subscription that was made through it
// with what its consumer really got, and what was published in which order.
// Events must be unique. checkLaws compares that with what the hub says.
type audit[T comparable] struct {
	hub *broadcast.Hub[T]

	// timeline is what was published, in order. With a reference, which must never
	// be full, it is what that one got; otherwise publish and the test append.
	timeline  []T
	reference *witness[T]

	// canceling tells that contexts of publishers may end while they wait, so
	// that subscriptions with Block may lose events too.
	canceling bool

	// receiving tells that consumers receive while others publish. DropOldest may
	// then take out an event just as the consumer makes room, and keeps only the
	// newest one for sure.
	receiving bool

	mu   sync.Mutex
	all  []*witness[T]
	last broadcast.Stats // at the check before
}

// witness is a subscription with the consumer's own account of it.
type witness[T comparable] struct {
	*broadcast.Subscription[T]
	policy broadcast.Policy
	keep   func(T) bool // nil: all

	// It joined behind an event between these numbers, which are equal if nobody
	// published meanwhile.
	joinedFrom, joinedTo uint64

	got []T // what its consumer took, in order
}

func newAudit[T comparable](hub *broadcast.Hub[T]) *audit[T] { return &audit[T]{hub: hub} }

// refer adds the reference, for tests with several publishers.
func (a *audit[T]) refer(room int) {
	a.reference = a.subscribe(broadcast.Block, room)
}

// subscribe adds a subscription to the hub and to the audit.
func (a *audit[T]) subscribe(p broadcast.Policy, buffer int, opts ...broadcast.SubscribeOption) *witness[T] {
	w := &witness[T]{policy: p}
	w.joinedFrom = a.hub.Stats().Published
	opts = append([]broadcast.SubscribeOption{broadcast.WithPolicy(p), broadcast.WithBuffer(buffer)}, opts...)
	w.Subscription = a.hub.Subscribe(opts...)
	w.joinedTo = a.hub.Stats().Published
	a.mu.Lock()
	a.all = append(a.all, w)
	a.mu.Unlock()
	return w
}

// filtered is subscribe with a filter. checkLaws asks keep again, so it must
// have no effects.
func (a *audit[T]) filtered(p broadcast.Policy, buffer int, keep func(T) bool, opts ...broadcast.SubscribeOption) *witness[T] {
	w := a.subscribe(p, buffer, append(opts, broadcast.WithFilter(keep))...)
	w.keep = keep
	return w
}

// publish publishes and keeps the timeline, for tests with one publisher.
func (a *audit[T]) publish(ctx context.Context, events ...T) error {
	for _, e := range events {
		err := a.hub.Publish(ctx, e)
		if err == nil || errors.Is(err, broadcast.ErrPartial) {
			a.timeline = append(a.timeline, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// take receives n events, and waits for them.
func (w *witness[T]) take(n int) *witness[T] {
	for range n {
		e, ok := <-w.C()
		if !ok {
			break
		}
		w.got = append(w.got, e)
	}
	return w
}

// drain receives what is buffered and returns all that w ever got.
func (w *witness[T]) drain() []T {
	for {
		select {
		case e, ok := <-w.C():
			if !ok {
				return w.got
			}
			w.got = append(w.got, e)
		default:
			return w.got
		}
	}
}

// consume receives until the channel closes.
func (w *witness[T]) consume() {
	for e := range w.C() {
		w.got = append(w.got, e)
	}
}

// checkLaws proves at a quiet point (no publish and no receive in progress) all
// that holds at every quiet point, for every subscription of the audit and for
// the hub. All subscriptions of the hub must be in the audit.
func checkLaws[T comparable](t testing.TB, a *audit[T]) {
	t.Helper()
	if a.reference != nil {
		a.timeline = a.reference.drain()
	}
	hub := a.hub.Stats()
	if hub.Published != uint64(len(a.timeline)) {
		t.Errorf("law 2: Published = %d, want the %d events that were published", hub.Published, len(a.timeline))
		return // the rest would only repeat it
	}
	place := make(map[T]int, len(a.timeline))
	for i, e := range a.timeline {
		if _, twice := place[e]; twice {
			t.Fatalf("bad test: event %v is in the timeline twice", e)
		}
		place[e] = i
	}
	consumers := make([]broadcasttest.Consumer, 0, len(a.all))
	for _, w := range a.all {
		consumers = append(consumers, w)
	}
	broadcasttest.CheckConservation(t, a.hub, consumers...)
	for _, w := range a.all {
		checkBounds(t, w)
		checkOrder(t, w, place)
		checkPolicy(t, a, w)
	}
	checkSums(t, a, hub)
	checkMonotone(t, a.last, hub)
	a.last = hub
}

// Count is the consumer's own.
func (w *witness[T]) Count() uint64 { return uint64(len(w.got)) }

// checkBounds is law 9 for one subscription.
func checkBounds[T comparable](t testing.TB, w *witness[T]) {
	t.Helper()
	s := w.Stats()
	if s.Len > s.Cap || s.Cap != cap(w.C()) {
		t.Errorf("law 9: %s: Len = %d, Cap = %d, want at most cap = %d", who(w), s.Len, s.Cap, cap(w.C()))
	}
	if s.Coalesced != 0 || s.Reader {
		t.Errorf("law 2: %s: %+v, want neither coalesced events nor a reader", who(w), s)
	}
}

// checkOrder is law 1 for one subscription: what it got is a strictly
// increasing part of the timeline since it joined, and passed its filter.
func checkOrder[T comparable](t testing.TB, w *witness[T], place map[T]int) {
	t.Helper()
	last := int(w.joinedFrom) - 1
	for i, e := range w.got {
		at, known := place[e]
		switch {
		case !known:
			t.Errorf("law 1: %s: got[%d] = %v, which nobody published", who(w), i, e)
			return
		case at <= last:
			t.Errorf("law 1: %s: got[%d] = %v is event %d, want one behind %d", who(w), i, e, at+1, last+1)
			return
		case w.keep != nil && !w.keep(e):
			t.Errorf("law 1: %s: got[%d] = %v, which its filter rejects", who(w), i, e)
		}
		last = at
	}
}

// checkPolicy is what each policy promises whatever the consumer does.
func checkPolicy[T comparable](t testing.TB, a *audit[T], w *witness[T]) {
	t.Helper()
	s := w.Stats()
	ended := w.Err() != nil
	switch w.policy {
	case broadcast.Block:
		// Its own end may take the event in flight away, nothing else.
		if s.Dropped > 0 && !a.canceling && (!ended || s.Dropped > 1) {
			t.Errorf("law 2: %s: Dropped = %d under Block, ended: %v", who(w), s.Dropped, ended)
		}
	case broadcast.Eject:
		if s.Dropped > 1 || s.Dropped == 1 && !ended {
			t.Errorf("law 2: %s: Dropped = %d under Eject, ended: %v", who(w), s.Dropped, ended)
		}
	}
	ejected := errors.Is(w.Err(), broadcast.ErrEjected)
	if ejected && s.Dropped == 0 {
		t.Errorf("law 2: %s: ejected, but nothing dropped", who(w))
	}
	if s.ID == 0 || w.joinedFrom != w.joinedTo {
		return // it never joined, or its window is not known exactly
	}
	window := a.timeline[w.joinedFrom:]
	if s.Offered > uint64(len(window)) {
		t.Errorf("law 2: %s: Offered = %d, want at most the %d published since it joined", who(w), s.Offered, len(window))
		return
	}
	window = window[:s.Offered]
	kept := window
	if w.keep != nil {
		kept = slices.DeleteFunc(slices.Clone(window), func(e T) bool { return !w.keep(e) })
		if rejected := uint64(len(window) - len(kept)); s.Filtered != rejected && (!ended || s.Filtered+1 != rejected) {
			t.Errorf("law 2: %s: Filtered = %d, want %d", who(w), s.Filtered, rejected)
		}
	}
	n := min(s.Cap, len(kept))
	if a.receiving && w.policy == broadcast.DropOldest {
		n = min(n, 1)
	}
	checkFreshness(t, w, s, kept, n)
}

// checkFreshness is law 6, and completeness where nothing is lost. Every event
// that w was to get is in kept, of which n are never dropped.
func checkFreshness[T comparable](t testing.TB, w *witness[T], s broadcast.SubscriptionStats, kept []T, n int) {
	t.Helper()
	switch {
	case s.Dropped == 0 && s.Len == 0 && !slices.Equal(w.got, kept):
		t.Errorf("law 1: %s: got %v, want all of %v", who(w), w.got, kept)
	case s.Dropped == 0 && len(w.got) <= len(kept) && !slices.Equal(w.got, kept[:len(w.got)]):
		t.Errorf("law 1: %s: got %v, want it without gaps in %v", who(w), w.got, kept)
	case w.policy == broadcast.DropNewest || w.policy == broadcast.Eject:
		n = min(n, len(w.got))
		if !slices.Equal(w.got[:n], kept[:n]) {
			t.Errorf("law 6: %s: got %v, want the oldest %v first", who(w), w.got, kept[:n])
		}
	case w.policy == broadcast.DropOldest && s.Len == 0:
		// With a filter, its own end may have taken the last event away.
		if ended := w.Err() != nil; !endsWith(w.got, kept, n) && (!ended || w.keep == nil || !endsWith(w.got, kept[:len(kept)-1], n-1)) {
			t.Errorf("law 6: %s: got %v, want the newest %v last", who(w), w.got, kept[len(kept)-n:])
		}
	}
}

// endsWith tells whether the last n of all are the last of got.
func endsWith[T comparable](got, all []T, n int) bool {
	return len(got) >= n && slices.Equal(got[len(got)-n:], all[len(all)-n:])
}

// checkSums is what CheckConservation leaves open of law 2 for the hub.
func checkSums[T comparable](t testing.TB, a *audit[T], hub broadcast.Stats) {
	t.Helper()
	ejected := uint64(0)
	for _, w := range a.all {
		if errors.Is(w.Err(), broadcast.ErrEjected) {
			ejected++
		}
	}
	if hub.Ejected != ejected {
		t.Errorf("law 2: Ejected = %d, want %d", hub.Ejected, ejected)
	}
	if got := a.hub.Len(); got != hub.Subscribers {
		t.Errorf("law 2: Len() = %d, want Subscribers = %d", got, hub.Subscribers)
	}
}

// checkMonotone is the part of law 2 that scrapers rely on: from one snapshot to
// a later one no counter goes back.
func checkMonotone(t testing.TB, before, after broadcast.Stats) {
	t.Helper()
	b, a := before.DroppedBy, after.DroppedBy
	back := after.Published < before.Published || after.Offered < before.Offered ||
		after.Dropped < before.Dropped || after.Filtered < before.Filtered ||
		after.Ejected < before.Ejected || after.Blocked < before.Blocked ||
		after.Coalesced < before.Coalesced || a.Newest < b.Newest || a.Oldest < b.Oldest ||
		a.Canceled < b.Canceled || a.Closed < b.Closed || a.Ejected < b.Ejected
	if back {
		t.Errorf("law 2: counters went back: %+v,\nafter %+v", after, before)
	}
}

// who names w in a failure.
func who[T comparable](w *witness[T]) string {
	s := w.Stats()
	return fmt.Sprintf("subscription %d %q (%v, cap %d)", s.ID, s.Name, w.policy, s.Cap)
}
