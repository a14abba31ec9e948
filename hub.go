package broadcast

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"
)

// Hub fans events out to its subscriptions. Make one with New; a Hub must not
// be copied. All methods may be called by any number of goroutines at once.
//
// A hub owns no goroutine while it is idle and none per subscription. Its
// memory is the buffers of its subscriptions plus a constant for each.
type Hub[T any] struct {
	buffer int    // written once, by New
	policy Policy // written once, by New
	epoch  uint64 // written once, by New

	since time.Time // written once, by New

	counters
	registry
	hooks hooks
	desk  // handlers, meters and the logger

	turn turn
	ringside[T]
	subs   []target[T]        // the live subscriptions, in no order; guarded by turn.mu
	lastID uint64             // guarded by turn.mu
	closed error              // nil while open; guarded by turn.mu
	undone []*Subscription[T] // after Close: those that may not have drained; guarded by turn.mu

	flight[T] // what whoever has the turn keeps of the event in flight
}

// target is a live subscription as the pass of a publisher sees it. The channel
// stands here again so that the pass touches no subscription that has room:
// see BenchmarkPairRoom. It is nil for a subscription with a filter: sending
// on nil never succeeds, which leads to the slow path without a test of its own.
type target[T any] struct {
	ch  chan T
	sub *Subscription[T]
}

// New makes a hub whose subscriptions have a buffer of exactly buffer events
// and the given policy at a full one, unless Subscribe is told otherwise. T may
// be any type of at most 64 KiB, which is the limit of a channel's element; of a
// larger one, publish a pointer. New panics if buffer is negative or policy is
// nil or an unknown Action.
func New[T any](buffer int, policy Policy, opts ...Option) *Hub[T] {
	checkBuffer("New", buffer)
	checkPolicy("New", policy)
	var c hubConfig
	for _, o := range opts {
		o.applyHub(&c)
	}
	h := &Hub[T]{buffer: buffer, policy: policy, since: time.Now()}
	h.losses = newLosses(c.logger)
	for h.epoch == 0 {
		h.epoch = rand.Uint64()
	}
	h.hooks.interest, h.hooks.onEject = c.interest, c.onEject
	h.kick = make(chan struct{}, 1)
	h.gate.open()
	h.ringCap = defaultRing
	if c.ring > 0 {
		h.ringCap, h.replays = c.ring, true
		h.ring.Store(newRing(c.ring, 0, &h.readers))
	}
	return h
}

// Subscribe adds a subscription. Every event whose Publish begins after
// Subscribe has returned is offered to it. On a closed hub, and with a context
// that is done, it returns a subscription that has already ended, as its Err
// says. It never waits for a blocked publisher, at most for passes of publishers
// that do not wait. It costs O(1) and allocates the channel and at most 512
// bytes. It panics if a filter is not for the hub's T.
func (h *Hub[T]) Subscribe(opts ...SubscribeOption) *Subscription[T] {
	s, c := h.newSubscription(opts)
	joined := false
	if ctx := c.ctx; ctx != nil {
		if ctx.Err() != nil {
			h.end(s, causeOf(ctx))
			return s
		}
		// The context may end before s has joined; end knows. It does not touch
		// stop, which is being written.
		s.special.stop = context.AfterFunc(ctx, func() { h.end(s, causeOf(ctx)) })
		defer func() {
			if !joined {
				s.leaveContext()
			}
		}()
	}
	closed := h.join(s, c.replay-1) // a filter may panic at what is replayed
	joined = closed == nil
	if !joined {
		h.end(s, closed)
	}
	return s
}

// join has s join with the newest replay events, unless the hub is closed, which it
// returns, or the context of s has ended.
func (h *Hub[T]) join(s *Subscription[T], replay int) (closed error) {
	h.turn.mu.Lock()
	defer h.turn.mu.Unlock() // a filter may panic
	switch {
	case h.closed != nil || s.ended.Load():
	case replay <= 0:
		h.joinLocked(s, 0)
	case s.keep == nil:
		h.replayLocked(s, replay)
	default:
		h.replayFiltered(s, replay)
	}
	return h.closed
}

// joinLocked has s join, behind as many events as were replayed to it.
func (h *Hub[T]) joinLocked(s *Subscription[T], replayed uint64) {
	h.lastID++
	s.id = h.lastID
	s.joined = h.seq.Load() - replayed
	s.at = int32(len(h.subs))
	t := target[T]{s.ch, s}
	if s.keep != nil {
		t.ch = nil
	}
	h.subs = append(h.subs, t)
	h.registry.join(s)
	h.gainInterestLocked()
}

// live is how many subscriptions and readers there are. The turn's mutex must be
// held, and the hub open.
func (h *Hub[T]) live() int {
	n := len(h.subs)
	for _, list := range h.readers {
		n += len(list)
	}
	return n
}

func (h *Hub[T]) gainInterestLocked() {
	if h.live() == 1 {
		h.hooks.edge()
	}
}

// Len returns how many subscriptions and readers are live. It never waits for a
// publisher, and costs O(1).
func (h *Hub[T]) Len() int {
	live, _ := h.registry.count()
	return live
}

// Epoch returns a random number that tells this hub from every other, those of
// earlier processes included: a sequence number means something only together
// with it. It is never 0. It never blocks.
func (h *Hub[T]) Epoch() uint64 { return h.epoch }

// Stats returns what the hub has counted. It never waits for a publisher. It costs
// the same for any number of subscriptions, and one pass over the readers with
// DropOldest or Eject, who alone may have lost what nobody has counted yet.
func (h *Hub[T]) Stats() Stats {
	s := h.counters.stats(&h.registry)
	s.HandlerErrors, s.HandlerPanics = h.desk.errors.Load(), h.desk.panics.Load()
	return s
}

// vitals tell a collector when the counters began, and how many goroutines run
// Handle or are the hub's own at the moment.
func (h *Hub[T]) vitals() (since time.Time, goroutines int) {
	goroutines = int(h.desk.running.Load())
	if !h.hooks.idle() {
		goroutines++
	}
	if !h.losses.idle() {
		goroutines++
	}
	if h.sweep.running.Load() {
		goroutines++
	}
	return h.since, goroutines
}

// Subscriptions returns the stats of every live subscription and reader, each once, in no
// order. Those that come or go during the iteration may be left out. The
// iteration never waits for a publisher, holds no lock while the loop's body
// runs, and costs O(subscriptions).
func (h *Hub[T]) Subscriptions() iter.Seq[SubscriptionStats] { return h.registry.all }
