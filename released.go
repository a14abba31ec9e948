package broadcast

import (
	"context"
	"math"
	"sync"
)

// released is what a hub keeps of what its readers have released.
type released struct {
	floor uint64 // what Released has returned, or would have when the last reader left; guarded by turn.mu

	mu   sync.Mutex
	rung chan struct{} // closed at the next change; nil: nobody waits for one. Guarded by mu
}

// ring tells those who wait that something has changed.
func (r *released) ring() {
	r.mu.Lock()
	if r.rung != nil {
		close(r.rung)
		r.rung = nil
	}
	r.mu.Unlock()
}

// bell is closed at the next change from now on.
func (r *released) bell() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rung == nil {
		r.rung = make(chan struct{})
	}
	return r.rung
}

// Released returns up to which number every reader that gates (Block, BlockFor or a
// policy of the user's own) has released the events. A reader releases an event when
// it asks for more after it was returned. Readers that leave hold nothing back, except
// the last one: while no reader gates, the number stays where it was, 0 at first. It
// never goes back. After Close, readers that drain still move it.
//
// It never waits for a blocked publisher, and costs one pass over these readers, during
// which publishers wait.
func (h *Hub[T]) Released() uint64 {
	h.turn.mu.Lock()
	defer h.turn.mu.Unlock()
	low, some := uint64(math.MaxUint64), false
	for _, list := range [...][]*Reader[T]{h.readers[kindBlock], h.readers[kindAsk]} {
		for _, r := range list {
			low, some = min(low, r.releasedTo()), true
		}
	}
	if some {
		h.released.floor = max(h.released.floor, low)
	}
	return h.released.floor
}

// WaitReleased waits until Released would return at least seq: a flush, or a barrier
// behind what was published. It returns nil then; the cause of ctx if ctx has ended
// before or while it waited; and ErrClosed, wrapping the hub's reason, once the hub is
// closed and seq cannot be reached any more. It costs a pass over the readers that
// gate, and a wake-up for each that it has to wait for. It panics if ctx is nil.
func (h *Hub[T]) WaitReleased(ctx context.Context, seq uint64) error {
	checkContext("WaitReleased", ctx)
	if ctx.Err() != nil {
		return causeOf(ctx)
	}
	done := ctx.Done()
	for from := math.MaxInt; ; {
		bell := h.released.bell()
		reached, err := h.lookReleased(seq, &from)
		if reached || err != nil {
			return err
		}
		select {
		case <-bell:
		case <-done:
			if reached, _ := h.lookReleased(seq, &from); reached {
				return nil
			}
			return causeOf(ctx)
		}
	}
}

// lookReleased tells whether seq has been released, or why it never will be. If it
// has not, the reader that it saw holding it back has been asked to ring the bell.
// Readers from *from on have been looked at before.
func (h *Hub[T]) lookReleased(seq uint64, from *int) (reached bool, err error) {
	h.turn.mu.Lock()
	defer h.turn.mu.Unlock()
	block := h.readers[kindBlock]
	switch {
	case h.released.floor >= seq:
		return true, nil
	case h.closed != nil && (seq > h.seq.Load() || len(block)+len(h.readers[kindAsk]) == 0):
		return false, h.closed
	case len(block)+len(h.readers[kindAsk]) == 0:
		return false, nil
	}
	*from = min(*from, len(block))
	for *from > 0 {
		if block[*from-1].holds(seq) {
			return false, nil
		}
		*from--
	}
	*from = len(block) // once more, for those who joined meanwhile
	for _, list := range [...][]*Reader[T]{block, h.readers[kindAsk]} {
		for _, r := range list {
			if r.holds(seq) {
				return false, nil
			}
		}
	}
	h.released.floor = seq
	return true, nil
}

// holds tells whether r has not released seq, and has it ring the bell then when it
// releases more. What it releases is looked at again after it was asked.
func (r *Reader[T]) holds(seq uint64) bool {
	if r.releasedTo() >= seq {
		return false
	}
	r.pos.Or(posAsked)
	return r.releasedTo() < seq
}

// releasedTo is the number up to which r has released what was returned. A reader
// moves acked before it clears posOne, so this never goes back.
func (r *Reader[T]) releasedTo() uint64 {
	if p := r.pos.Load(); p&posOne != 0 {
		return p>>posShift - 1
	}
	return r.acked.Load()
}

// ackUpTo moves acked on to seq, unless it is there already.
func (r *Reader[T]) ackUpTo(seq uint64) {
	for {
		acked := r.acked.Load()
		if acked >= seq || r.acked.CompareAndSwap(acked, seq) {
			return
		}
	}
}
