package broadcast

import (
	"context"
	"reflect"
	"runtime"
	"time"
)

// maxYields is how often a publisher lets others run before it parks, counted
// anew whenever that gave someone room. Receivers that are merely behind then
// drain whole buffers, and the publisher needs neither a select over all of
// them nor a wake-up. BenchmarkPairLossless, 16 events of buffer and 2
// subscribers: 2.1 times the plain loop without, 1.2 with 1, 1.1 with 4.
const maxYields = 4

// maxSelect is how many channels one reflect.Select may wait for: it panics
// above 65,536 cases, and three are taken.
const maxSelect = 65536 - 3

// waitStart is when the first wait of this event began: all have one start.
func (h *Hub[T]) waitStart() time.Time {
	if h.start.IsZero() {
		h.start = time.Now()
	}
	return h.start
}

// wait waits for everyone in full together: whoever gets room has the event at
// once, whatever the others do.
func (h *Hub[T]) wait(ctx context.Context, event T) {
	if len(h.full) == 0 {
		return
	}
	if !h.waited {
		h.waited = true
		h.blocked.Add(1)
	}
	if h.losses != nil {
		h.waitStart()
	}
	for yields := 0; ; {
		if yields < maxYields {
			yields++
			runtime.Gosched()
		} else {
			h.park(ctx, event)
		}
		before := len(h.full)
		h.sweep(event)
		if !h.start.IsZero() {
			h.expire(event)
		}
		switch {
		case len(h.full) == 0:
			return
		case len(h.full) < before:
			yields = 0
		}
	}
}

// sweep takes everyone off full who has left or has room now.
func (h *Hub[T]) sweep(event T) {
	still := h.full[:0]
	for _, w := range h.full {
		if !w.sub.open || w.sub.ended.Load() {
			continue
		}
		select {
		case w.sub.ch <- event:
			w.sub.open = false
		default:
			still = append(still, w)
		}
	}
	clear(h.full[len(still):])
	h.full = still
}

// expire asks what is to become of those who have been waited for long enough.
func (h *Hub[T]) expire(event T) {
	if h.losses != nil && !h.warned && len(h.full) > 0 && time.Since(h.start) >= logEvery {
		h.warned = true
		h.losses.note(lossBlocked, &h.full[0].sub.member)
	}
	for i := len(h.full) - 1; i >= 0; i-- {
		w := h.full[i]
		if w.deadline.IsZero() || time.Until(w.deadline) > 0 {
			continue
		}
		// Off the list first: then may panic, and may say Block, which appends.
		last := len(h.full) - 1
		h.full[i] = h.full[last]
		h.full[last] = awaited[T]{}
		h.full = h.full[:last]
		h.consult(w.sub, w.then, event)
	}
}

// park waits until something happens to one of full.
func (h *Hub[T]) park(ctx context.Context, event T) {
	var alarm <-chan time.Time
	if at := h.nextAlarm(); !at.IsZero() {
		t := time.NewTimer(time.Until(at))
		defer t.Stop()
		alarm = t.C
	}
	if len(h.full) > 1 {
		h.parkMany(ctx, event, alarm)
		return
	}
	s := h.full[0].sub
	select {
	case s.ch <- event:
		s.open = false
	case <-h.kick:
		h.releaseLeavers()
	case <-ctx.Done():
		h.giveUp(context.Cause(ctx))
	case <-alarm:
	}
}

// parkMany parks on all of full at once.
func (h *Hub[T]) parkMany(ctx context.Context, event T, alarm <-chan time.Time) {
	const kicked, ended, alarmed, first = 0, 1, 2, 3
	sends := h.full[:min(len(h.full), maxSelect)]
	cases := make([]reflect.SelectCase, first, first+len(sends))
	cases[kicked] = reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(h.kick)}
	cases[ended] = reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())}
	cases[alarmed] = reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(alarm)}
	value := reflect.ValueOf(&event).Elem()
	for _, w := range sends {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectSend, Chan: reflect.ValueOf(w.sub.ch), Send: value})
	}
	switch i, _, _ := reflect.Select(cases); i {
	case kicked:
		h.releaseLeavers()
	case ended:
		h.giveUp(context.Cause(ctx))
	case alarmed:
	default:
		sends[i-first].sub.open = false
	}
}

// giveUp drops the event for everyone who is still waited for, because the
// publisher's context has ended.
func (h *Hub[T]) giveUp(cause error) {
	for _, w := range h.full {
		if !w.sub.ended.Load() { // else releaseLeavers counts it
			h.drop(w.sub, droppedCanceled)
			h.canceled = cause
		}
	}
	h.full = emptied(h.full, len(h.full))
}

// nextAlarm is when park must wake without anyone's doing; zero: never.
func (h *Hub[T]) nextAlarm() (at time.Time) {
	if h.start.IsZero() {
		return at
	}
	if h.losses != nil && !h.warned {
		at = h.start.Add(logEvery)
	}
	for _, w := range h.full {
		if !w.deadline.IsZero() && (at.IsZero() || w.deadline.Before(at)) {
			at = w.deadline
		}
	}
	return at
}
