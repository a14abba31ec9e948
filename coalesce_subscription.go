package broadcast

import (
	"context"
	"fmt"
	"reflect"
	"sync/atomic"
)

// CoalescingSubscription receives what changes in a CoalescingHub. Next,
// ReadBatch and All are for one goroutine at a time, and panic when two call
// them at once, or after C was called; all other methods may be called by any
// number of goroutines at any time. Several calls of Handle may share one.
//
// A subscription costs at most 1 KiB and no goroutine, except that of C, and in
// the middle of a pass what that covers.
type CoalescingSubscription[K comparable, V any] struct {
	member
	parker
	hub   *CoalescingHub[K, V]
	keep  func(Update[K, V]) bool // nil: no filter; written once, before it joins
	ready func() bool             // there may be something to do; written once, before it joins

	at      int         // its place in hub.subs once it has joined, -1 before; guarded by the hub's mutex
	quit    atomic.Bool // it ended by itself: what it has not read stays; written with the hub's mutex held
	reading atomic.Bool // someone reads, and owns what follows; C never gives it back
	pipe    atomic.Pointer[pipe[K, V]]

	pass   pass[K, V]
	top    uint64        // where its last pass ends; written with the hub's mutex held
	cursor atomic.Uint64 // all up to here is done

	received  atomic.Uint64
	coalesced atomic.Uint64
	synced    atomic.Bool

	share atomic.Pointer[chan struct{}] // one slot, taken by the call of Handle that reads; nil: none has
}

// Subscribe adds a subscription. It gets the whole state first, a value for each
// key and no deletions, and then what changes. Of the options it takes WithName,
// WithContext, and WithFilter of an Update[K, V]; it panics with any other. On a
// closed hub, and with a context that is done, it returns a subscription that
// has already ended, as its Err says. It costs O(1) and never waits for anyone's
// code.
//
// The filter is called by Next and its like, on the reader's goroutine and
// outside every lock. If it panics, the update counts as dropped and the panic
// goes on up through that call; ReadBatch returns first what came before it, and
// asks again at the next call.
func (h *CoalescingHub[K, V]) Subscribe(opts ...SubscribeOption) *CoalescingSubscription[K, V] {
	s, ctx := h.newSubscription(opts)
	if ctx != nil {
		if ctx.Err() != nil {
			h.end(s, causeOf(ctx))
			return s
		}
		// As in Hub.Subscribe.
		s.special.stop = context.AfterFunc(ctx, func() { h.end(s, causeOf(ctx)) })
	}
	if !h.join(s) && h.end(s, ErrClosed) {
		s.leaveContext()
	}
	return s
}

// join adds s, unless the hub is closed. A context may have ended s already.
func (h *CoalescingHub[K, V]) join(s *CoalescingSubscription[K, V]) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || s.quit.Load() {
		return !h.closed
	}
	h.lastID++
	s.id = h.lastID
	s.parker.join(s.id)
	// The state that it starts with is offered too.
	s.joined = h.seq.Load() - uint64(h.history.alive)
	s.synced.Store(h.history.alive == 0)
	s.at = len(h.subs)
	h.subs = append(h.subs, s)
	h.registry.join(s)
	if len(h.subs) == 1 {
		h.hooks.edge()
	}
	return true
}

// newSubscription makes a subscription that has not joined yet.
func (h *CoalescingHub[K, V]) newSubscription(opts []SubscribeOption) (*CoalescingSubscription[K, V], context.Context) {
	const none = -1
	c := subscribeConfig{buffer: none}.with(opts)
	s := &CoalescingSubscription[K, V]{hub: h, at: -1}
	s.parker.init()
	s.ready = func() bool {
		return h.seq.Load() != s.cursor.Load() || s.ended.Load() || s.quit.Load()
	}
	const rest = " a coalescing subscription keeps one value per key: pass only WithName, WithContext and WithFilter"
	switch {
	case c.buffer != none:
		panic("broadcast: Subscribe: WithBuffer:" + rest)
	case c.policy != nil:
		panic("broadcast: Subscribe: WithPolicy:" + rest)
	case c.replay > 0:
		panic("broadcast: Subscribe: WithReplay:" + rest)
	case c.resumes:
		panic("broadcast: Subscribe: WithResumeAfter:" + rest)
	}
	if c.keep != nil {
		keep, ok := c.keep.(func(Update[K, V]) bool)
		if !ok {
			panic(fmt.Sprintf("broadcast: WithFilter: %T given to a coalescing hub: pass a func(%v) bool", c.keep, reflect.TypeFor[Update[K, V]]()))
		}
		s.keep = keep
	}
	if len(opts) > 0 {
		s.special = &special{name: c.name}
	}
	return s, c.ctx
}

// Close ends the subscription at once; Err is then ErrClosed, unless it had
// ended before. What it has not read stays in Len. Close is idempotent, may be
// called by anyone at any time, and waits for nobody. It costs O(1).
func (s *CoalescingSubscription[K, V]) Close() {
	if s.hub.end(s, ErrClosed) {
		s.leaveContext()
	}
}

// Err returns nil while the subscription is live, and then why it ended:
// ErrClosed after its own Close or the hub's, or the cause of its context. It
// never blocks.
func (s *CoalescingSubscription[K, V]) Err() error {
	if s.ended.Load() {
		return s.err
	}
	return nil
}

// Synced tells whether all that was there when it subscribed has been returned,
// each key with that value or a newer one, or is gone. It blocks as Stats does.
func (s *CoalescingSubscription[K, V]) Synced() bool {
	s.countReceived()
	return s.synced.Load()
}

// Stats returns what the hub knows of the subscription, also after it has ended.
// Len is how many updates it has not seen: values that will turn out to be
// replaced are among them until the pass that covers them is over. Cap is 0: no
// number bounds it but that of the keys. Stats costs O(1) and does not block,
// unless C was called: then it may wait a moment for that goroutine to tell
// whether its update was received, which waits for nobody's code.
func (s *CoalescingSubscription[K, V]) Stats() SubscriptionStats {
	s.countReceived()
	// Offered first, as in Subscription.Stats.
	offered := s.offered(&s.hub.counters)
	st := SubscriptionStats{
		ID:        s.id,
		Name:      s.name(),
		Received:  s.received.Load(),
		Dropped:   s.dropped.Load(),
		Filtered:  s.filtered(),
		Coalesced: s.coalesced.Load(),
	}
	gone := st.Received + st.Dropped + st.Filtered + st.Coalesced
	st.Offered = max(offered, gone)
	st.Len = int(st.Offered - gone)
	return st
}

// take is Next for Handle, which may share the subscription with others.
func (s *CoalescingSubscription[K, V]) take(ctx context.Context) (u Update[K, V], ok, ended bool) {
	if ctx.Err() != nil {
		return u, false, false
	}
	turn := s.turn()
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return u, false, false
	}
	defer func() { <-turn }()
	s.claim()
	defer s.release()
	u, v := s.next(ctx)
	if v == got {
		s.received.Add(1)
	}
	return u, v == got, v == over
}

// turn returns the channel that calls of Handle share, and makes it the first time.
func (s *CoalescingSubscription[K, V]) turn() chan struct{} {
	p := s.share.Load()
	if p == nil {
		made := make(chan struct{}, 1)
		s.share.CompareAndSwap(nil, &made)
		p = s.share.Load()
	}
	return *p
}

// forsake has nothing to do: no Shutdown waits for what is left.
func (s *CoalescingSubscription[K, V]) forsake() {}

func (s *CoalescingSubscription[K, V]) board() *desk  { return &s.hub.desk }
func (s *CoalescingSubscription[K, V]) base() *member { return &s.member }
