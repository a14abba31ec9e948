// Package model is a sequential reference model of a hub's channel
// subscriptions, and the suites that compare the hub with it. The model knows
// the contract alone: it imports nothing of the hub and shares no idea with it.
// A buffer is a slice, every count is counted, and a publish that must wait is a
// Call that is not done.
package model

import (
	"slices"
	"time"
)

// Why is a set of reasons. Where the contract leaves open which of two comes
// first, an outcome allows both.
type Why uint8

// The reasons why something ended or was refused.
const (
	Closed   Why = 1 << iota // the hub is closed
	Left                     // the subscription was closed
	Canceled                 // its context ended
	Ejected                  // its policy ejected it
)

// Act is what a policy answers, or what its code does instead.
type Act uint8

// The acts of a policy.
const (
	Block Act = iota
	DropNewest
	DropOldest
	Eject
	Leave // closes its own subscription and answers Block
	Panic
)

// Verdict is what a filter says, or what its code does instead.
type Verdict uint8

// The verdicts of a filter.
const (
	Keep Verdict = iota
	Reject
	LeaveKeep // closes its own subscription and keeps the event
	LeaveReject
	CancelKeep // ends the context of the publish and keeps the event
	Crash
)

// Overflow is what a policy is told.
type Overflow struct {
	ID                   uint64
	Name                 string
	Cap                  int
	Dropped, Consecutive uint64
}

// Policy waits for room for at most Wait, and then does what Ask says, or Act
// without one.
type Policy struct {
	Wait time.Duration
	Act  Act
	Ask  func(Overflow) Act
}

// Reasons counts lost events by their reason.
type Reasons struct{ Newest, Oldest, Canceled, Closed, Ejected uint64 }

// Sum is all that was lost.
func (r Reasons) Sum() uint64 { return r.Newest + r.Oldest + r.Canceled + r.Closed + r.Ejected }

// Counts are those of one subscription or of the hub.
type Counts struct {
	Offered, Received, Filtered uint64
	Dropped                     Reasons
}

// Sub is a subscription.
type Sub struct {
	Name   string
	Cap    int
	Policy Policy
	Filter func(int) Verdict // nil: none

	ID     uint64 // 0: was never live
	Live   bool
	Why    Why // not live: why it ended
	Buffer []int
	Counts Counts
	Asked  []Overflow // what its policy was told so far
	Open   bool       // a publish is waiting for it

	parked   []*Receipt    // receivers that wait, in order
	streak   uint64        // overflows since an event last found room at once
	deadline time.Duration // of the wait for it; 0: none
	ask      bool          // at the deadline its policy is to be asked
}

// Receipt is what a receive gives. While Empty, it waits or found nothing.
type Receipt struct {
	Event         int
	Empty, Closed bool
}

// Call is a publish of one event or of a batch. Until it is Done, it is blocked.
type Call struct {
	Events    []int
	Done      bool
	Published int
	Partial   bool // the last one published was missed by a live subscription
	Panicked  bool
	Why       Why // 0: no error

	ended   bool   // its context
	waiting []*Sub // for room for the event published last
}

// Eviction is what the eject hook is told: the final counts.
type Eviction struct {
	Sub    *Sub
	Len    int
	Counts Counts
}

// Model is a hub.
type Model struct {
	Subs      []*Sub // all that ever were
	Counts    Counts // Received is not used
	Published uint64
	Ejected   uint64
	Blocked   uint64
	Closed    bool
	Interest  []bool // what the interest hook was told
	Evictions []Eviction

	now    time.Duration
	lastID uint64
	turn   *Call // whose event is in flight
	line   []*Call
}

// Subscribe adds s, of which Name, Cap, Policy and Filter are set. Its context
// may have ended already.
func (m *Model) Subscribe(s *Sub, ended bool) {
	m.Subs = append(m.Subs, s)
	if m.Closed {
		s.Why |= Closed
	}
	if ended {
		s.Why |= Canceled
	}
	if s.Why != 0 {
		return
	}
	m.lastID++
	s.ID, s.Live = m.lastID, true
	if m.Len() == 1 {
		m.Interest = append(m.Interest, true)
	}
}

// Len is how many are live.
func (m *Model) Len() (n int) {
	for _, s := range m.Subs {
		if s.Live {
			n++
		}
	}
	return n
}

// End ends s, if it is live: it was closed, or its context has ended.
func (m *Model) End(s *Sub, why Why) {
	m.leave(s, why)
	m.proceed()
}

// Close closes the hub.
func (m *Model) Close() {
	m.Closed = true
	if m.turn != nil && len(m.turn.waiting) > 0 {
		m.turn.Partial, m.turn.Why = true, Closed
	}
	for _, c := range m.line {
		c.Done, c.Why = true, Closed
	}
	m.line = nil
	for _, s := range m.Subs {
		m.leave(s, Closed)
	}
	m.proceed()
}

// Publish publishes events in one turn. Its context may have ended already.
func (m *Model) Publish(events []int, ended bool) *Call {
	c := &Call{Events: events}
	if m.Closed {
		c.Why |= Closed
	}
	if ended {
		c.Why |= Canceled
	}
	if c.Why != 0 {
		c.Done = true
		return c
	}
	m.line = append(m.line, c)
	m.proceed()
	return c
}

// Cancel ends the context of c.
func (m *Model) Cancel(c *Call) {
	if c.Done {
		return
	}
	c.ended = true
	if i := slices.Index(m.line, c); i >= 0 {
		m.line = slices.Delete(m.line, i, i+1)
		c.Done, c.Why = true, Canceled
		return
	}
	m.giveUp(c)
	m.proceed()
}

// giveUp drops the event in flight for all that are waited for.
func (m *Model) giveUp(c *Call) {
	for _, s := range slices.Clone(c.waiting) {
		c.Partial, c.Why = true, Canceled
		m.lose(s, &s.Counts.Dropped.Canceled, &m.Counts.Dropped.Canceled)
	}
}

// Receive receives from s without waiting.
func (m *Model) Receive(s *Sub) Receipt {
	if s.Cap == 0 && s.Open {
		r := &Receipt{Empty: true}
		s.parked = append(s.parked, r)
		m.retry(s)
		return *r
	}
	if len(s.Buffer) == 0 {
		return Receipt{Empty: s.Live, Closed: !s.Live}
	}
	r := Receipt{Event: s.Buffer[0]}
	s.Buffer = s.Buffer[1:]
	s.Counts.Received++
	m.retry(s)
	return r
}

// Park receives from s, waiting if need be.
func (m *Model) Park(s *Sub) *Receipt {
	r := m.Receive(s)
	if r.Empty {
		s.parked = append(s.parked, &r)
	}
	return &r
}

// Advance lets d go by.
func (m *Model) Advance(d time.Duration) {
	for end := m.now + d; ; {
		next := end
		for _, s := range m.waiting() {
			if s.ask {
				next = min(next, s.deadline)
			}
		}
		m.now = next
		for _, s := range slices.Clone(m.waiting()) {
			if s.ask && s.deadline <= m.now {
				s.ask = false
				m.overflow(s, m.event())
			}
		}
		m.proceed()
		if m.now == end && !slices.ContainsFunc(m.waiting(), func(s *Sub) bool { return s.ask && s.deadline <= end }) {
			return
		}
	}
}
