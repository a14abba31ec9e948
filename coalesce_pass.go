package broadcast

import (
	"cmp"
	"slices"
)

// pass is where a subscription is in the history. It belongs to whoever reads.
//
// A pass covers the versions behind cursor up to top, and goes over a stretch of
// the hub's log that was the end of it when the pass began. Of a key whose
// latest slot is in the stretch, or was when the pass began, it takes the value
// of the moment. If that is newer than top, the key is ahead: further slots of it
// in this pass are skipped, and in the next pass the version that was taken is.
// Leaving out keys that change during a pass would starve the hottest; taking
// them again in the same pass, or stretching the pass, would starve the others.
type pass[K comparable, V any] struct {
	slots   []slot[K, V] // the stretch; what is before at is done
	at      int
	running bool

	ahead  map[*entry[K, V]]taken // in this pass, newer than top
	before map[*entry[K, V]]taken // in the pass before, newer than its top
	early  uint64                 // those in ahead that were offered to the consumer

	own []slot[K, V] // for short stretches
}

// taken is what was taken of a key, or found and left out: a deletion of what
// the subscription had not seen.
type taken struct {
	version uint64
	deleted bool
}

// maxOwn bounds the slots that a subscription keeps room for between passes.
const maxOwn = 16

// begin begins a pass, if anything has changed. It costs O(log n) for n slots in
// the log, and then what the stretch costs.
func (s *CoalescingSubscription[K, V]) begin() bool {
	h := s.hub
	cursor := s.cursor.Load()
	if h.seq.Load() == cursor {
		return false
	}
	h.mu.Lock()
	if s.quit.Load() {
		h.mu.Unlock()
		return false
	}
	s.top = h.seq.Load()
	h.history.reach = max(h.history.reach, s.top)
	log := h.history.log
	h.mu.Unlock()

	// There are at most so many slots behind cursor as there are versions.
	first := 0
	if n := s.top - cursor; n < uint64(len(log)) {
		first = len(log) - int(n)
	}
	i, _ := slices.BinarySearchFunc(log[first:], cursor+1, func(s slot[K, V], v uint64) int {
		return cmp.Compare(s.version, v)
	})
	stretch := log[first+i:]
	p := &s.pass
	if 4*len(stretch) <= cap(log) {
		// A copy, so that whoever stops in the middle of a short pass does not keep
		// the whole log from being freed.
		p.own = append(p.own[:0], stretch...)
		stretch = p.own
	}
	p.slots, p.at, p.running = stretch, 0, true
	return true
}

// poll takes what the subscription is to get next. It does not wait.
func (s *CoalescingSubscription[K, V]) poll() (u Update[K, V], ok bool) {
	for {
		if u, ok = s.takeOne(); ok {
			return u, true
		}
		if s.pass.running {
			s.finishPass(0)
		}
		if !s.begin() {
			return u, false
		}
	}
}

// takeOne takes the next update of the pass.
func (s *CoalescingSubscription[K, V]) takeOne() (u Update[K, V], ok bool) {
	p := &s.pass
	for p.at < len(p.slots) {
		slot := p.slots[p.at]
		p.at++
		e := slot.entry
		e.mu.Lock()
		version, deleted := e.at()
		if !s.owed(slot, version, deleted) {
			s.passBy(slot, version, deleted)
			e.mu.Unlock()
			continue
		}
		u = Update[K, V]{Key: e.key, Value: e.value, Deleted: deleted, Version: version}
		if version > s.top {
			p.goAhead(e, version, deleted)
			p.early++
		}
		e.mu.Unlock()
		return u, true
	}
	return u, false
}

// untake undoes the last takeOne.
func (s *CoalescingSubscription[K, V]) untake() {
	p := &s.pass
	p.at--
	e := p.slots[p.at].entry
	if _, ahead := p.ahead[e]; ahead {
		delete(p.ahead, e)
		p.early--
	}
}

func (p *pass[K, V]) goAhead(e *entry[K, V], version uint64, deleted bool) {
	if p.ahead == nil {
		p.ahead = map[*entry[K, V]]taken{}
	}
	p.ahead[e] = taken{version, deleted}
}

// passBy is called for a slot whose key is not owed. If the key is newer than
// the pass, that is because it was deleted unseen: the next pass, to which it
// looks as if it had been there at top, must know.
func (s *CoalescingSubscription[K, V]) passBy(x slot[K, V], version uint64, deleted bool) {
	_, done := s.pass.ahead[x.entry]
	last, known := s.pass.before[x.entry]
	if done || known && x.version <= last.version {
		return // it was left out for another reason
	}
	if deleted && version > s.top {
		s.pass.goAhead(x.entry, version, deleted)
	}
}

// owed tells whether the pass is to take the key of x, now at version, at this
// slot. The mutex of the entry must be held if it is deleted.
func (s *CoalescingSubscription[K, V]) owed(x slot[K, V], version uint64, deleted bool) bool {
	if version != x.version && version <= s.top {
		return false // a slot further on is the latest
	}
	if _, done := s.pass.ahead[x.entry]; done {
		return false
	}
	last, known := s.pass.before[x.entry]
	switch {
	case known && x.version <= last.version:
		return false
	case !deleted:
		return true
	case known:
		return !last.deleted
	}
	return x.entry.livedAt(s.cursor.Load())
}

// settle ends the pass if nothing is left in it, so that the counts are right
// before the next call. Of what was taken, so many are in hand.
func (s *CoalescingSubscription[K, V]) settle(inHand uint64) {
	p := &s.pass
	if !p.running {
		return
	}
	for p.at < len(p.slots) {
		slot := p.slots[p.at]
		version, deleted := slot.entry.at()
		var owed bool
		if deleted {
			slot.entry.mu.Lock()
			version, deleted = slot.entry.at()
			if owed = s.owed(slot, version, deleted); !owed {
				s.passBy(slot, version, deleted)
			}
			slot.entry.mu.Unlock()
		} else {
			owed = s.owed(slot, version, deleted)
		}
		if owed {
			return
		}
		p.at++
	}
	s.finishPass(inHand)
}

// finishPass accounts for the pass: what was offered up to top and is not
// otherwise accounted for was coalesced. It needs no counter per key.
func (s *CoalescingSubscription[K, V]) finishPass(inHand uint64) {
	h, p := s.hub, &s.pass
	gone := s.received.Load() + inHand + s.dropped.Load() + s.filtered()
	coalesced := s.top - s.joined - (gone - p.early)
	h.coalesced.Add(coalesced - s.coalesced.Load())
	s.coalesced.Store(coalesced)
	s.cursor.Store(s.top)
	if inHand == 0 {
		s.synced.Store(true)
	}

	n := len(p.slots)
	clear(p.own)
	if cap(p.own) > maxOwn {
		p.own = nil
	}
	p.slots, p.at, p.early, p.running = nil, 0, 0, false
	p.before, p.ahead = p.ahead, cleared(p.before)
	if h.littered.Load() {
		h.mu.Lock()
		h.tidyLocked(n + 1)
		h.mu.Unlock()
	}
}

// cleared returns m without what is in it, or nil if it is large: a map does not
// shrink.
func cleared[K comparable, V any](m map[K]V) map[K]V {
	if len(m) > maxOwn {
		return nil
	}
	clear(m)
	return m
}
