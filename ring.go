package broadcast

import (
	"reflect"
	"sync/atomic"
)

// chunkLen is how many events a chunk holds.
const chunkLen = 64

// defaultRing is the capacity of a ring that appears with the first reader.
const defaultRing = 1024

// clearUpTo is the size of the largest events, in bytes, whose chunks are cleared at once:
// the publish that does so takes longer by that (some 2 us at this size, 40 ns at 64 bytes).
const clearUpTo = 4096

// ring holds the newest events of a hub for its readers: at least capacity of
// them, and at most two chunks more. It is a directory of chunks.
//
// A slot is written before the hub's seq reaches its number, and not again while
// anybody may read it: so whoever has loaded seq reads the slots up to it without a
// lock. A chunk that falls out of the directory is used again if it has been read,
// which a ring knows where publishers wait for all of its readers. Otherwise it is
// left to the garbage collector.
type ring[T any] struct {
	lot      // of the readers that have taken all there is
	capacity uint64
	start    uint64                     // it holds nothing up to this number; written once
	dir      []atomic.Pointer[chunk[T]] // chunk i is at i modulo its length
	clears   bool                       // chunks before they are used again; written once

	// Guarded by the turn's mutex.
	last  *chunk[T] // the newest
	loose int       // live readers that publishers do not wait for until they have read
	kept  uint64    // chunks below this may be in the hands of one who has left
}

// chunk holds the events chunkLen*index+1 and on.
type chunk[T any] struct {
	index atomic.Uint64
	slots [chunkLen]T
}

// newRing makes a ring for the events behind seq.
func newRing[T any](capacity int, seq uint64) *ring[T] {
	// The newest capacity events lie in at most so many chunks.
	chunks := (capacity+chunkLen-1)/chunkLen + 1
	r := &ring[T]{capacity: uint64(capacity), start: seq, dir: make([]atomic.Pointer[chunk[T]], chunks)}
	r.clears = reflect.TypeFor[T]().Size() <= clearUpTo
	if seq%chunkLen != 0 {
		r.grow(seq / chunkLen)
	}
	return r
}

// slot is where event seq, the one behind the newest, is to be written. The turn's
// mutex must be held.
func (r *ring[T]) slot(seq uint64) *T {
	i := (seq - 1) % chunkLen
	if i == 0 {
		r.grow((seq - 1) / chunkLen)
	}
	return &r.last.slots[i]
}

// grow adds chunk index in place of the oldest, which becomes the new one if it has
// been read: the collector does not come then, so that one reader has an event in half
// the time or less (BenchmarkPairReaders).
func (r *ring[T]) grow(index uint64) {
	place := &r.dir[index%uint64(len(r.dir))]
	c := place.Load()
	if c == nil || !r.isRead(c) {
		c = new(chunk[T])
	} else if r.clears {
		// It lies in the caches of those who read it. To get it back at once costs less than
		// slot by slot, where each publish waits for its own: see BenchmarkPairSizes.
		clear(c.slots[:])
	}
	c.index.Store(index)
	r.last = c
	place.Store(c)
}

// isRead tells whether nobody reads c, the oldest chunk, now that the event behind
// the newest chunk may be numbered.
//
// That a Block reader may be in the way of that event, and is not, means that it has
// claimed an event behind c: windows are no larger than the ring, and the ring has one
// chunk more than the window needs. It copies what it has claimed from one chunk before
// it claims from the next. Readers that are not waited for claim and copy when they
// like. One that leaves may be between the two, or at the slot that its filter is to
// be asked about before it claims, up to the event behind the newest of that moment.
func (r *ring[T]) isRead(c *chunk[T]) bool {
	return r.loose == 0 && c.index.Load() >= r.kept
}

// join and leave are told of the readers that publishers know; seq is the number of
// the newest event.
func (r *ring[T]) join(kind readerKind) {
	if kind != kindBlock {
		r.loose++
	}
}

func (r *ring[T]) leave(kind readerKind, seq uint64) {
	if kind != kindBlock {
		r.loose--
	}
	r.kept = seq/chunkLen + 1
}

// chunk returns chunk index, or nil if it has gone.
func (r *ring[T]) chunk(index uint64) *chunk[T] {
	c := r.dir[index%uint64(len(r.dir))].Load()
	if c == nil || c.index.Load() != index {
		return nil
	}
	return c
}

// oldest is the number behind which the ring has everything up to seq.
func (r *ring[T]) oldest(seq uint64) uint64 {
	return max(r.start, seq-min(seq, r.capacity))
}
