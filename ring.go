package broadcast

import (
	"math"
	"reflect"
	"sync/atomic"
)

// chunkLen is how many events a chunk holds.
const chunkLen = 64

// defaultRing is the capacity of a ring that appears with the first reader.
const defaultRing = 1024

// clearUpTo is the size of the largest events, in bytes, whose chunks are cleared at once:
// the publish that does so takes longer by that (BenchmarkOpening, where another core has just
// read them: 7 us at this size, 0.5 us at 64 bytes).
const clearUpTo = 4096

// heldMost is how many readers that publishers do not wait for are looked at, at most, to
// have the oldest chunk used again. A publish then takes 0.43 of the time without for one such
// reader, 0.64 for 15 and 0.87 for 63 (BenchmarkLoose); with 127, and that bound, 0.99.
const heldMost = 64

// ring holds the newest events of a hub for its readers: at least capacity of
// them, and at most two chunks more. It is a directory of chunks.
//
// A slot is written before the hub's seq reaches its number, and not again while
// anybody may read it: so whoever has loaded seq reads the slots up to it without a
// lock. A chunk that falls out of the directory is used again if nobody can be reading
// it any more. Otherwise it is left to the garbage collector.
type ring[T any] struct {
	lot      // of the readers that have taken all there is
	capacity uint64
	start    uint64                     // it holds nothing up to this number; written once
	dir      []atomic.Pointer[chunk[T]] // chunk i is at i modulo its length
	clears   bool                       // chunks before they are used again; written once

	// Guarded by the turn's mutex.
	readers *[readerKinds][]*Reader[T] // those of the hub that are live
	last    *chunk[T]                  // the newest
	kept    uint64                     // chunks below this may be in the hands of one who has left
}

// chunk holds the events chunkLen*index+1 and on.
type chunk[T any] struct {
	index atomic.Uint64 // noChunk while it is taken out
	slots [chunkLen]T
}

// noChunk is an index that nobody looks for.
const noChunk = math.MaxUint64

// newRing makes a ring for the events behind seq, which readers are going to read.
func newRing[T any](capacity int, seq uint64, readers *[readerKinds][]*Reader[T]) *ring[T] {
	// The newest capacity events lie in at most so many chunks.
	chunks := (capacity+chunkLen-1)/chunkLen + 1
	r := &ring[T]{capacity: uint64(capacity), start: seq, dir: make([]atomic.Pointer[chunk[T]], chunks), readers: readers}
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

// isRead tells whether nobody reads c, the oldest chunk, or will, now that the event
// behind the newest chunk may be numbered.
//
// That a Block reader may be in the way of that event, and is not, means that it has
// claimed an event behind c: windows are no larger than the ring, and the ring has one
// chunk more than the window needs. It copies what it has claimed from one chunk before
// it claims from the next. Readers that are not waited for claim and copy when they
// like, and are asked which chunk they hold. One that leaves may be between the two, or at
// the slot that its filter is to be asked about before it claims, up to the event behind the
// newest of that moment.
func (r *ring[T]) isRead(c *chunk[T]) bool {
	return c.index.Load() >= r.kept && !r.isHeld(c)
}

// isHeld tells whether a reader that publishers do not wait for may hold c, and takes c
// out for that: these are hazard pointers (Michael, IEEE TPDS 15(6), 2004). A reader
// stores that it holds c before it looks at c's index, and here the index is changed before
// it is looked at who holds c. So who is not seen here finds that c is not its chunk.
func (r *ring[T]) isHeld(c *chunk[T]) bool {
	loose := r.readers[kindBlock+1:]
	count := 0
	for _, list := range loose {
		count += len(list)
	}
	if count == 0 || count > heldMost {
		return count > 0
	}
	c.index.Store(noChunk)
	for _, list := range loose {
		for _, reader := range list {
			if reader.chunk.Load() == c {
				return true
			}
		}
	}
	return false
}

// leave is told of a reader that has left when seq was the number of the newest event.
func (r *ring[T]) leave(seq uint64) { r.kept = seq/chunkLen + 1 }

// chunk returns what stands in the place of chunk index: that one, a newer one or nil.
// With the turn's mutex it is that one if the ring still has it.
func (r *ring[T]) chunk(index uint64) *chunk[T] {
	return r.dir[index%uint64(len(r.dir))].Load()
}

// oldest is the number behind which the ring has everything up to seq.
func (r *ring[T]) oldest(seq uint64) uint64 {
	return max(r.start, seq-min(seq, r.capacity))
}
