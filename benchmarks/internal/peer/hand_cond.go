package peer

import (
	"slices"
	"sync"
)

// handCond is one ring for all, behind one mutex, with a sync.Cond for those that have
// read everything and one for the publishers that find the slowest reader a whole ring
// behind. A reader takes what there is, at most 64 events, with one lock.
var handCond = Peer{
	Name:  "cond",
	Title: "ring with one mutex and sync.Cond",
	How:   "one ring of buffer slots, readers take up to 64 events under the mutex; publishers wait for the slowest",
	Ahead: "publisher and readers take turns at one mutex, and whoever sleeps lets the other run through the whole buffer: " +
		"quickest with few readers, and the more readers the longer they queue for the mutex. A publish asks no context " +
		"and numbers nothing that others read beside it, and nobody can be ejected, skip or leave a wait",
	Bounds: true,
	Quick:  true,
	New: func(c Config) Bus {
		r := &condRing{slots: make([]Event, c.Buffer)}
		r.data.L, r.room.L = &r.mu, &r.mu
		return r
	},
}

type condRing struct {
	mu         sync.Mutex
	data, room sync.Cond
	slots      []Event
	head       uint64 // how many events were published
	low        uint64 // no reader has read less, as of the last look
	atLow      int    // how many of the readers are still there
	readers    []*condReader
	closed     bool
}

type condReader struct {
	at    uint64
	ended bool
}

func (r *condRing) Subscribe(take func(Event)) func() {
	r.mu.Lock()
	me := &condReader{at: r.head}
	r.readers = append(r.readers, me)
	if me.at == r.low {
		r.atLow++
	}
	r.mu.Unlock()
	go func() {
		batch := make([]Event, min(64, len(r.slots)))
		for {
			n := r.read(me, batch)
			if n == 0 {
				return
			}
			for _, e := range batch[:n] {
				take(e)
			}
		}
	}()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if i := slices.Index(r.readers, me); i >= 0 {
			r.readers = slices.Delete(r.readers, i, i+1)
			me.ended = true
			r.leave(me)
			r.data.Broadcast()
		}
	}
}

// read copies what there is for me, and waits for something. 0 is the end.
func (r *condRing) read(me *condReader, batch []Event) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for me.at == r.head && !me.ended && !r.closed {
		r.data.Wait()
	}
	if me.at < r.head && !me.ended {
		r.leave(me)
	}
	for ; n < len(batch) && me.at < r.head && !me.ended; n++ {
		batch[n] = r.slots[me.at%uint64(len(r.slots))]
		me.at++
	}
	return n
}

// leave is called where a reader goes on. The last of the slowest makes room.
func (r *condRing) leave(me *condReader) {
	if me.at != r.low {
		return
	}
	if r.atLow--; r.atLow == 0 {
		r.room.Broadcast()
	}
}

func (r *condRing) Publish(e Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.full() && !r.closed {
		r.room.Wait()
	}
	if r.closed {
		return errClosed
	}
	r.slots[r.head%uint64(len(r.slots))] = e
	r.head++
	r.data.Broadcast()
	return nil
}

// full looks at the readers only when the ring is full by the last look.
func (r *condRing) full() bool {
	size := uint64(len(r.slots))
	if r.head-r.low < size {
		return false
	}
	r.low, r.atLow = r.head, 0
	for _, reader := range r.readers {
		switch {
		case reader.at < r.low:
			r.low, r.atLow = reader.at, 1
		case reader.at == r.low:
			r.atLow++
		}
	}
	return r.head-r.low >= size
}

func (r *condRing) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.data.Broadcast()
	r.room.Broadcast()
	return nil
}
