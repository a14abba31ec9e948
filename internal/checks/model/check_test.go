package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing/synctest"

	"github.com/gobroadcast/broadcast"
)

// check compares everything that can be seen of the hub with the model, once all
// have come to rest.
func (m *machine) check() error {
	synctest.Wait()
	m.mu.Lock() // all are at rest, so nobody waits for it
	defer m.mu.Unlock()
	return cmp.Or(m.checkCalls(), m.checkReceivers(), m.checkSubs(), m.checkHub(), m.checkHooks())
}

// checkCalls is whether the right publishes have returned, and what.
func (m *machine) checkCalls() error {
	var still []*call
	for _, c := range m.calls {
		select {
		case <-c.done:
			if !c.model.Done {
				return fmt.Errorf("%s: returned %d, %v, panic %v, want it blocked", c.name, c.n, c.err, c.thrown)
			}
			if err := m.checkOutcome(c); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.cancel(nil)
		default:
			if c.model.Done {
				return fmt.Errorf("%s: blocked, want it returned with %+v", c.name, *c.model)
			}
			still = append(still, c)
		}
	}
	m.calls = still
	return nil
}

func (m *machine) checkOutcome(c *call) error {
	want := c.model
	switch {
	case want.Panicked:
		if c.thrown != thrown {
			return fmt.Errorf("returned %d, %v, panic %v, want a panic", c.n, c.err, c.thrown)
		}
		return nil
	case c.thrown != nil:
		return fmt.Errorf("panic %v, want none", c.thrown)
	case c.n != want.Published:
		return fmt.Errorf("%d events published (error %v), want %d", c.n, c.err, want.Published)
	}
	return m.checkError(c.err, want.Why, want.Partial, c.ctx)
}

// checkError is whether err is one of the reasons allowed, and no other.
func (m *machine) checkError(err error, allowed Why, partial bool, ctx context.Context) error {
	if allowed == 0 {
		if err != nil {
			return fmt.Errorf("error %v, want none", err)
		}
		return nil
	}
	if errors.Is(err, broadcast.ErrPartial) != partial {
		return fmt.Errorf("error %v, want one that wraps ErrPartial: %v", err, partial)
	}
	var causes []Why
	closed := errors.Is(err, broadcast.ErrClosed)
	if closed && (m.reason == nil || errors.Is(err, m.reason)) {
		causes = append(causes, Closed)
	}
	if closed && !errors.Is(err, errReason) {
		causes = append(causes, Left)
	}
	if errors.Is(err, broadcast.ErrEjected) {
		causes = append(causes, Ejected)
	}
	if ctx != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		causes = append(causes, Canceled)
	}
	for _, c := range causes {
		if allowed&c == 0 && !(closed && allowed&(Closed|Left) != 0) {
			return fmt.Errorf("error %v, want reason %b", err, allowed)
		}
	}
	if !slices.ContainsFunc(causes, func(c Why) bool { return allowed&c != 0 }) {
		return fmt.Errorf("error %v, want reason %b", err, allowed)
	}
	return nil
}

// checkReceivers is whether the right receives have returned, and what.
func (m *machine) checkReceivers() error {
	var still []*receiver
	for _, r := range m.receivers {
		select {
		case got := <-r.done:
			if got != *r.model {
				return fmt.Errorf("%s: a waiting receiver got %+v, want %+v", r.sub, got, *r.model)
			}
			if !got.Closed {
				r.sub.got++
			}
		default:
			if !r.model.Empty {
				return fmt.Errorf("%s: a receiver waits, want it to have %+v", r.sub, *r.model)
			}
			still = append(still, r)
		}
	}
	m.receivers = still
	return nil
}

func (m *machine) checkSubs() error {
	live := map[uint64]broadcast.SubscriptionStats{}
	for _, s := range m.subs {
		if err := m.checkSub(s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		if s.model.Live {
			live[s.model.ID] = s.Stats()
		}
	}
	listed := 0
	for st := range m.hub.Subscriptions() {
		listed++
		if want, ok := live[st.ID]; !ok || st != want {
			return fmt.Errorf("Subscriptions lists %+v, want %+v", st, want)
		}
	}
	if listed != len(live) {
		return fmt.Errorf("Subscriptions lists %d, want %d", listed, len(live))
	}
	return nil
}

func (m *machine) checkSub(s *subject) error {
	c, got := s.model.Counts, s.Stats()
	inFlight := uint64(0) // offered, and nothing became of it yet
	if s.model.Open {
		inFlight = 1
	}
	if lost := uint64(got.Len) + got.Dropped + got.Filtered + got.Coalesced; got.Offered != s.got+lost+inFlight {
		return fmt.Errorf("law 2: %+v, but %d were received and %d are in flight", got, s.got, inFlight)
	}
	if got.Received != s.got && got.Received != s.got+inFlight {
		return fmt.Errorf("Received = %d, want %d", got.Received, s.got)
	}
	want := broadcast.SubscriptionStats{
		ID: s.model.ID, Name: s.model.Name, Len: len(s.model.Buffer), Cap: s.model.Cap,
		Offered: c.Offered, Received: got.Received, Dropped: c.Dropped.Sum(), Filtered: c.Filtered,
	}
	switch {
	case got != want:
		return fmt.Errorf("stats %+v, want %+v", got, want)
	case s.got != c.Received:
		return fmt.Errorf("its consumer got %d, want %d", s.got, c.Received)
	case len(s.C()) != want.Len || cap(s.C()) != want.Cap:
		return fmt.Errorf("the channel holds %d of %d, want %d of %d", len(s.C()), cap(s.C()), want.Len, want.Cap)
	case !slices.Equal(s.asked, s.model.Asked):
		return fmt.Errorf("its policy was told %+v, want %+v", s.asked, s.model.Asked)
	case s.model.Live && s.Err() != nil:
		return fmt.Errorf("Err = %w, want it live", s.Err())
	}
	return m.checkError(s.Err(), s.model.Why, false, s.ctx)
}

func (m *machine) checkHub() error {
	c, got := m.model.Counts, m.hub.Stats()
	d := c.Dropped
	want := broadcast.Stats{
		Subscribers: m.model.Len(), Published: m.model.Published, Offered: c.Offered,
		Dropped: d.Sum(), Filtered: c.Filtered, Ejected: m.model.Ejected, Blocked: m.model.Blocked,
		DroppedBy: broadcast.DropReasons{Newest: d.Newest, Oldest: d.Oldest, Canceled: d.Canceled, Closed: d.Closed, Ejected: d.Ejected},
	}
	if got != want {
		return fmt.Errorf("the hub's stats are %+v,\nwant %+v", got, want)
	}
	if m.hub.Len() != want.Subscribers {
		return fmt.Errorf("Len = %d, want %d", m.hub.Len(), want.Subscribers)
	}
	var sum broadcast.Stats
	for _, s := range m.subs {
		st := s.Stats()
		sum.Offered, sum.Dropped, sum.Filtered = sum.Offered+st.Offered, sum.Dropped+st.Dropped, sum.Filtered+st.Filtered
	}
	if sum.Offered != got.Offered || sum.Dropped != got.Dropped || sum.Filtered != got.Filtered {
		return fmt.Errorf("law 2: the hub's stats are %+v, and the sum over all subscriptions %+v", got, sum)
	}
	return nil
}

// checkHooks is what the hooks were told, if the hub has any.
func (m *machine) checkHooks() error {
	if !m.hooked {
		return nil
	}
	if !slices.Equal(m.interest, m.model.Interest) {
		return fmt.Errorf("the interest hook was told %v, want %v", m.interest, m.model.Interest)
	}
	var want []broadcast.SubscriptionStats
	for _, e := range m.model.Evictions {
		want = append(want, broadcast.SubscriptionStats{
			ID: e.Sub.ID, Name: e.Sub.Name, Len: e.Len, Cap: e.Sub.Cap, Offered: e.Counts.Offered,
			Received: e.Counts.Received, Dropped: e.Counts.Dropped.Sum(), Filtered: e.Counts.Filtered,
		})
	}
	// Of those that one event ejects nobody is first.
	byID := func(a, b broadcast.SubscriptionStats) int { return cmp.Compare(a.ID, b.ID) }
	got := slices.SortedFunc(slices.Values(m.evictions), byID)
	slices.SortFunc(want, byID)
	if !slices.Equal(got, want) {
		return fmt.Errorf("the eject hook was told %+v,\nwant %+v", got, want)
	}
	return nil
}
