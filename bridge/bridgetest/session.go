package bridgetest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
)

// session is one Run of a Memory. All of it is guarded by the mutex of the Memory,
// but wake.
type session struct {
	m       *Memory
	pattern string
	wake    chan struct{} // one token: something has changed

	connected bool
	wasLive   bool
	queue     []arrival // where nothing is kept: what is to be delivered
	cursor    uint64    // where all is kept: the last message that was looked at
	group     *group    // with Acks

	gaps    []bridge.Gap // to be reported before the next message
	cut     bool         // the connection was lost, which has not been noticed yet
	lost    lostRange    // while it is not connected
	failure error
	silence time.Time // since when the black hole swallows; zero: it does not
}

// arrival is a message, or some that were dropped behind the one before.
type arrival struct {
	entry
	dropped lostRange
}

// lostRange counts messages that are lost.
type lostRange struct{ n, from, to uint64 }

func (l *lostRange) add(seq uint64) {
	l.n++
	l.from, l.to = cmp.Or(l.from, seq), seq
}

func (l *lostRange) merge(a arrival) {
	if a.dropped.n == 0 {
		l.add(a.seq)
		return
	}
	l.n, l.from, l.to = l.n+a.dropped.n, cmp.Or(l.from, a.dropped.from), a.dropped.to
}

// Run implements bridge.Source.
func (m *Memory) Run(ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
	s, err := m.open(pattern, from)
	if err != nil {
		return err
	}
	defer m.end(s)
	for ctx.Err() == nil {
		do, pause := s.next()
		if do != nil {
			if err := do(ctx, sink); err != nil {
				return err
			}
			continue
		}
		s.await(ctx, pause)
	}
	return context.Cause(ctx)
}

func (s *session) await(ctx context.Context, pause time.Duration) {
	var alarm <-chan time.Time
	if pause > 0 {
		t := time.NewTimer(pause)
		defer t.Stop()
		alarm = t.C
	}
	select {
	case <-s.wake:
	case <-alarm:
	case <-ctx.Done():
	}
}

func (m *Memory) open(pattern string, from bridge.Position) (*session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.runs[pattern]++
	if m.refusal != nil {
		return nil, m.refusal
	}
	s := &session{m: m, pattern: pattern, wake: make(chan struct{}, 1), cursor: m.last}
	if from != "" {
		if !m.can.Replay {
			return nil, bridge.Permanent(errors.New("bridgetest: a position, and the source cannot replay"))
		}
		at, err := strconv.ParseUint(string(from), 10, 64)
		if err != nil {
			return nil, bridge.Permanent(err)
		}
		s.cursor = at
	}
	if m.can.Acks {
		s.joinGroupLocked()
	}
	m.sessions = append(m.sessions, s)
	return s, nil
}

// joinGroupLocked has s begin with what is not acknowledged.
func (s *session) joinGroupLocked() {
	g := s.m.groups[s.pattern]
	if g == nil {
		g = &group{start: s.cursor, delivered: map[uint64]bool{}, acked: map[uint64]bool{}}
		s.m.groups[s.pattern] = g
	}
	g.run = nil
	s.group, s.cursor = g, g.start
}

func (m *Memory) end(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions = slices.DeleteFunc(m.sessions, func(other *session) bool { return other == s })
}

// wakeLocked and what follows need the mutex of the Memory.
func (s *session) wakeLocked() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *session) cutLocked() {
	if s.connected {
		s.connected, s.cut = false, true
		for _, a := range s.queue { // it was on the way
			s.lost.merge(a)
		}
		s.queue = nil
	}
	s.wakeLocked()
}

// offerLocked is the arrival of a message that matches.
func (s *session) offerLocked(e entry) {
	last := len(s.queue) - 1
	switch {
	case s.m.keeps(): // it is fetched
	case !s.connected:
		s.lost.add(e.seq)
	case last >= 0 && s.queue[last].dropped.n > 0 && last >= s.m.queue:
		s.queue[last].dropped.add(e.seq)
	case last+1 >= s.m.queue:
		s.queue = append(s.queue, arrival{dropped: lostRange{1, e.seq, e.seq}})
	default:
		s.queue = append(s.queue, arrival{entry: e})
	}
	s.wakeLocked()
}

type action func(ctx context.Context, sink bridge.Sink) error

// next is what the Run does next, or how long it waits at most if that is bounded.
func (s *session) next() (do action, pause time.Duration) {
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hole && s.connected {
		if s.silence.IsZero() {
			s.silence = time.Now()
		}
		if pause = m.keepAlive - time.Since(s.silence); pause > 0 {
			return nil, pause
		}
		s.cutLocked()
	}
	s.silence = time.Time{}
	if s.failure != nil {
		err := s.failure
		return func(context.Context, bridge.Sink) error { return err }, 0
	}
	if s.cut {
		s.cut = false
		s.disconnectedLocked()
	}
	switch {
	case len(s.gaps) > 0:
		g := s.gaps[0]
		s.gaps = s.gaps[1:]
		return report(g), 0
	case s.connected:
		return s.receiveLocked(), 0
	case m.mute || m.hole || m.refusal != nil:
		return nil, 0
	}
	if s.wasLive && s.lost.n > 0 { // since it was noticed
		s.disconnectedLocked()
	}
	s.connected, s.wasLive, s.lost = true, true, lostRange{}
	return func(_ context.Context, sink bridge.Sink) error { sink.Live(); return nil }, 0
}

// disconnectedLocked notes the gap of a connection that was lost.
func (s *session) disconnectedLocked() {
	if !s.m.keeps() {
		s.gaps = append(s.gaps, s.gap(bridge.Disconnected, s.lost, ErrDown))
	}
	s.lost = lostRange{}
}

func (s *session) gap(reason bridge.Reason, l lostRange, err error) bridge.Gap {
	g := bridge.Gap{Reason: reason, Err: err}
	if s.m.can.ExactGaps {
		g.Count, g.From, g.To = l.n, position(l.from), position(l.to)
	}
	return g
}

// receiveLocked is the next message of a connection, or the gap where some were.
func (s *session) receiveLocked() action {
	if s.m.keeps() {
		return s.fetchLocked()
	}
	if len(s.queue) == 0 {
		return nil
	}
	a := s.queue[0]
	s.queue = s.queue[1:]
	if a.dropped.n > 0 {
		return report(s.gap(bridge.SourceDropped, a.dropped, nil))
	}
	return deliver(a.Message)
}

func report(g bridge.Gap) action {
	return func(ctx context.Context, sink bridge.Sink) error { return sink.Gap(ctx, g) }
}

// deliver lends a copy of msg, which is worth nothing afterwards.
func deliver(msg bridge.Message) action {
	return func(ctx context.Context, sink bridge.Sink) error {
		lent := msg
		lent.Key, lent.Data = slices.Clone(msg.Key), slices.Clone(msg.Data)
		key, data := lent.Key, lent.Data
		err := sink.Deliver(ctx, &lent)
		clear(key)
		clear(data)
		return err
	}
}

// fetchLocked is the next message of the log that is the session's, or the gap where
// it was truncated.
func (s *session) fetchLocked() action {
	var gone lostRange
	for _, e := range s.m.log[s.indexLocked():] {
		if !s.m.match(s.pattern, e.Topic) || s.group != nil && s.group.acked[e.seq] {
			s.cursor = e.seq
			continue
		}
		if !e.gone {
			if gone.n > 0 {
				break
			}
			s.cursor = e.seq
			msg := e.Message
			if s.group != nil {
				msg.Redelivered = s.group.delivered[e.seq]
				s.group.delivered[e.seq] = true
				s.group.run = append(s.group.run, e.seq)
			}
			return deliver(msg)
		}
		gone.add(e.seq)
		s.cursor = e.seq
	}
	if gone.n == 0 {
		return nil
	}
	return report(s.gap(bridge.Truncated, gone, nil))
}

// indexLocked is where in the log the first message behind the cursor is.
func (s *session) indexLocked() int {
	i, _ := slices.BinarySearchFunc(s.m.log, s.cursor+1, func(e entry, seq uint64) int { return cmp.Compare(e.seq, seq) })
	return i
}

func (s *session) lagLocked() (n uint64) {
	if !s.m.keeps() {
		return uint64(len(s.queue))
	}
	for _, e := range s.m.log[s.indexLocked():] {
		if !e.gone && s.m.match(s.pattern, e.Topic) {
			n++
		}
	}
	return n
}
