package broadcast

import (
	"context"
	"math"
	"runtime"
	"time"
)

// gate holds events up to which nobody would fall out of a window. A publish compares
// its number with limit, and looks at the readers only when that is passed.
type gate[T any] struct {
	limit  uint64 // the smaller one of the two below; guarded by turn.mu
	blocks uint64 // no reader that gates is in the way of this one; guarded by turn.mu
	ejects uint64 // no Eject reader has fallen out at this one; guarded by turn.mu

	// Of the readers with Block, near are those that were within half a ring of being in
	// the way when all were looked at last; far is a limit that none of the others is
	// below, cursors only grow. So one slow reader does not have every publish look at
	// all of them: beside 50,000 others it took 900 us, and takes 2 us, which is that look
	// once per half a ring (BenchmarkLaggard). Guarded by turn.mu.
	near []*Reader[T]
	far  uint64

	waits []gated[T] // the readers that were asked for the event to come; guarded by the turn
}

// gated is a reader that was in the way and whose policy is not just Block.
type gated[T any] struct {
	reader   *Reader[T]
	deadline time.Time // of BlockFor; zero: none
	then     Policy    // of BlockFor, asked at the deadline
	over     bool      // it is to skip ahead if it is still in the way at the end
}

func (g *gate[T]) open() {
	g.limit, g.blocks, g.ejects, g.far = math.MaxUint64, math.MaxUint64, math.MaxUint64, math.MaxUint64
}

func (g *gate[T]) merge() { g.limit = min(g.blocks, g.ejects) }

// lower takes note of a reader that joins and would fall out behind limit.
func (g *gate[T]) lower(kind readerKind, limit uint64) {
	switch {
	case kind.gates():
		g.blocks, g.far = min(g.blocks, limit), min(g.far, limit)
	case kind == kindEject:
		g.ejects = min(g.ejects, limit)
	}
	g.merge()
}

// enterGate is passGate for a publisher that gives the turn back if it must not
// publish.
func (h *Hub[T]) enterGate(ctx context.Context, next uint64) error {
	passed := false
	defer func() {
		if !passed {
			h.giveBack()
		}
	}()
	if err := h.passGate(ctx, next); err != nil {
		return err
	}
	passed = true
	return nil
}

// passGate waits until event next may be numbered. The turn's mutex must be held; it
// is held on return, and busy is set if it was not held all the time. With an error,
// and if a policy panics, nothing may be published.
func (h *Hub[T]) passGate(ctx context.Context, next uint64) error {
	if next > h.gate.blocks {
		if err := h.awaitReaders(ctx, next); err != nil {
			return err
		}
	}
	if next > h.gate.ejects {
		h.startSweepLocked()
	}
	return nil
}

func (h *Hub[T]) awaitReaders(ctx context.Context, next uint64) error {
	h.wakeReaders() // a batch has not done so yet
	opened := false
	defer func() {
		if !opened {
			h.gate.blocks = next - 1 // so that it is looked at again
		}
		h.gate.merge()
		for _, w := range h.gate.waits {
			w.reader.inGate = false
		}
		h.gate.waits = emptied(h.gate.waits, len(h.readers[kindAsk]))
	}()
	for h.gate.blocks < next { // again if one in the way has joined meanwhile
		h.gate.blocks = math.MaxUint64
		low, err := h.scanReaders(ctx, next)
		if err != nil {
			return err
		}
		h.gate.blocks = min(h.gate.blocks, low)
	}
	for _, w := range h.gate.waits {
		if w.over {
			h.skipReader(w.reader, next)
		}
		if !w.reader.ended.Load() {
			h.gate.blocks = min(h.gate.blocks, w.reader.limit())
		}
	}
	opened = true
	return nil
}

// scanReaders waits for everyone who is in the way of next, and returns the limit
// that it saw, without that of the readers in gate.waits.
func (h *Hub[T]) scanReaders(ctx context.Context, next uint64) (low uint64, err error) {
	low = math.MaxUint64
	// Backwards, as every pass over readers: who leaves is replaced by the last one,
	// which was looked at, and who joins lowers the limit by itself.
	for i := len(h.readers[kindAsk]) - 1; i >= 0; i-- {
		i = min(i, len(h.readers[kindAsk])-1)
		if i < 0 {
			break
		}
		switch r := h.readers[kindAsk][i]; {
		case r.inGate:
		case r.limit() >= next:
			low = min(low, r.limit())
		default:
			if err := h.askReader(r, next); err != nil {
				return 0, err
			}
		}
	}
	if next > h.gate.far {
		if err := h.sortReaders(next); err != nil {
			return 0, err
		}
	}
	for i := len(h.gate.near) - 1; i >= 0; i-- {
		i = min(i, len(h.gate.near)-1)
		if i < 0 {
			break
		}
		r := h.gate.near[i]
		limit := r.limit()
		if limit < next {
			if err := h.awaitReader(ctx, r, next); err != nil {
				return 0, err
			}
			i++ // whoever is there now
			continue
		}
		low = min(low, limit)
		if i%sweepSome == 0 && i > 0 {
			h.breatheLocked()
			if h.closed != nil {
				return 0, h.closed
			}
		}
	}
	for i := 0; i < len(h.gate.waits); i++ {
		for w := &h.gate.waits[i]; !w.over && w.reader.inTheWay(next); w = &h.gate.waits[i] {
			if err := h.awaitReader(ctx, w.reader, next); err != nil {
				return 0, err
			}
		}
	}
	return min(low, h.gate.far), nil
}

// sortReaders looks at all readers with Block and finds out which are near.
func (h *Hub[T]) sortReaders(next uint64) error {
	g := &h.gate
	for _, r := range g.near {
		r.near = 0
	}
	g.near = emptied(g.near, len(h.readers[kindBlock]))
	g.far = math.MaxUint64
	for i := len(h.readers[kindBlock]) - 1; i >= 0; i-- {
		i = min(i, len(h.readers[kindBlock])-1)
		if i < 0 {
			break
		}
		r := h.readers[kindBlock][i]
		switch limit := r.limit(); {
		case r.near != 0: // it has taken the place of one who left meanwhile
		case limit < next+uint64(h.ringCap)/2:
			g.near = append(g.near, r)
			r.near = int32(len(g.near))
		default:
			g.far = min(g.far, limit)
		}
		if i%sweepSome == 0 && i > 0 {
			h.breatheLocked()
			if h.closed != nil {
				return h.closed
			}
		}
	}
	return nil
}

// leaveNear takes r out of near if it is there.
func (g *gate[T]) leaveNear(r *Reader[T]) {
	if r.near == 0 {
		return
	}
	last := g.near[len(g.near)-1]
	g.near[r.near-1] = last
	last.near = r.near
	g.near = shrunk(g.near)
	r.near = 0
}

// breatheLocked lets others at the turn's mutex.
func (h *Hub[T]) breatheLocked() {
	h.turn.busy = true
	h.turn.mu.Unlock()
	h.turn.mu.Lock()
}

// inTheWay tells whether r must move or leave before event next is numbered.
func (r *Reader[T]) inTheWay(next uint64) bool { return r.limit() < next && !r.ended.Load() }

// askReader has the policy of r, which is in the way, decide.
func (h *Hub[T]) askReader(r *Reader[T], next uint64) error {
	r.inGate = true
	h.gate.waits = append(h.gate.waits, gated[T]{reader: r})
	w := len(h.gate.waits) - 1
	r.special.streak.note(next)
	if p, ok := r.special.policy.(blockFor); ok {
		h.gate.waits[w].deadline, h.gate.waits[w].then = h.waitStart().Add(p.d), p.then
		return nil
	}
	return h.consultReader(w, r.special.policy)
}

// consultReader asks p about gate.waits[w] and does what it says.
func (h *Hub[T]) consultReader(w int, p Policy) error {
	r := h.gate.waits[w].reader
	action := h.overflowed(r, p)
	switch {
	case h.closed != nil:
		return h.closed
	case r.ended.Load() || action == Block:
	case action == Eject:
		h.leaveReaderLocked(r, ErrEjected)
		if r.special.stop != nil {
			h.stops = append(h.stops, r.special.stop)
		}
	default:
		h.gate.waits[w].over = true
	}
	return nil
}

// overflowed asks p, without the turn's mutex.
func (h *Hub[T]) overflowed(r *Reader[T], p Policy) Action {
	h.turn.busy = true
	h.turn.mu.Unlock()
	defer h.turn.mu.Lock()
	action := p.Overflow(Overflow{
		ID: r.id, Name: r.name(), Cap: int(r.window), Dropped: r.dropped.Load(),
		Consecutive: r.special.streak.consecutive,
	})
	checkAction("Policy", action)
	return action
}

// awaitReader waits until r may not be in the way any more.
func (h *Hub[T]) awaitReader(ctx context.Context, r *Reader[T], next uint64) error {
	h.beginWait()
	h.turn.busy = true
	h.turn.mu.Unlock()
	if err := h.parkAtGate(ctx, r, next); err != nil {
		return err
	}
	if h.closed != nil {
		return h.closed
	}
	h.warn(&r.member)
	for w := range h.gate.waits {
		due := &h.gate.waits[w]
		if due.deadline.IsZero() || time.Until(due.deadline) > 0 {
			continue
		}
		due.deadline = time.Time{}
		if !due.reader.inTheWay(next) {
			continue
		}
		if err := h.consultReader(w, due.then); err != nil {
			return err
		}
	}
	return nil
}

// parkAtGate waits for r, or for whatever ends the wait, and takes the turn's mutex.
func (h *Hub[T]) parkAtGate(ctx context.Context, r *Reader[T], next uint64) error {
	defer h.turn.mu.Lock()
	for range maxYields {
		runtime.Gosched()
		if !r.inTheWay(next) {
			return nil
		}
	}
	done := ctx.Done()
	if p := r.pos.Or(posGated); p&posEnded != 0 || p>>posShift+r.window >= next {
		return nil
	}
	var alarm <-chan time.Time
	if d, set := h.nextAlarm(); set {
		t := time.NewTimer(d)
		defer t.Stop()
		alarm = t.C
	}
	select {
	case <-h.kick:
	case <-done:
	case <-alarm:
	}
	if isDone(done) { // nothing was published, so a context that has ended wins
		return causeOf(ctx)
	}
	return nil
}

// skipReader moves r on if it is still in the way of next.
func (h *Hub[T]) skipReader(r *Reader[T], next uint64) {
	for {
		p := r.pos.Load()
		cursor := p >> posShift
		if p&posEnded != 0 || cursor+r.window >= next {
			return
		}
		if p&posOne != 0 {
			r.ackUpTo(cursor - 1)
		}
		over := next - r.window - cursor
		if r.pos.CompareAndSwap(p, p&^posOne+over<<posShift) {
			h.loseReader(r, droppedOldest, over)
			return
		}
	}
}

// kickPublisher has the publisher that waits, if one does, look again.
func (h *Hub[T]) kickPublisher() {
	select {
	case h.kick <- struct{}{}:
	default:
	}
}
