package broadcast

import (
	"context"
	"math"
	"slices"
	"sync/atomic"
)

// ringside is what a hub keeps for its readers.
type ringside[T any] struct {
	ring     atomic.Pointer[ring[T]] // nil: there was no reader yet; written once, with the turn's mutex held
	ringCap  int                     // written once, by New
	replays  bool                    // the hub was made WithRing; written once, by New
	readers  [readerKinds][]*Reader[T]
	gate     gate[T]
	released released
	sweep    sweep

	undoneReaders []*Reader[T] // after Close: those that had not drained; guarded by turn.mu
}

// NewReader adds a reader. Every event whose Publish begins after NewReader has
// returned is offered to it; WithReplay and WithResumeAfter add events from before.
// Its policy is that of the hub unless WithPolicy is given:
//
//   - Block: publishers wait for it when it is a whole window behind. Lossless.
//   - DropOldest, and a hub's DropNewest: it skips ahead to its window, and Missed
//     says how far.
//   - Eject: it ends with ErrEjected soon after it has fallen out of its window.
//   - BlockFor and a PolicyFunc are asked before the event is published.
//
// On a closed hub, and with a context that is done, it returns a reader that has
// already ended, as its Err says. It never waits for a blocked publisher, at most for
// passes of publishers that do not wait. It costs O(1). It panics if a filter is not
// for the hub's T, or its window is 0 or larger than the ring.
func (h *Hub[T]) NewReader(opts ...SubscribeOption) *Reader[T] {
	c := subscribeConfig{buffer: -1}
	if len(opts) > 0 {
		c = c.with(opts)
	}
	r := h.newReader(c)
	if ctx := c.ctx; ctx != nil {
		if ctx.Err() != nil {
			h.endReader(r, causeOf(ctx), false)
			return r
		}
		r.special.stop = context.AfterFunc(ctx, func() { h.endReader(r, causeOf(ctx), false) })
	}
	h.turn.mu.Lock()
	closed := h.closed
	if closed == nil && !r.ended.Load() {
		h.joinReaderLocked(r, c)
	}
	h.turn.mu.Unlock()
	if closed != nil && h.endReader(r, closed, false) {
		r.leaveContext()
	}
	return r
}

// newReader makes a reader that has not joined yet.
func (h *Hub[T]) newReader(c subscribeConfig) *Reader[T] {
	window := c.buffer
	switch {
	case window < 0:
		window = h.ringCap
	case window == 0:
		panic("broadcast: NewReader: a window of 0: pass 1 or more to WithBuffer, or leave it out")
	case window > h.ringCap:
		panic("broadcast: NewReader: the window is larger than the ring: pass less to WithBuffer, or more to WithRing")
	}
	h.checkStart("NewReader", c)
	if c.policy == Policy(DropNewest) {
		panic("broadcast: NewReader: a reader cannot have DropNewest: pass DropOldest, or use Subscribe")
	}
	policy := c.policy
	if policy == nil {
		policy = h.policy
	}
	r := &Reader[T]{hub: h, window: uint64(window), keep: filterOf[T](c), at: -1, kind: kindAsk}
	if action, known := policy.(Action); known {
		r.kind = [...]readerKind{Block: kindBlock, DropNewest: kindDrop, DropOldest: kindDrop, Eject: kindEject}[action]
	}
	if r.kind == kindAsk || r.keep != nil || c.name != "" || c.ctx != nil {
		r.special = &special{name: c.name, policy: policy}
	}
	r.parker.init()
	return r
}

// checkStart panics unless c says where to start in a way that the hub allows.
func (h *Hub[T]) checkStart(fn string, c subscribeConfig) {
	switch {
	case c.replay > 0 && !h.replays:
		panic("broadcast: " + fn + ": WithReplay needs events to replay: make the hub WithRing")
	case c.replay > 0 && c.resumes:
		panic("broadcast: " + fn + ": both WithReplay and WithResumeAfter: pass one of them")
	}
}

func (h *Hub[T]) joinReaderLocked(r *Reader[T], c subscribeConfig) {
	seq := h.seq.Load()
	if h.ring.Load() == nil {
		h.ring.Store(newRing(h.ringCap, seq, &h.readers))
	}
	r.ring = h.ring.Load()
	start, missed := r.ring.begin(c, seq, r.window)
	h.lastID++
	r.id = h.lastID
	r.parker.join(r.id)
	r.joined = start - missed
	r.read, r.seq = r.joined, r.joined
	r.acked.Store(start)
	r.pos.Store(start << posShift)
	r.at = int32(len(h.readers[r.kind]))
	h.readers[r.kind] = append(h.readers[r.kind], r)
	h.registry.join(r)
	if missed > 0 {
		h.loseReader(r, droppedOldest, missed)
	}
	h.gate.lower(r.kind, start+r.window)
	if r.kind.gates() {
		h.released.ring()
	}
	h.gainInterestLocked()
}

// begin is where a reader that is configured by c starts, and how many events
// that were to be its own it has missed already.
func (r *ring[T]) begin(c subscribeConfig, seq, window uint64) (start, missed uint64) {
	oldest := r.oldest(seq)
	from := seq
	switch {
	case c.replay > 0:
		from = seq - min(uint64(c.replay-1), seq-oldest)
	case c.resumes:
		from = min(c.after, seq)
	}
	start = max(from, oldest, seq-min(seq, window))
	return start, start - from
}

// loseReader counts n events as lost for r.
func (h *Hub[T]) loseReader(r *Reader[T], why dropReason, n uint64) {
	r.dropped.Add(n)
	h.dropped[why].Add(n)
	h.losses.noteMany(lossDropped, &r.member, n)
}

// endReader ends r with err, and tells whether it was live until then. If byUser, it
// ends also what a reader may do after its hub was closed.
func (h *Hub[T]) endReader(r *Reader[T], err error, byUser bool) bool {
	h.turn.mu.Lock()
	defer h.turn.mu.Unlock()
	switch {
	case r.ended.Load():
		if byUser && r.byHub && r.pos.Or(posEnded)&posEnded == 0 {
			h.forgetReaderLocked(r)
		}
		return false
	case r.at < 0: // its context ended, or the hub closed, before it joined
		r.pos.Or(posEnded)
		r.finish(err, 0)
	default:
		h.leaveReaderLocked(r, err)
	}
	return true
}

// leaveReaderLocked takes the live r out of the hub. One that has fallen out of its
// window has been ejected, even if nobody has noticed yet.
func (h *Hub[T]) leaveReaderLocked(r *Reader[T], err error) {
	left := h.seq.Load()
	r.lag.Lock()
	r.skipLocked()
	p := r.pos.Or(posEnded)
	r.lag.Unlock()
	if r.kind == kindEject {
		left = min(left, p>>posShift+r.window)
		if left < h.seq.Load() {
			err = ErrEjected
		}
	}
	r.finish(err, left)
	h.forgetReaderLocked(r)
	h.registry.leave(r, left)
	if p&posGated != 0 {
		h.kickPublisher()
	}
	r.ring.wakeOne(&r.parker)
	if err == ErrEjected { //nolint:errorlint // it is never wrapped
		h.ejected.Add(1)
		h.losses.note(lossEjected, &r.member)
		h.hooks.eject(r.Stats())
	}
	h.loseInterestLocked()
}

// forgetReaderLocked takes r off the list of its kind.
func (h *Hub[T]) forgetReaderLocked(r *Reader[T]) {
	list := h.readers[r.kind]
	if r.at < 0 || int(r.at) >= len(list) || list[r.at] != r {
		return
	}
	last := list[len(list)-1]
	list[r.at] = last
	last.at = r.at
	h.readers[r.kind] = shrunk(list)
	r.ring.leave(h.seq.Load())
	h.gate.leaveNear(r)
	if r.kind.gates() {
		if len(h.readers[kindBlock])+len(h.readers[kindAsk]) == 0 {
			h.released.floor = max(h.released.floor, r.releasedTo())
		}
		h.released.ring()
	}
}

// closeReadersLocked ends all readers because the hub has closed, and adds them to
// ended. Those that gate stay in their lists: they may still release what they drain.
func (h *Hub[T]) closeReadersLocked(ended []*Reader[T], left uint64) []*Reader[T] {
	for kind := range h.readers {
		for _, r := range h.readers[kind] {
			r.lag.Lock()
			r.skipLocked()
			r.lag.Unlock()
			r.byHub = true
			r.finish(h.closed, left)
			if r.pos.Load()>>posShift != left {
				h.undoneReaders = append(h.undoneReaders, r)
			}
			ended = append(ended, r)
		}
		if !readerKind(kind).gates() {
			h.readers[kind] = nil
		}
	}
	h.wakeReaders()
	h.kickPublisher()
	h.released.ring()
	return ended
}

// ejectReadersLocked ends the Eject readers that have fallen out of their windows.
func (h *Hub[T]) ejectReadersLocked() (ejected []*Reader[T]) {
	for _, r := range slices.Backward(h.readers[kindEject]) {
		if r.limit() < h.seq.Load() {
			h.leaveReaderLocked(r, ErrEjected)
			ejected = append(ejected, r)
		}
	}
	return ejected
}

// limit is the last number at which the reader is not out of its window.
func (r *Reader[T]) limit() uint64 { return r.pos.Load()>>posShift + r.window }

// sweep ends the Eject readers that have fallen out of their windows, on a goroutine
// that lives for one pass.
type sweep struct {
	running atomic.Bool // written with the turn's mutex held
	start   func()      // kept, because each evaluation allocates
}

// startSweepLocked starts the sweep unless it runs. A sweep sees all who joined
// before it began; the others lower the limit.
func (h *Hub[T]) startSweepLocked() {
	if h.sweep.running.Load() {
		return
	}
	h.sweep.running.Store(true)
	if h.sweep.start == nil {
		h.sweep.start = h.sweepReaders
	}
	h.gate.ejects = math.MaxUint64
	h.gate.merge()
	go h.sweep.start()
}

// sweepSome is how many readers a sweep or a scan looks at before it lets others at
// the turn's mutex.
const sweepSome = 1024

func (h *Hub[T]) sweepReaders() {
	var stops []func() bool
	h.turn.mu.Lock()
	low := uint64(math.MaxUint64)
	// Backwards: who leaves is replaced by the last one, which was looked at.
	for i := len(h.readers[kindEject]) - 1; i >= 0; i-- {
		list := h.readers[kindEject]
		if i >= len(list) {
			i = len(list)
			continue
		}
		r := list[i]
		if limit := r.limit(); limit >= h.seq.Load() {
			low = min(low, limit)
		} else {
			h.leaveReaderLocked(r, ErrEjected)
			if r.special != nil && r.special.stop != nil {
				stops = append(stops, r.special.stop)
			}
		}
		if i%sweepSome == 0 && i > 0 {
			h.turn.mu.Unlock()
			h.turn.mu.Lock()
		}
	}
	h.gate.ejects = min(h.gate.ejects, low)
	h.gate.merge()
	h.sweep.running.Store(false)
	if h.gate.ejects < h.seq.Load() && h.closed == nil {
		h.startSweepLocked() // it has gone on meanwhile
	}
	h.turn.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
}
