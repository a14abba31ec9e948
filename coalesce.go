package broadcast

import (
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// Update is a change of one key in a CoalescingHub.
type Update[K comparable, V any] struct {
	Key     K
	Value   V      // the zero value if the key was deleted
	Deleted bool   // the key is gone
	Version uint64 // its place in the hub's timeline: the first change has 1
}

// CoalescingHub keeps the latest value of each key and gives every subscription
// what changed since it last looked. A slow subscriber skips values, and always
// ends with the final value of each key: for prices, states, configurations. Use
// a Hub where every event counts. Make one with NewCoalescing; a CoalescingHub
// must not be copied. All methods may be called by any number of goroutines at
// once.
//
// A subscriber reads in passes. A pass covers all keys that had changed when it
// began, each once, and returns for each the value of the moment when it is
// returned. So a key that changes before every read is delivered in every pass,
// and holds up no other.
//
// The hub owns no goroutine while it is idle. Its memory is the keys, about 200
// bytes for each beside key and value, plus a constant for each subscription and
// what its pass in progress covers, of all of which subscribers share most.
type CoalescingHub[K comparable, V any] struct {
	since time.Time // written once, by NewCoalescing

	counters  // seq is the last version
	coalesced atomic.Uint64
	registry
	hooks hooks
	desk  // handlers, meters and the logger
	lot   lot

	pumps    atomic.Int64 // goroutines of C
	littered atomic.Bool  // tombstones outnumber the live keys; written with mu held

	mu      sync.Mutex
	closed  bool                            // guarded by mu
	lastID  uint64                          // guarded by mu
	subs    []*CoalescingSubscription[K, V] // the live ones, in no order; guarded by mu
	history history[K, V]                   // guarded by mu
}

// NewCoalescing makes a hub that keeps the latest value of each key. Of the
// options it takes WithInterest and WithLogger; it panics with any other. K
// must not hold keys that differ from themselves, such as NaN: Publish panics
// with one.
func NewCoalescing[K comparable, V any](opts ...Option) *CoalescingHub[K, V] {
	var c hubConfig
	for _, o := range opts {
		o.applyHub(&c)
	}
	const rest = " pass only WithInterest and WithLogger"
	switch {
	case c.onEject != nil:
		panic("broadcast: NewCoalescing: WithOnEject: a coalescing hub ejects nobody:" + rest)
	case c.ring > 0:
		panic("broadcast: NewCoalescing: WithRing: a coalescing hub has no ring:" + rest)
	}
	h := &CoalescingHub[K, V]{since: time.Now()}
	h.losses = newLosses(c.logger)
	h.hooks.interest = c.interest
	h.history.keys = map[K]*entry[K, V]{}
	return h
}

// Publish makes value the latest of key. It returns nil, or ErrClosed once the
// hub is closed. It never blocks on a subscriber, at most for other calls that
// hold the hub for a moment. It costs O(1), amortised, whatever the number of
// subscriptions, and allocates for a key that is new, and once per about so many
// publishes as there are keys, at least 64: then it tidies up, in a time that
// grows with the keys. It panics if key differs from itself.
func (h *CoalescingHub[K, V]) Publish(key K, value V) error {
	if m := h.meters.Load(); m != nil && m.sampled(h.seq.Load()) {
		start := time.Now()
		err := h.put(key, value)
		if err == nil {
			m.published(time.Since(start))
		}
		return err
	}
	return h.put(key, value)
}

func (h *CoalescingHub[K, V]) put(key K, value V) error {
	if !h.store(key, value) {
		return ErrClosed
	}
	h.lot.wake()
	return nil
}

// store is the part of Publish that others wait for.
func (h *CoalescingHub[K, V]) store(key K, value V) bool {
	h.mu.Lock()
	defer h.mu.Unlock() // deferred, because comparing keys that are interfaces may panic
	if h.closed {
		return false
	}
	version := h.seq.Load() + 1
	h.history.set(key, value, version)
	h.seq.Store(version)
	h.tidyLocked(1)
	return true
}

// Delete removes key. Subscribers that may have seen it get an Update with
// Deleted; later ones see nothing of it. Deleting a key that is absent does
// nothing. It returns, costs and blocks as Publish does.
func (h *CoalescingHub[K, V]) Delete(key K) error {
	changed, open := h.remove(key)
	if !open {
		return ErrClosed
	}
	if changed {
		h.lot.wake()
	}
	return nil
}

func (h *CoalescingHub[K, V]) remove(key K) (changed, open bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false, false
	}
	version := h.seq.Load() + 1
	if !h.history.remove(key, version) {
		return false, true
	}
	h.seq.Store(version)
	h.tidyLocked(1)
	return true, true
}

// tidyLocked takes note of work that was done, and compacts the history once
// that pays: when what is dead outnumbers the live keys, and as much work was
// done as compacting costs. After Close it does nothing: subscriptions that no
// one counts any more may still be reading.
func (h *CoalescingHub[K, V]) tidyLocked(work int) {
	x := &h.history
	x.work += work
	if x.garbage() > x.alive+spareSlots && x.work >= h.dueLocked() && !h.closed {
		x.compact(h.pointsLocked)
	}
	if littered := x.old > x.alive+spareSlots; littered != h.littered.Load() {
		h.littered.Store(littered)
	}
}

// dueLocked is how much work pays for compacting.
func (h *CoalescingHub[K, V]) dueLocked() int {
	switch x := &h.history; {
	case len(h.subs) == 0: // nobody looks back, so all that is dead goes
		return 0
	case x.old > 0:
		return x.kept + len(h.subs) // to find out who still looks back
	default:
		return x.kept
	}
}

// pointsLocked returns where in the timeline the live subscriptions are: what
// each has seen, and what its pass in progress may have shown it.
func (h *CoalescingHub[K, V]) pointsLocked() []uint64 {
	points := make([]uint64, 0, 2*len(h.subs))
	for _, s := range h.subs {
		if s.top > 0 {
			points = append(points, s.cursor.Load(), s.top)
		}
	}
	return points
}

// Get returns the latest value of key, and whether there is one, also after
// Close. It costs O(1) and never blocks on a subscriber.
func (h *CoalescingHub[K, V]) Get(key K) (V, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.history.get(key)
}

// Keys returns how many keys have a value, also after Close. It costs O(1) and
// never blocks on a subscriber.
func (h *CoalescingHub[K, V]) Keys() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.history.alive
}

// Len returns how many subscriptions are live. It never waits for a publisher.
func (h *CoalescingHub[K, V]) Len() int {
	live, _ := h.registry.count()
	return live
}

// Stats returns what the hub has counted. Published counts values and deletions.
// It never waits for a publisher, and costs the same for any number of
// subscriptions.
func (h *CoalescingHub[K, V]) Stats() Stats {
	coalesced := h.coalesced.Load() // before what was offered
	s := h.counters.stats(&h.registry)
	s.Coalesced = coalesced
	s.HandlerErrors, s.HandlerPanics = h.desk.errors.Load(), h.desk.panics.Load()
	return s
}

// vitals is what Hub.vitals is.
func (h *CoalescingHub[K, V]) vitals() (since time.Time, goroutines int) {
	goroutines = int(h.desk.running.Load() + h.pumps.Load())
	for _, idle := range []bool{h.hooks.idle(), h.losses.idle()} {
		if !idle {
			goroutines++
		}
	}
	return h.since, goroutines
}

// Subscriptions returns the stats of every live subscription, each once, in no
// order. Those that come or go during the iteration may be left out. The
// iteration never waits for a publisher, holds no lock while the loop's body
// runs, and costs O(subscriptions).
func (h *CoalescingHub[K, V]) Subscriptions() iter.Seq[SubscriptionStats] { return h.registry.all }

// Close ends the hub and all its subscriptions. What a subscription has not seen
// yet it still gets, the final value of every key included; then Next returns
// ErrClosed and the channel of C closes. Close is idempotent, may be called by
// anyone at any time, and waits for nobody's code. It costs O(subscriptions).
func (h *CoalescingHub[K, V]) Close() {
	over := h.closeAll()
	h.lot.wake()
	for _, s := range over {
		// Those who still have to read keep their context: it may end that too.
		if s.cursor.Load() == s.left && !s.holds() {
			s.leaveContext()
		}
	}
}

// closeAll returns those who were live, nobody if the hub was closed already.
func (h *CoalescingHub[K, V]) closeAll() []*CoalescingSubscription[K, V] {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	subs := h.subs
	h.subs = nil
	left := h.seq.Load()
	for _, s := range subs {
		s.finish(ErrClosed, left)
	}
	h.registry.leaveAll(left)
	if len(subs) > 0 {
		h.hooks.edge()
	}
	h.losses.close()
	return subs
}

// end ends s at once with err, and tells whether that was still to be done.
func (h *CoalescingHub[K, V]) end(s *CoalescingSubscription[K, V], err error) bool {
	if !h.endOnce(s, err) {
		return false
	}
	h.lot.wakeOne(&s.parker)
	return true
}

func (h *CoalescingHub[K, V]) endOnce(s *CoalescingSubscription[K, V], err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.quit.Load() {
		return false
	}
	switch {
	case s.ended.Load(): // the hub has closed: nothing is left but what it has not read
	case s.at < 0: // its context ended, or the hub closed, before it joined
		s.finish(err, 0)
	default:
		h.leaveLocked(s, err)
	}
	// Last, and with the mutex held: see CoalescingSubscription.next.
	s.quit.Store(true)
	return true
}

func (h *CoalescingHub[K, V]) leaveLocked(s *CoalescingSubscription[K, V], err error) {
	s.finish(err, h.seq.Load())
	last := h.subs[len(h.subs)-1]
	h.subs[s.at] = last
	last.at = s.at
	h.subs = shrunk(h.subs)
	h.registry.leave(s, s.left)
	if len(h.subs) == 0 {
		h.history.reach = 0 // nobody looks back
		h.hooks.edge()
	}
	// It may be the one that looked back furthest. The fewer are left the likelier:
	// if all of n leave, that pays for about log n compactions.
	h.tidyLocked(1 + h.dueLocked()/max(1, len(h.subs)))
}
