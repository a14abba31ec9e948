package broadcast

import (
	"fmt"
	"reflect"
)

// Subscription receives the events of a hub on a bounded channel. All methods
// may be called by any number of goroutines at once, and any number of them may
// receive from the channel; each event then goes to one of them.
//
// A subscription costs its channel and at most 512 bytes, and no goroutine.
type Subscription[T any] struct {
	member
	hub  *Hub[T]
	ch   chan T       // closed only by the holder of the turn's mutex, and only unless inFlight
	keep func(T) bool // nil: no filter; written once, before it joins

	at       int32  // its place in hub.subs once it has joined, -1 before, or forsaken; guarded by the turn's mutex
	atOnce   Action // what its policy answers if that needs no asking, else ask; written once, before it joins
	inFlight bool   // a publisher may be sending on ch without the mutex; guarded by the turn's mutex
	byHub    bool   // it ended because the hub closed; written before ended
	open     bool   // the event in flight is neither delivered, filtered nor dropped yet; guarded by the turn
}

// ask is no Action: the subscription's filter or policy is to be asked.
const ask = Eject + 1

// streak is what is kept to tell a policy how many overflows came in a row.
type streak struct {
	consecutive uint64 // at the last overflow
	lastSeq     uint64 // the event of the last overflow; 0: none yet
	skipped     uint64 // events that its filter kept away, or panicked at
	lastSkipped uint64 // skipped at the last overflow
}

// C returns the channel on which the events arrive, the same at every call. It
// is closed when the subscription has ended, after what is buffered has been
// received; Err then says why. It never blocks.
func (s *Subscription[T]) C() <-chan T { return s.ch }

// Close ends the subscription; Err is then ErrClosed. A publisher that waits
// for it goes on, and the event in flight counts as dropped. What is buffered
// stays readable, then the channel closes. Close is idempotent, may be called
// by anyone at any time, inside a receive loop or a filter too, and waits for
// nobody's room or code: at most for passes of publishers that do not wait. It
// costs O(1).
func (s *Subscription[T]) Close() {
	if s.hub.end(s, ErrClosed) {
		s.leaveContext()
	}
}

// Err returns nil while the subscription is live, and then why it ended:
// ErrClosed after its own Close or the hub's (wrapping the reason that
// CloseWithError gave), ErrEjected, or the cause of its context. It never
// blocks. When the channel is seen closed, Err is not nil.
func (s *Subscription[T]) Err() error {
	if s.ended.Load() {
		return s.err
	}
	return nil
}

// Stats returns what the hub knows of the subscription, also after it has
// ended. It never blocks.
func (s *Subscription[T]) Stats() SubscriptionStats {
	// Offered first: what is published from here on may be counted below, and
	// makes Received too low for the moment instead of too high.
	offered := s.offered(&s.hub.counters)
	st := SubscriptionStats{
		ID:       s.id,
		Name:     s.name(),
		Len:      len(s.ch),
		Cap:      cap(s.ch),
		Dropped:  s.dropped.Load(),
		Filtered: s.filtered(),
	}
	gone := uint64(st.Len) + st.Dropped + st.Filtered
	st.Offered = max(offered, gone)
	st.Received = st.Offered - gone
	return st
}

func (s *Subscription[T]) base() *member { return &s.member }

// newSubscription makes a subscription that has not joined yet.
func (h *Hub[T]) newSubscription(opts []SubscribeOption) (*Subscription[T], subscribeConfig) {
	c := subscribeConfig{buffer: h.buffer, policy: h.policy}
	if len(opts) > 0 {
		c = c.with(opts)
	}
	h.checkStart("Subscribe", c)
	if c.resumes {
		panic("broadcast: Subscribe: WithResumeAfter is for readers: use NewReader, or WithReplay")
	}
	s := &Subscription[T]{hub: h, at: -1, atOnce: ask}
	s.keep = filterOf[T](c)
	s.ch = make(chan T, c.buffer)
	action, known := c.policy.(Action)
	if known && s.keep == nil {
		s.atOnce = action
	}
	if len(opts) > 0 || !known {
		s.special = &special{name: c.name, policy: c.policy}
	}
	return s, c
}

// filterOf is the filter that was asked for, or nil.
func filterOf[T any](c subscribeConfig) func(T) bool {
	if c.keep == nil {
		return nil
	}
	keep, ok := c.keep.(func(T) bool)
	if !ok {
		panic(fmt.Sprintf("broadcast: WithFilter: %T given to a hub of %v: pass a func(%[2]v) bool", c.keep, reflect.TypeFor[T]()))
	}
	return keep
}

// policy returns the policy of s.
func (s *Subscription[T]) policy() Policy {
	if s.special == nil {
		return s.hub.policy
	}
	return s.special.policy
}

// note takes note of an overflow at event seq.
func (o *streak) note(seq uint64) {
	// Events that found room at once are not counted: that would cost the fast
	// path a write per subscriber. They are those since the last overflow that
	// the filter did not keep away.
	// For a reader, one event may be the next to come several times.
	if o.lastSeq != 0 && (seq == o.lastSeq || seq-o.lastSeq-1 == o.skipped-o.lastSkipped) {
		o.consecutive++
	} else {
		o.consecutive = 0
	}
	o.lastSeq, o.lastSkipped = seq, o.skipped
}

// describe tells a policy that is not an Action of the present overflow.
func (s *Subscription[T]) describe() Overflow {
	return Overflow{
		ID:          s.id,
		Name:        s.name(),
		Cap:         cap(s.ch),
		Dropped:     s.dropped.Load(),
		Consecutive: s.special.streak.consecutive,
	}
}
