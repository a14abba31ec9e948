package model

import "slices"

func (m *Model) waiting() []*Sub {
	if m.turn == nil {
		return nil
	}
	return m.turn.waiting
}

// event is the one in flight.
func (m *Model) event() int { return m.turn.Events[m.turn.Published-1] }

// proceed goes on with the publish that has the turn, and with those in line,
// until one is blocked or all are done.
func (m *Model) proceed() {
	for {
		if m.turn == nil {
			if len(m.line) == 0 {
				return
			}
			m.turn, m.line = m.line[0], m.line[1:]
		}
		c := m.turn
		switch {
		case len(c.waiting) > 0:
			return
		case c.Panicked || c.Why != 0 || c.Published == len(c.Events):
			if c.Panicked {
				c.Why, c.Partial = 0, false
			}
			c.Done, m.turn = true, nil
		case c.ended:
			c.Done, c.Why, m.turn = true, Canceled, nil
		default:
			m.number()
		}
	}
}

// number publishes the next event of the turn to everyone.
func (m *Model) number() {
	c := m.turn
	c.Published++
	m.Published++
	for _, s := range m.Subs {
		if s.Live {
			s.Counts.Offered++
			m.Counts.Offered++
			m.offer(s, m.event())
		}
	}
	if len(c.waiting) > 0 {
		m.Blocked++
	}
	if c.ended {
		m.giveUp(c)
	}
}

func (m *Model) offer(s *Sub, event int) {
	if s.Filter != nil {
		verdict := s.Filter(event)
		if verdict == LeaveKeep || verdict == LeaveReject {
			m.leave(s, Left)
		}
		switch verdict {
		case Reject, LeaveReject:
			s.Counts.Filtered++
			m.Counts.Filtered++
			return
		case LeaveKeep:
			m.lose(s, &s.Counts.Dropped.Closed, &m.Counts.Dropped.Closed)
			return
		case CancelKeep:
			m.turn.ended = true
		case Crash:
			m.turn.Panicked = true
			m.lose(s, &s.Counts.Dropped.Newest, &m.Counts.Dropped.Newest)
			return
		}
	}
	if m.put(s, event) {
		s.streak = 0
		return
	}
	s.streak++
	if s.Policy.Wait > 0 {
		m.wait(s)
		s.ask, s.deadline = true, m.now+s.Policy.Wait
		return
	}
	m.overflow(s, event)
}

// put gives event to s if it has room.
func (m *Model) put(s *Sub, event int) bool {
	switch {
	case len(s.parked) > 0:
		*s.parked[0] = Receipt{Event: event}
		s.parked = s.parked[1:]
		s.Counts.Received++
	case len(s.Buffer) < s.Cap:
		s.Buffer = append(s.Buffer, event)
	default:
		return false
	}
	return true
}

func (m *Model) wait(s *Sub) {
	if !s.Open {
		s.Open = true
		m.turn.waiting = append(m.turn.waiting, s)
	}
}

// settled takes s off those that are waited for.
func (m *Model) settled(s *Sub) {
	if s.Open {
		s.Open, s.ask = false, false
		m.turn.waiting = slices.DeleteFunc(m.turn.waiting, func(w *Sub) bool { return w == s })
	}
}

// retry tries to give s the event that it is waited for with.
func (m *Model) retry(s *Sub) {
	if s.Open && m.put(s, m.event()) {
		m.settled(s)
		m.proceed()
	}
}

// lose drops the event in flight for s.
func (m *Model) lose(s *Sub, mine, all *uint64) {
	m.settled(s)
	*mine++
	*all++
}

// overflow does what the policy of the full s says.
func (m *Model) overflow(s *Sub, event int) {
	act := s.Policy.Act
	if s.Policy.Ask != nil {
		o := Overflow{s.ID, s.Name, s.Cap, s.Counts.Dropped.Sum(), s.streak - 1}
		s.Asked = append(s.Asked, o)
		act = s.Policy.Ask(o)
	}
	mine, all := &s.Counts.Dropped, &m.Counts.Dropped
	switch act {
	case Block:
		m.wait(s)
	case DropNewest:
		m.lose(s, &mine.Newest, &all.Newest)
	case DropOldest:
		m.lose(s, &mine.Oldest, &all.Oldest)
		if s.Cap > 0 {
			s.Buffer = append(slices.Clone(s.Buffer[1:]), event)
		}
	case Eject:
		m.lose(s, &mine.Ejected, &all.Ejected)
		m.Ejected++
		m.Evictions = append(m.Evictions, Eviction{s, len(s.Buffer), s.Counts})
		m.leave(s, Ejected)
	case Panic:
		m.turn.Panicked = true
		m.lose(s, &mine.Newest, &all.Newest)
	case Leave:
		m.wait(s) // as if, so that the event is lost with it
		m.leave(s, Left)
	}
}

// leave ends s if it is live. An event that it is waited for with is lost.
func (m *Model) leave(s *Sub, why Why) {
	if !s.Live {
		return
	}
	s.Live, s.Why = false, why
	if s.Open {
		m.lose(s, &s.Counts.Dropped.Closed, &m.Counts.Dropped.Closed)
	}
	for _, r := range s.parked {
		*r = Receipt{Closed: true}
	}
	s.parked = nil
	if m.Len() == 0 {
		m.Interest = append(m.Interest, false)
	}
}
