package broadcast

// MaxSelect is how many full subscriptions a publisher parks on at once.
const MaxSelect = maxSelect

// LastNumber is the largest that an event of a hub with readers may have.
const LastNumber = 1<<(64-posShift) - 1

// StartAt has a hub that nobody has used yet number its first event seq+1.
func (h *Hub[T]) StartAt(seq uint64) { h.counters.seq.Store(seq) }
