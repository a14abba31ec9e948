package broadcast

// newest returns the newest n events up to seq, oldest first, fewer if the ring has
// no more. The turn's mutex must be held.
func (r *ring[T]) newest(n int, seq uint64) []T {
	first := seq - min(uint64(n), seq-r.oldest(seq))
	out := make([]T, 0, seq-first)
	for first < seq {
		c := r.chunk(first / chunkLen)
		off := first % chunkLen
		k := min(chunkLen-off, seq-first)
		out = append(out, c.slots[off:off+k]...)
		first += k
	}
	return out
}

// replayLocked joins s with what it is to start with in its channel: at most its
// buffer, so that there is room, and nobody sends meanwhile.
func (h *Hub[T]) replayLocked(s *Subscription[T], n int) {
	events := h.ring.Load().newest(min(n, cap(s.ch)), h.seq.Load())
	for _, e := range events {
		s.ch <- e
	}
	h.joinLocked(s, uint64(len(events)))
}

// replayFiltered is replayLocked behind a filter, which is asked without the mutex.
// The turn's mutex must be held; it is held on return. It takes the turn if that is
// free, so that nothing is published meanwhile; if it is not, whoever has it may
// wait for long, and it asks again about what came meanwhile.
func (h *Hub[T]) replayFiltered(s *Subscription[T], n int) {
	n = min(n, cap(s.ch))
	ring := h.ring.Load()
	mine := !h.turn.busy
	if mine {
		h.turn.busy = true
		defer h.turn.passLocked()
	}
	var kept []replayed[T]
	seen := uint64(0) // up to here the filter was asked
	for {
		seq := h.seq.Load()
		first := seq - min(uint64(n), seq-ring.oldest(seq))
		fresh := ring.newest(int(seq-max(first, min(seen, seq))), seq)
		if len(fresh) == 0 || h.closed != nil || s.ended.Load() {
			h.joinReplayed(s, kept, first, seq)
			return
		}
		kept = h.sift(s, kept, fresh, seq-uint64(len(fresh)))
		seen = seq
	}
}

// replayed is an event that passed the filter.
type replayed[T any] struct {
	seq   uint64
	event T
}

// sift asks the filter of s about events, which come behind number seq, without the
// turn's mutex.
func (h *Hub[T]) sift(s *Subscription[T], kept []replayed[T], events []T, seq uint64) []replayed[T] {
	h.turn.mu.Unlock()
	defer h.turn.mu.Lock()
	for _, e := range events {
		seq++
		if s.keep(e) {
			kept = append(kept, replayed[T]{seq, e})
		}
	}
	return kept
}

func (h *Hub[T]) joinReplayed(s *Subscription[T], kept []replayed[T], first, seq uint64) {
	if h.closed != nil || s.ended.Load() {
		return // its caller looks again
	}
	passed := uint64(0)
	for _, k := range kept {
		if k.seq > first { // the others are not among the newest any more
			s.ch <- k.event
			passed++
		}
	}
	rejected := seq - first - passed
	s.special.filtered.Add(rejected)
	h.joinLocked(s, seq-first)
	h.filtered.Add(rejected)
}
