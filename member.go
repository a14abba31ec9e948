package broadcast

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// dropReason is the index of a reason among the hub's drop counters.
type dropReason uint8

const (
	droppedNewest dropReason = iota
	droppedOldest
	droppedCanceled
	droppedClosed
	droppedEjected
	dropReasons
)

// counters are what a hub counts. Only the common is derived from seq: offered
// is seq less where a subscription joined. The rest is counted as it happens,
// on the slow paths, here and in the member, so that nothing needs to be
// folded when a member leaves.
type counters struct {
	seq      atomic.Uint64 // the last event's number; written with the turn's mutex held
	dropped  [dropReasons]atomic.Uint64
	filtered atomic.Uint64
	ejected  atomic.Uint64
	blocked  atomic.Uint64
}

// member is what the hub keeps of everyone who takes its events: identity and
// accounting. It is small because there may be a million, and because most of
// what a subscribe costs is memory (BenchmarkPairSubscribe).
type member struct {
	ended atomic.Bool // set once, with the turn's mutex held; left and err are written before

	id      uint64 // written once, when it joins
	joined  uint64 // the number it joined behind; written once, when it joins
	dropped atomic.Uint64
	special *special // nil for most; written once, before it joins
	place   int32    // in its shard of the registry; guarded by the shard's mutex
	left    uint64   // the number it left behind
	err     error    // why it ended
}

// special is what only some members have.
type special struct {
	name     string
	policy   Policy      // its own or the hub's
	stop     func() bool // takes it off its context; nil: none
	filtered atomic.Uint64
	streak   streak // guarded by the turn
}

// finish ends the member. The turn's mutex must be held.
func (m *member) finish(err error, left uint64) {
	m.err, m.left = err, left
	m.ended.Store(true)
}

// leaveContext takes a member that has ended off its context. It must be called
// without a lock: a context may be of the user's own.
func (m *member) leaveContext() {
	if m.special != nil && m.special.stop != nil {
		m.special.stop()
	}
}

func (m *member) name() string {
	if m.special == nil {
		return ""
	}
	return m.special.name
}

func (m *member) filtered() uint64 {
	if m.special == nil {
		return 0
	}
	return m.special.filtered.Load()
}

// offered is how many events were numbered while the member was live.
func (m *member) offered(c *counters) uint64 {
	// seq first: a member that leaves after the load has at least this number, so
	// what is returned never goes back.
	upTo := c.seq.Load()
	if m.ended.Load() {
		upTo = m.left
	}
	return upTo - m.joined
}

// label names the member in logs and errors, which quote what needs it.
func (m *member) label() string {
	if name := m.name(); name != "" {
		return name
	}
	return "#" + strconv.FormatUint(m.id, 10)
}

// registered is a member that can be asked for its stats by anyone.
type registered interface {
	Stats() SubscriptionStats
	base() *member
}

// A side member is one whose share in the hub's sums cannot be derived from where it
// joined and left alone. It tells its tally, which never goes back.
type sideMember interface {
	registered
	tally() uint64
	sidePlace() (which side, place *int32) // guarded by the shard's mutex
}

// side is what a tally counts.
type side uint8

const (
	noSide    side = iota
	lostSide       // events that a reader has skipped
	offerSide      // events offered to a reader that Eject may end
	sides
)

// sideList are the side members of a shard, and what those who left have told.
type sideList struct {
	live []sideMember
	left uint64
}

// registryShards is over how many locks those who look are spread.
const registryShards = 16

// registry holds the live members for those who look, in shards, so that
// nobody who looks ever waits for a publisher or holds one up: a shard's mutex
// is held for one insertion, one removal, or the copying of its pointers.
type registry struct {
	// members is how many are live, and times oneReader how many of these are readers.
	// It is beside the shards because they are looked at one after the other: who
	// leaves one and joins another meanwhile would be seen twice or not at all.
	members atomic.Uint64
	shards  [registryShards]shard
}

type shard struct {
	mu   sync.Mutex
	live []registered // guarded by mu
	// base makes base + plain*seq the number of events that were offered to all
	// members that ever were in this shard, but those on the offerSide: the sum of
	// where they left less the sum of where they joined, modulo 2^64. Guarded by mu.
	base  uint64
	sides [sides]sideList // guarded by mu
}

// oneReader is a reader's share in registry.members, beside its 1 as a member.
const oneReader = 1 << 32

func share(m registered) uint64 {
	if _, ok := m.(sideMember); ok {
		return oneReader + 1
	}
	return 1
}

// count returns how many members are live, and how many of these are readers.
func (r *registry) count() (live, readers int) {
	n := r.members.Load()
	return int(n % oneReader), int(n / oneReader)
}

// join and leave are called with the turn's mutex held, so seq stands still and
// the number of offered events does not jump.
func (r *registry) join(m registered) {
	b := m.base()
	s := &r.shards[b.id%uint64(len(r.shards))]
	s.mu.Lock()
	b.place = int32(len(s.live))
	s.live = append(s.live, m)
	s.base -= s.joinSide(m, b.joined)
	s.mu.Unlock()
	r.members.Add(share(m))
}

// joinSide adds m to the side that it is on, and returns what base is to know of
// where it joined.
func (s *shard) joinSide(m registered, joined uint64) uint64 {
	r, ok := m.(sideMember)
	if !ok {
		return joined
	}
	which, place := r.sidePlace()
	if which == noSide {
		return joined
	}
	list := &s.sides[which]
	*place = int32(len(list.live))
	list.live = append(list.live, r)
	if which == offerSide {
		return 0
	}
	return joined
}

// leaveSide is the opposite of joinSide.
func (s *shard) leaveSide(m registered, left uint64) uint64 {
	r, ok := m.(sideMember)
	if !ok {
		return left
	}
	which, place := r.sidePlace()
	if which == noSide {
		return left
	}
	list := &s.sides[which]
	list.left += r.tally()
	last := list.live[len(list.live)-1]
	list.live[*place] = last
	_, its := last.sidePlace()
	*its = *place
	list.live = shrunk(list.live)
	if which == offerSide {
		return 0
	}
	return left
}

// plain is how many live members base stands for.
func (s *shard) plain() uint64 { return uint64(len(s.live) - len(s.sides[offerSide].live)) }

func (r *registry) leave(m registered, left uint64) {
	b := m.base()
	s := &r.shards[b.id%uint64(len(r.shards))]
	s.mu.Lock()
	last := s.live[len(s.live)-1]
	s.live[b.place] = last
	last.base().place = b.place
	s.live = shrunk(s.live)
	s.base += s.leaveSide(m, left)
	s.mu.Unlock()
	r.members.Add(-share(m))
}

// leaveAll is leave for everyone at once.
func (r *registry) leaveAll(left uint64) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		s.base += s.plain() * left
		s.live = nil
		for i := range s.sides {
			list := &s.sides[i]
			for _, m := range list.live {
				list.left += m.tally()
			}
			list.live = nil
		}
		s.mu.Unlock()
	}
	r.members.Store(0)
}

// offered returns how many events were offered to all members that ever were. It
// never goes back: seq is loaded while the shard stands still.
func (r *registry) offered(c *counters) (offered uint64) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		offered += s.base + s.plain()*c.seq.Load()
		s.mu.Unlock()
	}
	return offered + r.tallies(offerSide)
}

// tallies adds up what the members of a side tell, and told when they left. It never
// goes back: who is live and what the others told are read at one moment, and a tally
// that is asked for after its member has left is the one that the member left with.
// No lock is held while members are asked, and there are none unless there are
// readers.
func (r *registry) tallies(which side) (sum uint64) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		live := slices.Clone(s.sides[which].live)
		sum += s.sides[which].left
		s.mu.Unlock()
		for _, m := range live {
			sum += m.tally()
		}
	}
	return sum
}

// all calls yield for every live member, each at most once, without a lock.
func (r *registry) all(yield func(SubscriptionStats) bool) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		live := slices.Clone(s.live)
		s.mu.Unlock()
		for _, m := range live {
			if !m.base().ended.Load() && !yield(m.Stats()) {
				return
			}
		}
	}
}

// shrunk drops the last element of list, so that what it held is not reachable
// any more, and gives memory back when three quarters of it are unused.
func shrunk[E any](list []E) []E {
	n := len(list) - 1
	var zero E
	list[n] = zero
	list = list[:n]
	if cap(list) > 64 && n < cap(list)/4 {
		list = append(make([]E, 0, cap(list)/2), list...)
	}
	return list
}

// stats reads the losses first, then what was offered, then what was
// published, so that a snapshot taken in the middle of a publish never shows
// more lost than offered.
func (c *counters) stats(r *registry) Stats {
	d := DropReasons{
		Newest:   c.dropped[droppedNewest].Load(),
		Oldest:   r.tallies(lostSide) + c.dropped[droppedOldest].Load(),
		Canceled: c.dropped[droppedCanceled].Load(),
		Closed:   c.dropped[droppedClosed].Load(),
		Ejected:  c.dropped[droppedEjected].Load(),
	}
	s := Stats{
		DroppedBy: d,
		Dropped:   d.Newest + d.Oldest + d.Canceled + d.Closed + d.Ejected,
		Filtered:  c.filtered.Load(),
		Ejected:   c.ejected.Load(),
		Blocked:   c.blocked.Load(),
	}
	s.Offered = r.offered(c)
	s.Subscribers, s.Readers = r.count()
	s.Published = c.seq.Load()
	return s
}
