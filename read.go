package broadcast

import "context"

// fill waits until it has put at least one event into dst. It looks at ctx first;
// after a wait, an event that is ready wins.
func (r *Reader[T]) fill(ctx context.Context, dst []T) (n int, err error) {
	r.release()
	if ctx.Err() != nil {
		return 0, r.failed(causeOf(ctx))
	}
	return r.await(ctx, dst)
}

// await is fill behind that first look.
func (r *Reader[T]) await(ctx context.Context, dst []T) (n int, err error) {
	for {
		if r.keep == nil {
			n, err = r.copyTo(dst)
		} else {
			n, err = r.siftTo(dst)
		}
		switch {
		case err != nil:
			return 0, r.failed(err)
		case n > 0:
			r.missed, r.gap = r.gap, 0
			return n, nil
		case !r.ready():
			if err = r.ring.wait(ctx, &r.parker, r.ready); err == nil {
				cursor := r.pos.Load() >> posShift // first: it may move on
				r.pace(r.hub.counters.seq.Load() - cursor)
			}
		case ctx.Err() != nil: // its filter rejects all that comes
			err = causeOf(ctx)
		}
		if err != nil {
			return 0, r.failed(err)
		}
	}
}

// failed is told of the error that a read returns.
func (r *Reader[T]) failed(err error) error {
	r.missed = 0
	return err
}

// ready tells whether there is something to take, or nothing any more. The end is
// looked at before the number.
func (r *Reader[T]) ready() bool {
	ended := r.ended.Load()
	p := r.pos.Load()
	return ended || p&posEnded != 0 || r.hub.counters.seq.Load() != p>>posShift
}

// release releases what was returned before.
func (r *Reader[T]) release() {
	p := r.pos.Load()
	if !r.kind.gates() {
		return
	}
	r.acked.Store(p >> posShift)
	// Looked at again: who waits asks first and then looks at acked.
	if r.pos.Load()&(posOne|posAsked) != 0 && r.pos.And(^uint64(posOne|posAsked))&posAsked != 0 {
		r.hub.released.ring()
	}
}

// copyTo copies what there is to dst. Without an error and an event, all was taken.
func (r *Reader[T]) copyTo(dst []T) (n int, err error) {
	for n < len(dst) {
		p, behind, err := r.front(n == 0)
		if behind == 0 {
			return n, err
		}
		cursor := p >> posShift
		c := r.chunkOf(cursor)
		if c == nil {
			continue // it fell behind at this very moment
		}
		off := cursor % chunkLen
		k := min(uint64(len(dst)-n), behind, chunkLen-off)
		if r.claim(p, k) {
			n += copy(dst[n:], c.slots[off:off+k])
			r.seq = r.read
		}
	}
	return n, nil
}

// front looks how many events there are to take. It takes notice of what was missed
// if that may be, which is at the beginning of a batch; else the batch ends there.
// An error comes with 0 and only there too.
func (r *Reader[T]) front(first bool) (p, behind uint64, err error) {
	for {
		ended := r.ended.Load() // before seq, which then stands still
		p = r.pos.Load()
		cursor := p >> posShift
		behind = r.hub.counters.seq.Load() - cursor
		switch {
		case p&posEnded != 0 || behind == 0 && ended:
			if !first {
				return p, 0, nil
			}
			return p, 0, r.endedWith()
		case behind == 0:
			return p, 0, nil
		case behind > r.window && !first || cursor != r.read && !first:
			return p, 0, nil
		case behind > r.window:
			r.fallBack()
		default:
			r.gap += cursor - r.read
			r.read = cursor
			return p, behind, nil
		}
	}
}

// endedWith is Err of a reader that has ended or is about to.
func (r *Reader[T]) endedWith() error {
	r.chunk.Store(nil)
	if !r.ended.Load() {
		r.hub.turn.mu.Lock() // whoever ends it is about to write why
		defer r.hub.turn.mu.Unlock()
	}
	return r.err
}

// fallBack is what becomes of a reader that has fallen out of its window.
func (r *Reader[T]) fallBack() {
	if r.kind == kindEject {
		if r.hub.endReader(r, ErrEjected, false) {
			r.leaveContext()
		}
		return
	}
	r.lag.Lock()
	r.skipLocked()
	r.lag.Unlock()
}

// chunkOf returns the chunk that holds what comes behind cursor, or nil. It says that
// it holds the chunk before it looks whether that is the one: see ring.isHeld.
func (r *Reader[T]) chunkOf(cursor uint64) *chunk[T] {
	index := cursor / chunkLen
	c := r.chunk.Load()
	if c != nil && c.index.Load() == index {
		return c
	}
	c = r.ring.chunk(index)
	r.chunk.Store(c)
	if c == nil || c.index.Load() != index {
		return nil
	}
	return c
}

// claim takes the next n events behind where p says, and tells whether it could.
func (r *Reader[T]) claim(p, n uint64) bool {
	next := p&^(posOne|posGated) + n<<posShift
	if !r.pos.CompareAndSwap(p, next) {
		if r.kind == kindBlock && (r.pos.Load()^p)>>posShift != 0 {
			panic("broadcast: Reader: two goroutines read from one at once: give each a reader of its own")
		}
		return false
	}
	r.read = next >> posShift
	if p&posGated != 0 {
		r.hub.kickPublisher()
	}
	return true
}

// siftTo is copyTo behind the filter: it claims each event when the filter has
// answered. It comes back after so many rejected in a row, with what it has, or for its
// caller to look at ctx.
func (r *Reader[T]) siftTo(dst []T) (n int, err error) {
	var filtered, row uint64
	asking := false
	defer func() {
		r.hub.filtered.Add(filtered)
		switch {
		case !asking:
		case n == 0: // the panic goes on
			r.loseNext()
		case recover() != nil: // the next call asks again
		default: // runtime.Goexit: nobody gets these
			r.lose(uint64(n))
		}
	}()
	for n < len(dst) {
		p, behind, err := r.front(n == 0)
		if behind == 0 {
			return n, err
		}
		cursor := p >> posShift
		c := r.chunkOf(cursor)
		if c == nil {
			continue
		}
		event := &c.slots[cursor%chunkLen]
		asking = true
		keep := r.keep(*event)
		asking = false
		switch {
		case !r.claimOne(p): // it was skipped, or the reader has ended
		case keep:
			dst[n] = *event
			n++
			row = 0
			r.seq = cursor + 1
		default:
			filtered++
			row++
			r.special.filtered.Add(1)
			if row == chunkLen {
				return n, nil
			}
		}
	}
	return n, nil
}

// loseNext gives up the event at which the filter did not return.
func (r *Reader[T]) loseNext() {
	if p := r.pos.Load(); p&posEnded == 0 && p>>posShift == r.read && r.claimOne(p) {
		r.lose(1)
	}
}

// claimOne takes the event behind where p says, unless that was skipped or the reader
// has ended. A flag that is set meanwhile is no reason to ask the filter again.
func (r *Reader[T]) claimOne(p uint64) bool {
	for !r.claim(p, 1) {
		now := r.pos.Load()
		if now&posEnded != 0 || now>>posShift != p>>posShift {
			return false
		}
		p = now
	}
	return true
}

// lose counts n events, which were claimed, as dropped.
func (r *Reader[T]) lose(n uint64) {
	r.gap += n
	r.hub.loseReader(r, droppedNewest, n)
}
