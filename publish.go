package broadcast

import (
	"context"
	"time"
)

// Publish offers event to every live subscription and reader. It returns nil; or ErrClosed
// if the hub is closed; or the cause of ctx if ctx had ended, also while it
// waited for its turn or with room everywhere. With these nothing was
// published. An error that wraps ErrPartial beside its cause means that the
// event was published, but ctx or the hub ended while it waited for full
// subscriptions: all others have it, and these have counted a drop.
//
// It blocks while another publisher has the turn, and while a subscription or
// reader whose policy says so is full: until there is room, it leaves, the hub
// closes or ctx ends. For readers it waits before the event is published, for
// subscriptions after that: those with room have the event before it waits. It
// costs O(subscriptions), the same for any number of readers, and allocates
// nothing unless it waits or ejects, but at most one chunk for every 64 events if
// there is a ring (see WithRing). One in 64 may clear a chunk of the ring: 0.5 us more for
// events of 64 bytes that another core has just read, 7 us for 4 KiB (BenchmarkOpening). It
// panics if ctx is nil, and when a filter or policy does.
func (h *Hub[T]) Publish(ctx context.Context, event T) error {
	checkContext("Publish", ctx)
	if ctx.Err() != nil {
		return causeOf(ctx)
	}
	if m := h.meters.Load(); m != nil && m.sampled(h.seq.Load()) {
		return h.publishTimed(ctx, event)
	}
	h.turn.mu.Lock()
	if h.turn.busy || h.closed != nil {
		if err := h.enter(ctx); err != nil {
			return err
		}
	}
	next := h.seq.Load() + 1
	if next > h.gate.limit {
		if err := h.enterGate(ctx, next); err != nil {
			return err
		}
	}
	// What follows stands here and, for batches, in pass: calling it and copying
	// event once more costs 8 ns, a quarter of a publish to one (BenchmarkPairRoom).
	if ring := h.ring.Load(); ring != nil {
		*ring.slot(next) = event
		h.seq.Store(next)
		ring.wake()
	} else {
		h.seq.Store(next)
	}
	// Backwards, because an eject moves the last target to where the ejected was.
	for i := len(h.subs) - 1; i >= 0; i-- {
		select {
		case h.subs[i].ch <- event:
		default:
			h.unserved(h.subs[i].sub, event)
		}
	}
	if len(h.aloft)+len(h.stops) > 0 || h.turn.contended() {
		return h.land(ctx, event)
	}
	h.turn.mu.Unlock()
	return nil
}

// publishTimed is Publish for one in many, behind what that looks at first.
func (h *Hub[T]) publishTimed(ctx context.Context, event T) error {
	start := time.Now()
	if err := h.take(ctx); err != nil {
		return err
	}
	next := h.seq.Load() + 1
	if next > h.gate.limit {
		if err := h.enterGate(ctx, next); err != nil {
			return err
		}
	}
	h.pass(next, event)
	if !h.waited {
		h.timed = start // else it belongs to the other histogram
	}
	return h.land(ctx, event)
}

// PublishBatch publishes events in order, with nobody else's event between
// them, as if by Publish one by one: it looks at ctx, waits and counts Blocked
// for each. Readers are woken once, at the end or before a wait. It returns how many were published and, if these are not all, why:
// the error of the Publish that failed. With ErrPartial the last one counted
// has not reached every subscription.
//
// Subscriptions may come and go between two events. It blocks and costs what
// Publish does, once per event; only the turn is taken once. If a filter or
// policy panics, so does PublishBatch, and what comes after that event is not
// published.
func (h *Hub[T]) PublishBatch(ctx context.Context, events []T) (published int, err error) {
	checkContext("PublishBatch", ctx)
	if ctx.Err() != nil {
		return 0, causeOf(ctx)
	}
	if err := h.take(ctx); err != nil {
		return 0, err
	}
	h.turn.busy = true
	defer h.giveBack()
	for i, event := range events {
		if i > 0 {
			if err := h.between(ctx); err != nil {
				return i, err
			}
		}
		next := h.seq.Load() + 1
		if next > h.gate.limit {
			if err := h.passGate(ctx, next); err != nil {
				return i, err
			}
		}
		h.pass(next, event)
		if len(h.aloft) > 0 {
			h.wakeReaders()
			if err := h.settle(ctx, event); err != nil {
				return i + 1, err
			}
		}
		h.waitIsOver()
	}
	return len(events), nil
}

// wakeReaders wakes the readers that are parked.
func (h *Hub[T]) wakeReaders() {
	if ring := h.ring.Load(); ring != nil {
		ring.wake()
	}
}

// take takes the turn, as Publish does for itself. The turn's mutex is held on
// return unless there is an error.
func (h *Hub[T]) take(ctx context.Context) error {
	h.turn.mu.Lock()
	if h.turn.busy || h.closed != nil {
		return h.enter(ctx)
	}
	return nil
}

// enter is the slow path of taking the turn. The turn's mutex must be held; it
// is held on return unless there is an error.
func (h *Hub[T]) enter(ctx context.Context) error {
	mine := h.closed == nil && h.turn.await(ctx)
	switch {
	case mine && h.closed == nil:
		return nil
	case mine:
		h.turn.passLocked()
	}
	closed := h.closed
	h.turn.mu.Unlock()
	if closed != nil {
		return closed
	}
	return causeOf(ctx)
}

// between lets others at the mutex between two events of a batch, and tells
// whether the batch must end there.
func (h *Hub[T]) between(ctx context.Context) (err error) {
	stops := h.stops
	h.stops = nil
	h.turn.mu.Unlock()
	defer func() { // also if a context of the user's own panics
		h.turn.mu.Lock()
		if err == nil {
			err = h.closed
		}
	}()
	for _, stop := range stops {
		stop()
	}
	if ctx.Err() != nil {
		return causeOf(ctx)
	}
	return nil
}

// pass numbers event and offers it to everyone without waiting, as Publish does
// for itself; it does not wake readers. The turn's mutex must be held.
func (h *Hub[T]) pass(next uint64, event T) {
	if ring := h.ring.Load(); ring != nil {
		*ring.slot(next) = event
	}
	h.seq.Store(next)
	for i := len(h.subs) - 1; i >= 0; i-- {
		select {
		case h.subs[i].ch <- event:
		default:
			h.unserved(h.subs[i].sub, event)
		}
	}
}

// unserved does for a subscription that the pass could not give event to, since
// it is full or has a filter, what can be done at once. The rest is left to
// settle. The turn's mutex must be held.
func (h *Hub[T]) unserved(s *Subscription[T], event T) {
	switch s.atOnce {
	case DropNewest:
		h.drop(s, droppedNewest)
	case DropOldest:
		h.displace(s, event)
	case Eject:
		h.ejectLocked(s)
	default:
		s.open, s.inFlight = true, true
		h.aloft = append(h.aloft, s)
	}
}

// drop gives the event in flight up for s.
func (h *Hub[T]) drop(s *Subscription[T], why dropReason) {
	s.open = false
	h.lose(s, why)
}

// lose counts one event as lost for s, the one in flight or another.
func (h *Hub[T]) lose(s *Subscription[T], why dropReason) {
	s.dropped.Add(1)
	h.dropped[why].Add(1)
	if h.losses != nil && why != droppedEjected { // an eject has a line of its own
		h.losses.note(lossDropped, &s.member)
	}
}

// displace sends event to s, dropping the oldest buffered one if need be. Only
// the publisher that has the turn sends, so whatever it or the consumer takes
// out of the buffer is room for this event.
func (h *Hub[T]) displace(s *Subscription[T], event T) {
	for {
		select {
		case s.ch <- event:
			s.open = false
			return
		default:
		}
		if len(s.ch) < cap(s.ch) {
			continue // the consumer has just taken one
		}
		select {
		case <-s.ch:
			h.lose(s, droppedOldest)
		default:
			if cap(s.ch) == 0 {
				h.drop(s, droppedOldest)
				return
			}
		}
	}
}

// ejectLocked ends s, which must not be in flight, because it is full.
func (h *Hub[T]) ejectLocked(s *Subscription[T]) {
	h.drop(s, droppedEjected)
	h.ejected.Add(1)
	h.leaveLocked(s, ErrEjected)
	if s.special != nil && s.special.stop != nil {
		h.stops = append(h.stops, s.special.stop)
	}
	h.losses.note(lossEjected, &s.member)
	h.hooks.eject(s.Stats())
	h.loseInterestLocked()
}
