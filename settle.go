package broadcast

import (
	"context"
	"time"
)

// flight is what the publisher that has the turn keeps of the event in flight.
type flight[T any] struct {
	// aloft are the subscriptions that the pass could not serve: they have a
	// filter or policy of the user's own, or are full and to be waited for. While
	// they are inFlight, nobody else closes their channels. Guarded by the turn.
	aloft []*Subscription[T]
	next  int              // the first of aloft that has not been looked at; guarded by the turn
	asked *Subscription[T] // its filter or policy is running; guarded by the turn
	full  []awaited[T]     // of aloft, those that are waited for; guarded by the turn
	stops []func() bool    // leave the contexts of those ejected; guarded by turn.mu

	timed    time.Time // when the publish began, if it is timed; guarded by the turn
	waited   bool      // for a subscription or reader, and counted as blocked; guarded by the turn
	parked   time.Time // when it began to wait, if that is timed; guarded by the turn
	start    time.Time // of all waits of this event; zero: none has a time. Guarded by the turn
	warned   bool      // that it blocked for long; guarded by the turn
	canceled error     // why subscriptions were given up; guarded by the turn
	cutOff   bool      // the hub closed before a subscription had the event; guarded by turn.mu

	leavers []*Subscription[T] // ended while inFlight, to be closed by the publisher; guarded by turn.mu
	kick    chan struct{}      // one token: leavers has grown. Written once, by New
}

// awaited is a full subscription.
type awaited[T any] struct {
	sub      *Subscription[T]
	deadline time.Time // of BlockFor; zero: none
	then     Policy    // of BlockFor, asked at the deadline
}

// land settles the event in flight and gives the turn back. The turn's mutex
// must be held; it is not on return.
func (h *Hub[T]) land(ctx context.Context, event T) error {
	defer h.giveBack()
	if len(h.aloft) == 0 {
		return nil
	}
	return h.settle(ctx, event)
}

// giveBack gives the turn back and lets the mutex go. What is user code, be it
// that of a context, comes after both.
func (h *Hub[T]) giveBack() {
	h.wakeReaders() // a batch has not done so yet
	h.waitIsOver()
	stops, timed := h.stops, h.timed
	h.stops, h.timed = nil, time.Time{}
	h.turn.passLocked()
	h.turn.mu.Unlock()
	if !timed.IsZero() {
		h.meters.Load().published(time.Since(timed))
	}
	for _, stop := range stops {
		stop()
	}
}

// waitIsOver ends the account of what the event in flight waited for.
func (h *Hub[T]) waitIsOver() {
	if !h.parked.IsZero() {
		h.meters.Load().waited(time.Since(h.parked))
	}
	h.waited, h.warned, h.start, h.parked = false, false, time.Time{}, time.Time{}
}

// settle takes the event to an end for everyone in aloft: it asks their filters
// and policies and waits for those that are to be waited for. The turn's mutex
// is held on entry and on return, and not while user code runs or anything
// waits. It returns the error of a publish that some live subscription missed.
func (h *Hub[T]) settle(ctx context.Context, event T) (err error) {
	h.turn.busy = true
	h.turn.mu.Unlock()
	defer func() {
		h.waitIsOver()
		h.turn.mu.Lock()
		err = h.settledLocked()
	}()
	h.finish(ctx, event)
	return nil
}

// settledLocked ends the flight and returns its outcome.
func (h *Hub[T]) settledLocked() (err error) {
	h.releaseLeaversLocked()
	for _, s := range h.aloft {
		if s.open { // a context of the user's own ended the publish
			h.drop(s, droppedNewest)
		}
		s.inFlight = false
	}
	switch {
	case h.canceled != nil:
		err = because{ErrPartial, h.canceled}
	case h.cutOff:
		err = because{ErrPartial, h.closed}
	}
	h.aloft = emptied(h.aloft, len(h.subs))
	h.full = emptied(h.full, len(h.subs))
	h.next, h.canceled, h.cutOff = 0, nil, false
	return err
}

// finish looks at everyone in aloft and then waits. Where the user's code panics
// or calls runtime.Goexit, the event is lost for that subscription, and the
// others are seen to from a deferred call: so the panic keeps its stack and
// reaches the caller of Publish in the end. Of several, the first does; the
// later ones are recovered, because the frames of each would stay until the end.
func (h *Hub[T]) finish(ctx context.Context, event T) {
	defer h.resume(ctx, event)
	h.lookAndWait(ctx, event)
}

// resume goes on behind the subscription whose code did not return, if one did
// not, until all have been seen to.
func (h *Hub[T]) resume(ctx context.Context, event T) {
	for h.asked != nil {
		s := h.asked
		h.asked = nil
		h.drop(s, droppedNewest)
		func() {
			defer func() {
				if recover() == nil {
					h.resume(ctx, event) // Goexit cannot be recovered, so this goes deeper
				}
			}()
			h.lookAndWait(ctx, event)
		}()
	}
}

func (h *Hub[T]) lookAndWait(ctx context.Context, event T) {
	for h.next < len(h.aloft) {
		s := h.aloft[h.next]
		h.next++
		h.look(s, event)
	}
	h.wait(ctx, event)
}

// look asks the filter of s, offers it the event, and asks its policy if it is
// full. Whoever has left meanwhile is left to releaseLeavers.
func (h *Hub[T]) look(s *Subscription[T], event T) {
	if s.ended.Load() || s.keep != nil && !h.keeps(s, event) || s.ended.Load() {
		return
	}
	// Also one without a filter, which was full in the pass: other filters and
	// policies may have taken their time since.
	if h.offer(s, event) {
		return
	}
	switch p := s.policy().(type) {
	case Action:
		h.obey(s, p, event)
	case blockFor:
		s.special.streak.note(h.seq.Load())
		h.full = append(h.full, awaited[T]{s, h.waitStart().Add(p.d), p.then})
	default:
		s.special.streak.note(h.seq.Load())
		h.consult(s, p, event)
	}
}

// offer sends event to s if it has room.
func (h *Hub[T]) offer(s *Subscription[T], event T) bool {
	select {
	case s.ch <- event:
		s.open = false
		return true
	default:
		return false
	}
}

// keeps asks the filter of s.
func (h *Hub[T]) keeps(s *Subscription[T], event T) bool {
	s.special.streak.skipped++ // stays if the filter panics
	h.asked = s
	keep := s.keep(event)
	h.asked = nil
	if !keep {
		s.open = false
		s.special.filtered.Add(1)
		h.filtered.Add(1)
		return false
	}
	s.special.streak.skipped--
	return true
}

// consult asks p, and does what it says to the full s.
func (h *Hub[T]) consult(s *Subscription[T], p Policy, event T) {
	h.asked = s
	action := p.Overflow(s.describe())
	checkAction("Policy", action)
	h.asked = nil
	if !s.ended.Load() {
		h.obey(s, action, event)
	}
}

// obey does what action says to the full s, which is in flight.
func (h *Hub[T]) obey(s *Subscription[T], action Action, event T) {
	switch action {
	case Block:
		h.full = append(h.full, awaited[T]{sub: s})
	case DropNewest:
		h.drop(s, droppedNewest)
	case DropOldest:
		h.displace(s, event)
	case Eject:
		h.turn.mu.Lock()
		if !s.ended.Load() {
			s.inFlight = false // it is this publisher's, and not being sent on
			h.ejectLocked(s)
		}
		h.turn.mu.Unlock()
	}
}

// releaseLeavers ends the flight for those who left during it.
func (h *Hub[T]) releaseLeavers() {
	h.turn.mu.Lock()
	h.releaseLeaversLocked()
	h.turn.mu.Unlock()
}

func (h *Hub[T]) releaseLeaversLocked() {
	for _, s := range h.leavers {
		if s.open {
			h.drop(s, droppedClosed)
			h.cutOff = h.cutOff || s.byHub
		}
		s.inFlight = false
		close(s.ch)
	}
	h.leavers = emptied(h.leavers, len(h.subs))
}

// emptied returns list without its elements, for reuse unless it is much larger
// than a hub of n subscriptions needs.
func emptied[E any](list []E, n int) []E {
	if cap(list) > 64 && cap(list) > 4*n {
		return nil
	}
	clear(list)
	return list[:0]
}

// trimLocked lets the lists of the flight go, between flights, when they are
// much larger than the hub needs.
func (h *Hub[T]) trimLocked() {
	if !h.turn.busy && len(h.aloft) == 0 && cap(h.aloft)+cap(h.full) > 64+8*len(h.subs) {
		h.aloft, h.full, h.leavers = nil, nil, nil
	}
}
