package broadcast

import "sync"

// maxEjectNotes bounds the ejects that wait to be told: a hook that hangs must
// not make the hub's memory grow with every subscriber that comes and is
// ejected.
const maxEjectNotes = 1024

// hooks tells the user's functions what happened, one call at a time and in
// order, on a goroutine that lives only while there is something to tell. So
// no hook runs under a lock or on the stack of a caller, and a hook may call
// any method of the hub.
type hooks struct {
	interest func(active bool)       // written once, by New
	onEject  func(SubscriptionStats) // written once, by New

	mu      sync.Mutex
	edges   uint64      // changes of interest so far; odd ones begin it. Guarded by mu
	told    uint64      // of these, how many the hook was called for. Guarded by mu
	ejects  []ejectNote // not yet told. Guarded by mu
	running bool        // the goroutine lives. Guarded by mu
}

// ejectNote is an eject to be told after so many changes of interest.
type ejectNote struct {
	stats SubscriptionStats
	after uint64
}

// edge notes that interest began or ended. The two alternate, so a number is
// all that needs to be kept.
func (h *hooks) edge() {
	if h.interest == nil {
		return
	}
	h.mu.Lock()
	h.edges++
	h.startLocked()
	h.mu.Unlock()
}

func (h *hooks) eject(stats SubscriptionStats) {
	if h.onEject == nil {
		return
	}
	h.mu.Lock()
	if len(h.ejects) < maxEjectNotes {
		h.ejects = append(h.ejects, ejectNote{stats, h.edges})
		h.startLocked()
	}
	h.mu.Unlock()
}

func (h *hooks) startLocked() {
	if !h.running {
		h.running = true
		go h.run()
	}
}

func (h *hooks) run() {
	finished := false
	defer func() {
		// A hook that calls runtime.Goexit, as a failed test does, takes only its
		// own call away from the others. (A panic ends the process.)
		if !finished {
			go h.run()
		}
	}()
	for call := h.next(); call != nil; call = h.next() {
		call()
	}
	finished = true
}

// next takes the call that is due, and ends the goroutine if there is none.
func (h *hooks) next() func() {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case len(h.ejects) > 0 && h.ejects[0].after <= h.told:
		note := h.ejects[0]
		h.ejects = h.ejects[1:]
		return func() { h.onEject(note.stats) }
	case h.told < h.edges:
		h.told++
		active := h.told%2 == 1
		return func() { h.interest(active) }
	}
	h.ejects = nil
	h.running = false
	return nil
}

// idle tells whether everything has been told.
func (h *hooks) idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.running
}
