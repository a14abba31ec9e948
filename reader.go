package broadcast

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
)

// Reader follows a hub's shared ring with a cursor of its own: it takes the same
// events in the same order as a Subscription, but has no buffer, so that a publish
// costs the same for one reader and for very many.
//
// Next, ReadBatch, All, Seq and Missed belong to one goroutine at a time; a second
// one in Next or ReadBatch is a wrong program, which panics where that is seen.
// Close, Err and Stats may be called by any number of goroutines at once.
//
// A reader costs at most 384 bytes, and no goroutine.
type Reader[T any] struct {
	// What a Next looks at comes first and together: of ten thousand readers that are
	// woken, none is in a cache (BenchmarkPairLast: 1.9 times channels, and 2.0 without).
	hub    *Hub[T]
	ring   *ring[T]     // written once, when it joins
	keep   func(T) bool // nil: no filter; written once, before it joins
	window uint64       // how far it may be behind; written once, before it joins

	// pos is the number of the last event that it is done with, above the flags. A
	// range is claimed by moving it, before the range is copied: so Close, Eject and
	// Stats never see half a batch.
	pos   atomic.Uint64
	acked atomic.Uint64 // released up to here, unless posOne says more; only if it gates

	// These belong to the goroutine that reads.
	parker
	chunk  atomic.Pointer[chunk[T]] // the one that it holds: stored by it, and loaded by publishers
	read   uint64                   // where pos was left; what it moved beyond that is missed
	gap    uint64                   // missed since an event was returned
	missed uint64
	seq    uint64

	kind readerKind // written once, before it joins
	member
	byHub  bool  // it ended because the hub closed; guarded by the turn's mutex
	inGate bool  // its policy was asked for the event to come; guarded by the turn
	at     int32 // its place in hub.readers once it has joined, -1 before, or forsaken; guarded by the turn's mutex
	near   int32 // its place in the gate's list of that name, and 1; guarded by the turn's mutex
	side   int32 // its place among the side members of its shard; guarded by the shard's mutex

	lag  sync.Mutex // held where pos skips what fell out of the window
	lost uint64     // of readers that skip ahead: what they skipped; guarded by lag
}

// The flags in Reader.pos.
const (
	posEnded = 1 << iota // reads return Err at once
	posOne               // the last read returned one event, the one before it is released
	posGated             // the publisher waits for this reader
	posAsked             // WaitReleased waits for this reader

	posFlags = 1<<iota - 1
	posShift = iota
)

// readerKind is what its policy makes of a reader.
type readerKind uint8

const (
	kindBlock readerKind = iota // Block: it gates
	kindAsk                     // BlockFor or a policy of the user's own: it gates, and the policy is asked
	kindDrop                    // DropOldest: it skips ahead
	kindEject                   // Eject
	readerKinds
)

func (k readerKind) gates() bool { return k <= kindAsk }

// Next returns the next event, and waits for one. It returns the cause of ctx if
// ctx is done, before anything else; when it waits, an event that is ready wins.
// After the end of the reader it returns Err: at once if the reader was closed,
// ejected or ended with its context, after what was left if the hub was closed.
// With an error nothing is lost but what Missed will say.
//
// Asking for an event releases the one before (see Hub.Released), also when that
// fails. If the reader's filter panics, the event counts as dropped, and the panic
// goes on up through Next. Next allocates nothing, and costs no lock while there is
// something to take. It panics if ctx is nil.
func (r *Reader[T]) Next(ctx context.Context) (event T, err error) {
	checkContext("Next", ctx)
	for waited := false; ; waited = true {
		p := r.pos.Load()
		cursor := p >> posShift
		behind := r.hub.counters.seq.Load() - cursor
		if waited {
			r.pace(behind)
		}
		if p&^posOne == cursor<<posShift && behind-1 < r.window && r.keep == nil && r.read == cursor &&
			(waited || ctx.Err() == nil) {
			c := r.chunk.Load()
			if c != nil && c.index.Load() == cursor/chunkLen && r.pos.CompareAndSwap(p, (cursor+1)<<posShift|posOne) {
				r.read, r.seq = cursor+1, cursor+1
				r.missed, r.gap = r.gap, 0
				return c.slots[cursor%chunkLen], nil
			}
		}
		if waited || r.ready() || r.keep != nil {
			err = r.nextOther(ctx, &event, waited)
			return event, err
		}
		r.release()
		if ctx.Err() != nil {
			return event, r.failed(causeOf(ctx))
		}
		// It waits here and not in await, and what is not needed for that is in nextOther's
		// frame: of ten thousand readers that are woken, no stack is in a cache
		// (BenchmarkPairLast: 1.5 times channels, and 1.8 where it waited in await).
		if err := r.ring.wait(ctx, &r.parker, r.ready); err != nil {
			return event, r.failed(err)
		}
	}
}

// nextOther is Next where there is more to do than to take the event from the chunk
// that the one before came from.
//
//go:noinline
func (r *Reader[T]) nextOther(ctx context.Context, event *T, waited bool) (err error) {
	var one [1]T
	if waited {
		_, err = r.await(ctx, one[:])
	} else {
		_, err = r.fill(ctx, one[:])
	}
	*event = one[0]
	return err
}

// ReadBatch waits until there is at least one event, and puts as many as there are
// into dst, at most len(dst). It returns how many these are, and an error only with
// 0, as Next does; after an event was lost it begins a new batch. With an empty dst
// it returns 0 and nil at once and changes nothing.
//
// If the reader's filter panics after other events passed it, these are returned
// first, and the next call asks the filter again. ReadBatch allocates nothing. It
// panics if ctx is nil.
func (r *Reader[T]) ReadBatch(ctx context.Context, dst []T) (int, error) {
	checkContext("ReadBatch", ctx)
	if len(dst) == 0 {
		return 0, nil
	}
	return r.fill(ctx, dst)
}

// All returns the events as Next does, until that would return an error: when the
// reader has ended, or ctx, also under constant load. Err tells the first from the
// second. The reader is not closed when the loop ends. It panics if ctx is nil.
func (r *Reader[T]) All(ctx context.Context) iter.Seq[T] {
	checkContext("All", ctx)
	return func(yield func(T) bool) {
		for {
			event, err := r.Next(ctx)
			if err != nil || !yield(event) {
				return
			}
		}
	}
}

// Seq returns the sequence number of the event that was returned last; before the
// first one, the number that the reader joined behind. After a ReadBatch with a
// filter it is that of the last event in the batch. The first event of a hub has
// number 1. It never blocks.
func (r *Reader[T]) Seq() uint64 { return r.seq }

// Missed returns how many events were lost just before those that the last call of
// Next or ReadBatch returned, exactly: those that left the reader's window before it
// took them, and those at which its filter panicked. What its filter would have
// rejected counts too. It is 0 after an error. It never blocks.
func (r *Reader[T]) Missed() uint64 { return r.missed }

// Close ends the reader; Err is then ErrClosed. A Next that waits returns that,
// and a publisher that waits for the reader goes on. What it has not read stays
// unread, also if its hub has closed before. Close is idempotent, may be called by
// anyone at any time, and waits for nobody's room or code: at most for passes of
// publishers that do not wait. It costs O(1).
func (r *Reader[T]) Close() {
	if r.hub.endReader(r, ErrClosed, true) {
		r.leaveContext()
	}
}

// Err returns nil while the reader is live, and then why it ended: ErrClosed after
// its own Close or the hub's (wrapping the reason that CloseWithError gave),
// ErrEjected, or the cause of its context. It never blocks.
func (r *Reader[T]) Err() error {
	if r.ended.Load() {
		return r.err
	}
	return nil
}

// Stats returns what the hub knows of the reader, also after it has ended. Len is
// how far it is behind, and Cap its window. It never waits for a publisher.
func (r *Reader[T]) Stats() SubscriptionStats {
	cursor, upTo, lost := r.look()
	st := SubscriptionStats{
		ID:       r.id,
		Name:     r.name(),
		Reader:   true,
		Len:      int(upTo - min(upTo, cursor)),
		Cap:      int(r.window),
		Offered:  upTo - r.joined,
		Dropped:  r.dropped.Load() + lost,
		Filtered: r.filtered(),
	}
	gone := uint64(st.Len) + st.Dropped + st.Filtered
	st.Received = st.Offered - min(st.Offered, gone)
	return st
}

// look returns where the reader is, up to where events were offered to it, and what
// it skipped, as they are at one moment.
func (r *Reader[T]) look() (cursor, upTo, lost uint64) {
	r.lag.Lock()
	defer r.lag.Unlock()
	r.skipLocked()
	cursor = r.pos.Load() >> posShift
	return cursor, max(cursor, r.upTo(cursor)), r.lost
}

// upTo is the number of the last event that was offered to the reader, which is at
// cursor. One that Eject is about to end has left when it fell out of its window.
func (r *Reader[T]) upTo(cursor uint64) uint64 {
	upTo := r.hub.counters.seq.Load() // first, as in member.offered
	if r.ended.Load() {
		return r.left
	}
	if r.kind == kindEject {
		upTo = min(upTo, cursor+r.window)
	}
	return upTo
}

// skipLocked moves a reader that skips ahead to its window, and counts what it
// skipped. The lag mutex must be held, so that nobody sees one without the other.
func (r *Reader[T]) skipLocked() {
	if r.kind != kindDrop {
		return
	}
	for {
		p := r.pos.Load()
		cursor := p >> posShift
		upTo := r.upTo(cursor)
		if p&posEnded != 0 || upTo <= cursor+r.window {
			return
		}
		if over := upTo - cursor - r.window; r.pos.CompareAndSwap(p, p+over<<posShift) {
			r.lost += over
			r.hub.losses.noteMany(lossDropped, &r.member, over)
			return
		}
	}
}

// tally is what the registry sums up of a side member: what a reader that skips
// ahead has lost, and what was offered to one that may be ejected.
func (r *Reader[T]) tally() uint64 {
	_, upTo, lost := r.look()
	if r.kind == kindDrop {
		return lost
	}
	return upTo - r.joined
}

func (r *Reader[T]) sidePlace() (side, *int32) {
	switch r.kind {
	case kindDrop:
		return lostSide, &r.side
	case kindEject:
		return offerSide, &r.side
	}
	return noSide, nil
}

func (r *Reader[T]) base() *member { return &r.member }
func (r *Reader[T]) board() *desk  { return &r.hub.desk }

// take is a Next that tells the end of the reader from that of ctx.
func (r *Reader[T]) take(ctx context.Context) (event T, ok, ended bool) {
	event, err := r.Next(ctx)
	if err == nil {
		return event, true, false
	}
	return event, false, ctx.Err() == nil && r.ended.Load()
}

func (r *Reader[T]) forsake() {
	h := r.hub
	h.turn.mu.Lock()
	defer h.turn.mu.Unlock()
	if h.closed != nil && r.at >= 0 {
		r.at = forsaken
	}
}
