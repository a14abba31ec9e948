package bridgetest

import (
	"context"
	"errors"
	"path"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
)

// Memory is an external system in memory, and a bridge.Source that receives from
// it: for tests of code that uses a bridge, without a network or a clock (it works
// in a synctest bubble). What it can do is what NewMemory was told; what can go wrong
// with a system is made to go wrong by its methods. Make one with NewMemory. All
// methods may be called by any number of goroutines at once.
//
// A position is the decimal number of a message, counted over all topics from 1. With
// Capabilities.Wildcards a pattern is one of path.Match, else the name of a topic.
// Key and Data are overwritten when Deliver has returned, so that a decode which keeps
// them instead of a copy is found out.
//
// What Memory keeps of its messages, with Replay or Acks, it keeps until Truncate.
type Memory struct {
	can       bridge.Capabilities
	queue     int
	keepAlive time.Duration

	mu       sync.Mutex
	last     uint64            // the number of the last message; guarded by mu
	log      []entry           // with Replay or Acks: what is kept, and what was truncated; guarded by mu
	sessions []*session        // the Runs there are; guarded by mu
	groups   map[string]*group // with Acks, by pattern; guarded by mu
	runs     map[string]int    // Runs begun, by pattern; guarded by mu
	warnings map[string]uint64 // by pattern; guarded by mu
	refusal  error             // not nil: no connection is made; guarded by mu
	mute     bool              // guarded by mu
	hole     bool              // guarded by mu
}

// entry is a message that is kept, or was.
type entry struct {
	bridge.Message
	seq  uint64
	gone bool
}

// group is what the system keeps of a pattern for those who acknowledge.
type group struct {
	start     uint64          // messages behind this one are the group's
	delivered map[uint64]bool // at least once
	acked     map[uint64]bool
	run       []uint64 // what the current Run was given, in order
}

// MemoryOption configures a Memory.
type MemoryOption func(*Memory)

// WithQueue bounds what waits for a Run whose sink is held up, where nothing is kept:
// beyond n messages the newest are dropped, which is reported as a gap. Without it,
// that is 65,536.
func WithQueue(n int) MemoryOption { return func(m *Memory) { m.queue = n } }

// WithKeepAlive is the time after which a black hole is noticed; without it, 100 ms.
func WithKeepAlive(d time.Duration) MemoryOption { return func(m *Memory) { m.keepAlive = d } }

// NewMemory makes a system without topics, whose source can do what can says. With
// Acks and without Replay it is like a queue, with Replay like a log, with neither
// like a radio: who is not connected misses what is published.
func NewMemory(can bridge.Capabilities, opts ...MemoryOption) *Memory {
	m := &Memory{
		can: can, queue: 1 << 16, keepAlive: 100 * time.Millisecond,
		groups: map[string]*group{}, runs: map[string]int{}, warnings: map[string]uint64{},
	}
	for _, o := range opts {
		o(m)
	}
	return m
}

// ErrDown is why a Run fails that finds no system, and the Err of gaps.
var ErrDown = errors.New("bridgetest: connection lost or refused")

// Capabilities returns what NewMemory was told.
func (m *Memory) Capabilities() bridge.Capabilities { return m.can }

// Publish gives the system one message. The error is always nil: what is published
// while nobody is connected is kept or lost.
func (m *Memory) Publish(_ context.Context, topic string, data []byte) error {
	m.Send(bridge.Message{Topic: topic, Data: slices.Clone(data)})
	return nil
}

// Send is Publish of a message with more to it. Its Position and Redelivered are
// made by the system. It keeps what msg refers to. It returns the position.
func (m *Memory) Send(msg bridge.Message) bridge.Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	msg.Position = position(m.last)
	e := entry{Message: msg, seq: m.last}
	if m.keeps() {
		m.log = append(m.log, e)
	}
	for _, s := range m.sessions {
		if m.match(s.pattern, msg.Topic) {
			s.offerLocked(e)
		}
	}
	return msg.Position
}

// keeps tells whether the system keeps what is published.
func (m *Memory) keeps() bool { return m.can.Replay || m.can.Acks }

func (m *Memory) match(pattern, topic string) bool {
	if !m.can.Wildcards {
		return pattern == topic
	}
	ok, err := path.Match(pattern, topic)
	return ok && err == nil
}

func position(seq uint64) bridge.Position {
	if seq == 0 {
		return ""
	}
	return bridge.Position(strconv.FormatUint(seq, 10))
}

// Cut cuts every connection. The source connects again at once, if it can.
func (m *Memory) Cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		s.cutLocked()
	}
}

// Refuse has connections refused because of err, and cuts those there are: a Run
// that begins returns err, and one that was connected waits. nil ends that.
func (m *Memory) Refuse(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refusal = err
	for _, s := range m.sessions {
		if err != nil {
			s.cutLocked()
		}
		s.wakeLocked()
	}
}

// Mute has the system take connections and never confirm a subscription while on is
// true. What is live stays live.
func (m *Memory) Mute(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mute = on
	m.wakeAllLocked()
}

// Blackhole has every connection swallow what is sent while on is true. The source
// notices after a while (WithKeepAlive) and connects again when it is over.
func (m *Memory) Blackhole(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hole = on
	m.wakeAllLocked()
}

// Fail has every Run of pattern that is going on return err. Pass a
// bridge.Permanent to end the topic.
func (m *Memory) Fail(pattern string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		if s.pattern == pattern {
			s.failure = err
			s.wakeLocked()
		}
	}
}

// Report has every Run of pattern that is live report g before what it delivers next.
func (m *Memory) Report(pattern string, g bridge.Gap) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		if s.pattern == pattern {
			s.gaps = append(s.gaps, g)
			s.wakeLocked()
		}
	}
}

// Warn counts a slow-consumer warning of the system for pattern.
func (m *Memory) Warn(pattern string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.warnings[pattern]++
}

// Truncate has the system forget all messages of topic but the newest keep.
func (m *Memory) Truncate(topic string, keep int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range slices.Backward(m.log) {
		e := &m.log[i]
		if e.Topic != topic || e.gone {
			continue
		}
		if keep--; keep < 0 {
			e.gone, e.Message = true, bridge.Message{Topic: topic, Position: e.Position}
		}
	}
	m.wakeAllLocked()
}

// Subscriptions returns how many Runs of pattern are connected or connecting.
func (m *Memory) Subscriptions(pattern string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		if s.pattern == pattern {
			n++
		}
	}
	return n
}

// Runs returns how many Runs of pattern have begun.
func (m *Memory) Runs(pattern string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.runs[pattern]
}

// Acked returns how many messages of pattern are acknowledged.
func (m *Memory) Acked(pattern string) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if g := m.groups[pattern]; g != nil {
		return uint64(len(g.acked))
	}
	return 0
}

// Ack acknowledges the first n messages that the current Run of pattern delivered,
// or the last one if it has ended. It implements bridge.Acker.
func (m *Memory) Ack(ctx context.Context, pattern string, n uint64) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.groups[pattern]
	if g == nil || n > uint64(len(g.run)) {
		return errors.New("bridgetest: more acknowledged than the Run has delivered")
	}
	for _, seq := range g.run[:n] {
		g.acked[seq] = true
	}
	return nil
}

// Lag returns how many messages wait for the Run of pattern. It implements
// bridge.Lagger.
func (m *Memory) Lag(pattern string) (n uint64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		if s.pattern == pattern {
			return s.lagLocked(), true
		}
	}
	return 0, false
}

// Warnings returns how many there were (see Warn). It implements bridge.Warner.
func (m *Memory) Warnings(pattern string) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.warnings[pattern]
}

func (m *Memory) wakeAllLocked() {
	for _, s := range m.sessions {
		s.wakeLocked()
	}
}
