package broadcast

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// end ends s with err, and tells whether it was live until then.
func (h *Hub[T]) end(s *Subscription[T], err error) bool {
	h.turn.mu.Lock()
	defer h.turn.mu.Unlock()
	switch {
	case s.ended.Load():
		return false
	case s.at < 0: // its context ended, or the hub closed, before it joined
		s.finish(err, 0)
		close(s.ch)
	default:
		h.leaveLocked(s, err)
		h.loseInterestLocked()
	}
	return true
}

// leaveLocked takes the live s out of the hub. Its event in flight, if there is
// one, counts as offered; the publisher counts what became of it.
func (h *Hub[T]) leaveLocked(s *Subscription[T], err error) {
	s.finish(err, h.seq.Load())
	last := h.subs[len(h.subs)-1]
	h.subs[s.at] = last
	last.sub.at = s.at
	h.subs = shrunk(h.subs)
	h.trimLocked()
	h.registry.leave(s, s.left)
	h.closeLocked(s)
}

// closeLocked closes the channel of s, which has ended, or leaves that to the
// publisher that may be sending on it.
func (h *Hub[T]) closeLocked(s *Subscription[T]) {
	if !s.inFlight {
		close(s.ch)
		return
	}
	h.leavers = append(h.leavers, s)
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

func (h *Hub[T]) loseInterestLocked() {
	if h.live() == 0 {
		h.hooks.edge()
	}
}

// Close ends the hub and all its subscriptions. A publisher that waits returns
// ErrClosed. What is buffered stays readable, then the channels close. Close is
// idempotent, may be called by anyone at any time, and waits for nobody's room
// or code: at most for passes of publishers that do not wait. It costs
// O(subscriptions).
func (h *Hub[T]) Close() { h.CloseWithError(nil) }

// CloseWithError is Close with a reason: from then on Publish, and Err of the
// subscriptions that were live, return an error that wraps both ErrClosed and
// reason. Of several calls the first one counts. A nil reason is Close.
func (h *Hub[T]) CloseWithError(reason error) {
	subs, readers := h.closeAll(reason)
	for _, t := range subs {
		t.sub.leaveContext()
	}
	for _, r := range readers {
		r.leaveContext()
	}
}

// closeAll returns those who were live, nobody if the hub was closed already.
func (h *Hub[T]) closeAll(reason error) ([]target[T], []*Reader[T]) {
	h.turn.mu.Lock()
	defer h.turn.mu.Unlock()
	if h.closed != nil {
		return nil, nil
	}
	h.closed = closedError(reason)
	left := h.seq.Load()
	readers := h.ejectReadersLocked() // they had fallen out before; the last one tells that it left
	interest := h.live() > 0
	readers = h.closeReadersLocked(readers, left)
	subs := h.subs
	h.subs = nil
	for _, t := range subs {
		t.sub.byHub = true
		t.sub.finish(h.closed, left)
		if len(t.sub.ch) > 0 || t.sub.inFlight {
			h.undone = append(h.undone, t.sub)
		}
		h.closeLocked(t.sub)
	}
	h.registry.leaveAll(left)
	if interest {
		h.hooks.edge()
	}
	h.losses.close()
	h.turn.dismissLocked()
	return subs, readers
}

// Shutdown closes the hub and waits until every subscription that was live when
// the hub closed has been drained by its consumer, every Handle has returned,
// and the hooks and the logger have been told everything. It returns nil then,
// or, when ctx ends before, an error that wraps the cause of ctx and says who
// still holds how much. It does not wait for what the last Handle of a
// subscription has left behind, but its error says so. What is not drained stays
// readable. It looks every few milliseconds, because a channel gives no signal
// when it is received from. Shutdown must not be called from what it waits for:
// a hook, a handler, a filter, a policy or the logger's handler. It panics if
// ctx is nil.
func (h *Hub[T]) Shutdown(ctx context.Context) error {
	checkContext("Shutdown", ctx)
	h.Close()
	const longest = 50 * time.Millisecond
	start, warned := time.Now(), false
	for delay := time.Millisecond; ; delay = min(2*delay, longest) {
		undone, over := h.drain()
		over = over && h.running.Load() == 0 && h.hooks.idle() && !h.sweep.running.Load()
		switch {
		case over && !h.losses.idle():
			h.losses.hasten()
		case over && len(undone) == 0:
			return nil
		case over && ctx.Err() == nil:
			return fmt.Errorf("broadcast: shutdown: %s, and the last Handle that took them has returned", holders(undone))
		}
		if ctx.Err() != nil {
			h.losses.hasten() // its goroutine need not outlive us by a second
			return fmt.Errorf("broadcast: shutdown: %s: %w", holders(undone), causeOf(ctx))
		}
		if !warned && time.Since(start) > logEvery {
			warned = true
			h.losses.noteShutdown(holders(undone))
		}
		pause := time.NewTimer(delay)
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
	}
}

// holder is who has not drained, and how much it holds.
type holder struct {
	*member
	events int
}

// drain forgets those who have drained and returns the others, and whether
// nobody is left to wait for among these.
func (h *Hub[T]) drain() (still []holder, over bool) {
	handled := h.running.Load() == 0 // before who was forsaken is looked at
	h.turn.mu.Lock()
	defer h.turn.mu.Unlock()
	over = true
	h.undone = slices.DeleteFunc(h.undone, func(s *Subscription[T]) bool {
		if !s.inFlight && len(s.ch) == 0 {
			return true
		}
		still = append(still, holder{&s.member, len(s.ch)})
		over = over && !s.inFlight && s.at == forsaken
		return false
	})
	h.undoneReaders = slices.DeleteFunc(h.undoneReaders, func(r *Reader[T]) bool {
		p := r.pos.Load()
		events := r.left - p>>posShift
		switch {
		case events == 0:
			return true
		case r.at == forsaken:
			still = append(still, holder{&r.member, int(events)})
		case p&posEnded == 0:
			still = append(still, holder{&r.member, int(events)})
			over = false
		default: // its own Close has said that it reads no more
			return handled
		}
		return false
	})
	return still, over
}

// holders says who still holds how much, with the first few by name.
func holders(undone []holder) string {
	const named = 8
	if len(undone) == 0 {
		return "a hook, a handler or the logger has not returned"
	}
	var events int
	var names []string
	for i, who := range undone {
		events += who.events
		if i < named {
			label := who.label()
			if who.name() != "" {
				label = strconv.Quote(label)
			}
			names = append(names, fmt.Sprintf("%s: %d", label, who.events))
		}
	}
	if len(undone) > named {
		names = append(names, "...")
	}
	return fmt.Sprintf("%d events are still buffered in %d subscription(s) (%s)", events, len(undone), strings.Join(names, ", "))
}
