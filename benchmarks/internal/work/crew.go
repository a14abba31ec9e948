package work

import (
	"sync/atomic"
	"time"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
)

// crew is the subscribers of a bus whose deliveries are verified.
type crew struct {
	counting bool // only their number and what their Seqs add up to
	bus      peer.Bus
	subs     []*subscriber
	clock    time.Time // what Due and latencies count from
	left     atomic.Int64
	all      chan struct{} // closed once everyone has what it expects
	finished time.Time     // when that was
}

// subscriber verifies what it gets: how many, in which order, and each event's check.
// Its fields belong to the goroutine that takes, and between rounds to the crew.
type subscriber struct {
	crew      *crew
	got, want uint64
	mark      uint64 // at so many it takes note of how many it has
	every     uint64 // that often
	sum       uint64 // of the checks in any order, or of the Seqs
	digest    uint64 // of the checks, in their order
	reordered uint64
	corrupted uint64
	last      [maxPublishers]uint64
	latency   recorder      // nil where it is not measured
	seen      atomic.Uint64 // got, as of the last note
	_         [64]byte      // false sharing
}

const maxPublishers = 8

// coarse is how often a subscriber takes note of its progress: an atomic store for each
// event would be most of what a batch of a reader costs. The last events are always
// noted one by one.
const coarse = 64

// check is the digest of an event.
func check(seq, from uint64) uint64 {
	x := (seq + from<<48) * 0x9E3779B97F4A7C15
	return x ^ x>>29
}

// chain adds an event to the digest of an order.
func chain(digest, check uint64) uint64 { return (digest ^ check) * 0x100000001B3 }

func newEvent(seq, from uint64) peer.Event {
	return peer.Event{Seq: seq, From: from, Check: check(seq, from)}
}

// newCrew subscribes n times.
func newCrew(bus peer.Bus, n int) *crew {
	c := &crew{bus: bus, clock: time.Now()}
	for range n {
		bus.Subscribe(c.join().take)
	}
	return c
}

// newCounters subscribes n times who do as little as can be with an event.
func newCounters(bus peer.Bus, n int) *crew {
	c := &crew{bus: bus, clock: time.Now(), counting: true}
	for range n {
		s := c.join()
		// Not a method value, which would copy the event once more.
		bus.Subscribe(func(e peer.Event) {
			s.got++
			s.sum += e.Seq
			if s.got >= s.mark {
				s.note()
			}
		})
	}
	return c
}

func (c *crew) join() *subscriber {
	s := &subscriber{crew: c}
	c.subs = append(c.subs, s)
	return s
}

// weight is what an event adds to a subscriber's sum.
func (c *crew) weight(seq, from uint64) uint64 {
	if c.counting {
		return seq
	}
	return check(seq, from)
}

func (s *subscriber) take(e peer.Event) {
	s.got++
	if e.Check != check(e.Seq, e.From) {
		s.corrupted++
	}
	s.sum += e.Check
	s.digest = chain(s.digest, e.Check)
	last := &s.last[e.From%maxPublishers]
	if e.Seq != *last+1 {
		s.reordered++
	}
	*last = e.Seq
	if s.latency != nil {
		s.latency.record(time.Since(s.crew.clock).Nanoseconds() - e.Due)
	}
	if s.got >= s.mark {
		s.note()
	}
}

// note makes the progress visible.
func (s *subscriber) note() {
	s.seen.Store(s.got)
	s.nextMark()
	if s.got == s.want {
		s.crew.done() // from here on its fields are the crew's
	}
}

func (s *subscriber) nextMark() {
	if s.got+s.every < s.want {
		s.mark = s.got + s.every
	} else {
		s.mark = s.got + 1
	}
}

func (c *crew) done() {
	if c.left.Add(-1) == 0 {
		c.finished = time.Now()
		close(c.all)
	}
}

// expect has everyone begin anew, and expect so many events. Nobody may be taking any.
// every is how often progress is noted.
func (c *crew) expect(events, every uint64) {
	c.all = make(chan struct{})
	c.left.Store(int64(len(c.subs)))
	for _, s := range c.subs {
		s.got, s.want, s.every = 0, events, every
		s.sum, s.digest, s.reordered, s.corrupted = 0, 0, 0, 0
		s.last = [maxPublishers]uint64{}
		s.seen.Store(0)
		s.nextMark()
	}
}

// wait waits until everyone has everything, or nobody has got anything for patience.
func (c *crew) wait(patience time.Duration) bool {
	const looks = 20
	look := time.NewTicker(patience / looks)
	defer look.Stop()
	before, idle := c.total(), 0
	for idle < looks {
		select {
		case <-c.all:
			return true
		case <-look.C:
		}
		if now := c.total(); now == before {
			idle++
		} else {
			before, idle = now, 0
		}
	}
	return false
}

func (c *crew) total() (sum uint64) {
	for _, s := range c.subs {
		sum += s.seen.Load()
	}
	return sum
}

// least is how many events the one has that has fewest.
func (c *crew) least() uint64 {
	least := c.subs[0].seen.Load()
	for _, s := range c.subs {
		least = min(least, s.seen.Load())
	}
	return least
}
