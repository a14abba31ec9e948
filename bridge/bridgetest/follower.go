package bridgetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
)

// follower reads a topic of numbers, and checks at each event what holds always: the
// numbers rise, by one unless a gap stands before them, and those that do not are
// marked; what a gap counts is what is missing; positions rise. Where the source
// acknowledges, numbers may be missing for a while.
type follower struct {
	e     *env
	topic string
	r     *broadcast.Reader[event]

	last      int // the highest number so far; -1: none, and it is not known where it starts
	position  bridge.Position
	positions map[bridge.Position]bool
	gaps      []bridge.Gap // all of them
	since     []bridge.Gap // since the last number
	total     uint64       // Gaps of the last event
	missing   map[int]bool // with Acks: numbers that are to come again, marked and maybe out of order
}

func (e *env) follow(r *broadcast.Reader[event], topic string) *follower {
	return &follower{e: e, topic: topic, r: r, last: e.published[topic], positions: map[bridge.Position]bool{}, missing: map[int]bool{}}
}

// next is the next event, or nil if there is none in d.
func (f *follower) next(d time.Duration) *event {
	f.e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	ev, err := f.r.Next(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil
	case err != nil:
		f.e.Fatalf("topic %q: the reader has ended: %v", f.topic, err)
	case f.r.Missed() > 0:
		f.e.Fatalf("topic %q: the reader has missed %d: it is too slow for the suite", f.topic, f.r.Missed())
	}
	f.note(ev)
	return &ev
}

// note checks one event.
func (f *follower) note(ev event) {
	f.e.Helper()
	if ev.Gap != nil {
		f.total++
		f.gaps = append(f.gaps, *ev.Gap)
		f.since = append(f.since, *ev.Gap)
	}
	if ev.Gaps < f.total {
		f.e.Errorf("topic %q: an event says that there were %d gaps: want at least %d", f.topic, ev.Gaps, f.total)
	}
	f.total = ev.Gaps
	if ev.Gap != nil {
		return
	}
	if ev.Topic != f.topic {
		f.e.Errorf("topic %q: a message of topic %q", f.topic, ev.Topic)
	}
	if ev.Redelivered {
		delete(f.missing, ev.Value)
		f.expect(f.last+1, ev.Value)
		f.last, f.since = max(f.last, ev.Value), nil
		return
	}
	f.checkNumber(ev.Value)
	f.checkPosition(ev.Position)
	f.last, f.since = max(f.last, ev.Value), nil
}

// expect notes that the numbers from first to the one before next are still to come.
func (f *follower) expect(first, next int) {
	for n := first; n < next && f.last >= 0 && f.e.can.Acks; n++ {
		f.missing[n] = true
	}
}

// complete waits for the numbers that are to come again.
func (f *follower) complete() {
	f.e.Helper()
	const again = time.Minute // systems wait for an acknowledgement for half of that
	end := time.Now().Add(again)
	for len(f.missing) > 0 {
		if left := time.Until(end); left <= 0 || f.next(left) == nil {
			f.e.Fatalf("topic %q: numbers %v have not come within %v of those behind them", f.topic, slices.Sorted(maps.Keys(f.missing)), again)
		}
	}
}

func (f *follower) checkNumber(n int) {
	f.e.Helper()
	switch missing := n - f.last - 1; {
	case f.last < 0: // the first one
	case missing < 0 && f.e.h.Unmarked == "":
		f.e.Errorf("topic %q: number %d behind %d, and not marked Redelivered", f.topic, n, f.last)
	case f.e.can.Acks && len(f.since) == 0: // what was on the way comes again
		delete(f.missing, n)
		f.expect(f.last+1, n)
	case missing > 0 && len(f.since) == 0:
		f.e.Errorf("topic %q: number %d behind %d, and no gap between them", f.topic, n, f.last)
	case missing >= 0 && f.e.can.ExactGaps && len(f.since) > 0:
		counted := uint64(0)
		for _, g := range f.since {
			counted += g.Count
		}
		if counted != uint64(missing) {
			f.e.Errorf("topic %q: %d are missing before number %d, and the gaps count %d", f.topic, missing, n, counted)
		}
	}
	if f.e.keeps() {
		for _, g := range f.since {
			if g.Reason != bridge.Truncated {
				f.e.Errorf("topic %q: a gap %v, and the system keeps its messages", f.topic, g.Reason)
			}
		}
	}
}

func (f *follower) checkPosition(p bridge.Position) {
	f.e.Helper()
	if !f.e.can.Replay {
		return
	}
	switch less := f.e.h.Less; {
	case p == "":
		f.e.Errorf("topic %q: a message without a position, and the source can replay", f.topic)
	case f.positions[p]:
		f.e.Errorf("topic %q: position %q came twice, and is not marked Redelivered", f.topic, p)
	case less != nil && f.position != "" && !less(f.position, p):
		f.e.Errorf("topic %q: position %q behind %q", f.topic, p, f.position)
	}
	f.positions[p], f.position = true, p
}

// until reads until number n, or a later one, has come, and fails if that is not in d.
func (f *follower) until(n int, d time.Duration) {
	f.e.Helper()
	end := time.Now().Add(d)
	for f.last < n {
		if left := time.Until(end); left <= 0 || f.next(left) == nil {
			f.e.Fatalf("topic %q: number %d has not come within %v: the last one was %d, after %s", f.topic, n, d, f.last, f.describe())
		}
	}
}

// catchUp publishes until one of the numbers that it publishes has come, and fails if
// that is not in d. It returns the first of these numbers.
func (f *follower) catchUp(d time.Duration) (first int) {
	f.e.Helper()
	end := time.Now().Add(d)
	first = f.e.published[f.topic] + 1
	for f.last < first {
		if time.Now().After(end) {
			f.e.Fatalf("topic %q: nothing that was published from number %d on has come within %v: the last one was %d, after %s", f.topic, first, d, f.last, f.describe())
		}
		f.e.publish(f.topic, 0)
		for f.next(10*time.Millisecond) != nil && f.last < first {
		}
	}
	return first
}

// exchange publishes n numbers and reads them.
func (f *follower) exchange(n int) {
	f.e.Helper()
	for range n {
		f.e.publish(f.topic, 0)
	}
	f.until(f.e.published[f.topic], patience)
	f.complete()
}

func (f *follower) describe() string {
	s := fmt.Sprintf("%d gaps", len(f.gaps))
	for _, g := range f.gaps {
		s += fmt.Sprintf("; %v %d", g.Reason, g.Count)
	}
	return s
}

// healed checks that the topic is live again after a fault before which there were
// gapsBefore gaps, and that the loss was marked.
func (f *follower) healed(gapsBefore int) {
	f.e.Helper()
	f.catchUp(f.e.within(f.e.h.Heal))
	if !f.e.keeps() && len(f.gaps) == gapsBefore {
		f.e.Errorf("topic %q: the connection was lost, and an event has come without a gap before it", f.topic)
	}
	f.exchange(20)
}
