package broadcast

import "sync/atomic"

// chunkLen is how many events a chunk holds.
const chunkLen = 64

// defaultRing is the capacity of a ring that appears with the first reader.
const defaultRing = 1024

// ring holds the newest events of a hub for its readers: at least capacity of
// them, and at most two chunks more. It is a directory of chunks.
//
// A slot is written once, before the hub's seq reaches its number, and never
// again: so whoever has loaded seq reads the slots up to it without a lock. A chunk
// that falls out of the directory is not used again but left to the garbage
// collector, so nobody ever reads what is being written.
type ring[T any] struct {
	lot      // of the readers that have taken all there is
	capacity uint64
	start    uint64                     // it holds nothing up to this number; written once
	dir      []atomic.Pointer[chunk[T]] // chunk i is at i modulo its length
	last     *chunk[T]                  // the newest; guarded by the turn's mutex
}

// chunk holds the events chunkLen*index+1 and on.
type chunk[T any] struct {
	index uint64
	slots [chunkLen]T
}

// newRing makes a ring for the events behind seq.
func newRing[T any](capacity int, seq uint64) *ring[T] {
	// The newest capacity events lie in at most so many chunks.
	chunks := (capacity+chunkLen-1)/chunkLen + 1
	r := &ring[T]{capacity: uint64(capacity), start: seq, dir: make([]atomic.Pointer[chunk[T]], chunks)}
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

// grow adds chunk index and lets the oldest go.
func (r *ring[T]) grow(index uint64) {
	r.last = &chunk[T]{index: index}
	r.dir[index%uint64(len(r.dir))].Store(r.last)
}

// chunk returns chunk index, or nil if it has gone.
func (r *ring[T]) chunk(index uint64) *chunk[T] {
	c := r.dir[index%uint64(len(r.dir))].Load()
	if c == nil || c.index != index {
		return nil
	}
	return c
}

// oldest is the number behind which the ring has everything up to seq.
func (r *ring[T]) oldest(seq uint64) uint64 {
	return max(r.start, seq-min(seq, r.capacity))
}

// idle tells whether no goroutine of the ring runs. There may be no ring.
func (r *ring[T]) idle() bool { return r == nil || r.lot.idle() }
