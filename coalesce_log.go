package broadcast

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// spareSlots is how many slots may be dead beside as many as are live: a hub of
// few keys is not to compact all the time.
const spareSlots = 64

// history is the state of a CoalescingHub: the keys, and a log of versions in
// which each key has one live slot, its latest. A slot is written once, before
// anyone can see it, and never again, so that a subscriber may go over a stretch
// of the log without a lock; what is dead is left behind when the rest moves to
// a new array. The hub's mutex guards all fields.
type history[K comparable, V any] struct {
	keys map[K]*entry[K, V] // the live ones, and the tombstones that are kept
	log  []slot[K, V]       // in the order of versions

	alive int    // live keys
	old   int    // tombstones and past lives that are kept
	reach uint64 // no subscription has seen a key that was born after this

	work int // done since the last compaction
	kept int // slots that it kept
	peak int // the largest len(keys) since the map was made
}

// slot is a place in the timeline. It is dead once its entry has a newer one.
type slot[K comparable, V any] struct {
	version uint64
	entry   *entry[K, V]
}

// entry is a key and its latest value. Who writes holds the hub's mutex and mu;
// either is enough to read.
type entry[K comparable, V any] struct {
	key   K             // written once
	gone  bool          // it is not in the history any more; guarded by the hub's mutex
	stamp atomic.Uint64 // the version, times two, plus 1 if that deleted the key

	mu    sync.Mutex
	value V
	born  uint64 // where its present life began, or the last one if it is deleted
	past  []life // those before that someone may have seen and not seen end

	// since is where the key was born first. A life that begins while the
	// tombstone of an older one is kept inherits that: a pass that covers the
	// tombstone may show the new life to a subscriber that is not at its birth yet.
	since uint64
}

// life is a stretch of the timeline in which a key was there: from born up to
// but without died.
type life struct{ born, died uint64 }

func (e *entry[K, V]) at() (version uint64, deleted bool) {
	stamp := e.stamp.Load()
	return stamp / 2, stamp%2 == 1
}

// livedAt tells whether the key was there at version v, of those versions that a
// live subscription has seen. mu must be held.
func (e *entry[K, V]) livedAt(v uint64) bool {
	version, deleted := e.at()
	if e.born <= v && (!deleted || v < version) {
		return true
	}
	return slices.ContainsFunc(e.past, func(l life) bool { return l.born <= v && v < l.died })
}

func (x *history[K, V]) get(key K) (value V, ok bool) {
	e := x.keys[key]
	if e == nil {
		return value, false
	}
	_, deleted := e.at()
	return e.value, !deleted
}

// set appends a new value.
func (x *history[K, V]) set(key K, value V, version uint64) {
	e := x.keys[key]
	if e == nil {
		e = x.add(key, version)
	}
	e.mu.Lock()
	died, deleted := e.at()
	if deleted {
		x.alive++
		x.old-- // the tombstone
		if x.reach >= e.born {
			e.past = append(e.past, life{e.born, died})
			x.old++
		}
		e.born = version
		if x.reach < e.since {
			e.since = version
		}
	}
	e.value = value
	e.stamp.Store(2 * version)
	e.mu.Unlock()
	x.log = append(x.log, slot[K, V]{version, e})
}

func (x *history[K, V]) add(key K, version uint64) *entry[K, V] {
	if key != key { //nolint:staticcheck // NaN: it would never be found again, and stay for good
		panic("broadcast: Publish: a key that differs from itself, such as NaN: pass one that can be found again")
	}
	e := &entry[K, V]{key: key, born: version, since: version}
	x.keys[key] = e
	x.alive++
	x.peak = max(x.peak, len(x.keys))
	return e
}

// remove deletes a key, and tells whether it was there. It leaves a tombstone if
// a subscription may have seen the key.
func (x *history[K, V]) remove(key K, version uint64) bool {
	e := x.keys[key]
	if e == nil {
		return false
	}
	if _, deleted := e.at(); deleted {
		return false
	}
	e.mu.Lock()
	var none V
	e.value = none
	e.stamp.Store(2*version + 1)
	keep := x.reach >= e.since || len(e.past) > 0
	e.mu.Unlock()
	x.alive--
	if !keep {
		delete(x.keys, key)
		return true
	}
	x.old++
	x.log = append(x.log, slot[K, V]{version, e})
	return true
}

// garbage is how many slots belong to no live key.
func (x *history[K, V]) garbage() int { return len(x.log) - x.alive }

// compact moves what is needed to a new log. points are where the live
// subscriptions are.
func (x *history[K, V]) compact(points func() []uint64) {
	if x.old > 0 {
		x.forget(points())
	}
	if 4*len(x.keys) < x.peak { // a map does not shrink
		keys := make(map[K]*entry[K, V], len(x.keys))
		maps.Copy(keys, x.keys)
		x.keys, x.peak = keys, len(keys)
	}
	// With room for what comes up to the next compaction.
	log := make([]slot[K, V], 0, 2*(len(x.keys)+spareSlots))
	for _, s := range x.log {
		if s.current() && !s.entry.gone {
			log = append(log, s)
		}
	}
	x.log, x.kept, x.work = log, len(log), 0
}

// current tells whether s is the latest slot of its key.
func (s slot[K, V]) current() bool {
	version, _ := s.entry.at()
	return version == s.version
}

// forget drops the tombstones and past lives that no subscription has seen the
// beginning but not the end of.
func (x *history[K, V]) forget(points []uint64) {
	slices.Sort(points)
	seen := func(l life) bool {
		i, _ := slices.BinarySearch(points, l.born)
		return i < len(points) && points[i] < l.died
	}
	for _, s := range x.log {
		e := s.entry
		died, deleted := e.at()
		if died != s.version || !deleted && len(e.past) == 0 {
			continue
		}
		e.mu.Lock()
		n := len(e.past)
		e.past = slices.DeleteFunc(e.past, func(l life) bool { return !seen(l) })
		x.old -= n - len(e.past)
		if len(e.past) == 0 {
			e.past = nil
			if deleted && !seen(life{e.since, died}) {
				x.old--
				e.gone = true
				delete(x.keys, e.key)
			}
		}
		e.mu.Unlock()
	}
}
