package broadcast_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// TestMatrix takes one full subscription through every policy, every end of it,
// a context that lives or ends in the middle of a publish, three capacities, and
// one or two publishers, and asserts the exact outcome of each.
func TestMatrix(t *testing.T) {
	for _, policy := range []broadcast.Action{broadcast.Block, broadcast.DropNewest, broadcast.DropOldest, broadcast.Eject} {
		for _, end := range []string{"none", "sub", "hub"} {
			for _, ctx := range []string{"live", "canceled"} {
				for _, capacity := range []int{1, 2, 8} {
					for _, pubs := range []int{1, 2} {
						m := matrix{policy, end, ctx == "canceled", capacity, pubs}
						name := fmt.Sprintf("policy=%v/end=%s/ctx=%s/cap=%d/pubs=%d", policy, end, ctx, capacity, pubs)
						bubble(t, name, m.run)
					}
				}
			}
		}
	}
}

type matrix struct {
	policy   broadcast.Action
	end      string
	canceled bool
	capacity int
	pubs     int
}

// outcome is how the two publishes of one publisher ended.
type outcome [2]error

// run fills the subscription and then has each publisher publish two events.
// When the first of these is in its middle, the context ends, then the
// subscription or the hub. Under Block its middle is the wait for room; the
// other policies do not wait, and so a filter of another subscription, asked
// after the full one was served, holds it there.
func (m matrix) run(t *testing.T) {
	a := newAudit(newHub[int](t, m.capacity, m.policy))
	a.canceling = m.canceled
	a.refer(m.capacity + 2*m.pubs)
	first, resume := m.capacity, make(chan struct{})
	if m.policy != broadcast.Block {
		never := func(int) bool { return false }
		a.subscribe(broadcast.Block, 1, broadcast.WithFilter(func(e int) bool {
			if e == first {
				<-resume
			}
			return false
		})).keep = never
	}
	sub := a.subscribe(m.policy, m.capacity)
	for e := range m.capacity {
		require.NoError(t, a.hub.Publish(bg, e))
	}

	ctx, cancel := context.WithCancelCause(bg)
	defer cancel(nil)
	var publishers []running[outcome]
	for p := range m.pubs {
		publishers = append(publishers, async(func() (errs outcome) {
			for i := range errs {
				errs[i] = a.hub.Publish(ctx, first+2*p+i)
			}
			return errs
		}))
		publishers[p].requireBlocked(t, "publish in its middle, or in line")
	}
	if m.canceled {
		cancel(errTest)
		synctest.Wait()
	}
	switch m.end {
	case "sub":
		sub.Close()
	case "hub":
		a.hub.Close()
	}
	synctest.Wait()
	close(resume)
	if m.policy == broadcast.Block && m.end == "none" && !m.canceled {
		sub.take(m.capacity + 2*m.pubs)
	}
	synctest.Wait()

	checkLaws(t, a)
	for p, publisher := range publishers {
		m.checkErrors(t, p, publisher.returned(t, "publishes"))
	}
	m.checkEvents(t, a, sub)
	m.checkCounts(t, a, sub)
	a.hub.Close()
	sub.consume()
	checkLaws(t, a)
}

// checkErrors is what publisher p gets: the first one is the one in its middle.
func (m matrix) checkErrors(t *testing.T, p int, errs outcome) {
	t.Helper()
	want := [2]error{} // what each error must wrap
	switch {
	case m.canceled:
		want = [2]error{errTest, errTest}
	case m.end == "hub":
		want = [2]error{broadcast.ErrClosed, broadcast.ErrClosed}
	}
	partial := [2]bool{}
	if p == 0 {
		switch {
		case m.policy != broadcast.Block: // nobody had to wait, so nobody missed it
			want[0] = nil
		case want[0] != nil:
			partial[0] = true
		}
	}
	for i, err := range errs {
		switch {
		case want[i] == nil:
			require.NoError(t, err)
		case partial[i]:
			require.ErrorIs(t, err, want[i])
			require.ErrorIs(t, err, broadcast.ErrPartial)
		default:
			require.Equal(t, want[i], err, "the bare cause: nothing was published")
		}
	}
}

// published is how many events there must be.
func (m matrix) published() int {
	if m.canceled || m.end == "hub" {
		return m.capacity + 1
	}
	return m.capacity + 2*m.pubs
}

// checkEvents is who has which events.
func (m matrix) checkEvents(t *testing.T, a *audit[int], sub *witness[int]) {
	t.Helper()
	require.Len(t, a.timeline, m.published())
	require.Equal(t, span(0, m.capacity), a.timeline[:m.capacity+1])
	seen := a.timeline // by the subscription, before it closed
	if m.end == "sub" {
		seen = a.timeline[:m.capacity+1]
	}
	switch m.policy {
	case broadcast.Block:
		if m.canceled || m.end != "none" {
			require.Equal(t, span(0, m.capacity-1), sub.drain())
		} else {
			require.Equal(t, a.timeline, sub.drain())
		}
	case broadcast.DropOldest:
		require.Equal(t, seen[len(seen)-m.capacity:], sub.drain())
	default:
		require.Equal(t, span(0, m.capacity-1), sub.drain())
	}
}

// checkCounts is what was lost and why, and how the subscription ended.
func (m matrix) checkCounts(t *testing.T, a *audit[int], sub *witness[int]) {
	t.Helper()
	over := uint64(m.published() - m.capacity) // events that found it full
	if m.end == "sub" {
		over = 1
	}
	var want broadcast.DropReasons
	var err error
	switch {
	case m.policy == broadcast.Eject:
		want.Ejected, over, err = 1, 1, broadcast.ErrEjected
	case m.end != "none":
		err = broadcast.ErrClosed
	}
	blocked := 0
	switch {
	case m.policy == broadcast.DropNewest:
		want.Newest = over
	case m.policy == broadcast.DropOldest:
		want.Oldest = over
	case m.policy == broadcast.Block:
		blocked = 1
		switch {
		case m.canceled:
			want.Canceled = 1
		case m.end != "none":
			want.Closed = 1
		default:
			blocked = int(a.hub.Stats().Blocked) // how often depends on the consumer
			require.Positive(t, blocked)
		}
	}
	s := a.hub.Stats()
	require.Equal(t, want, s.DroppedBy)
	require.EqualValues(t, blocked, s.Blocked)
	require.EqualValues(t, uint64(m.capacity)+over, sub.Stats().Offered)
	require.Equal(t, err, sub.Err())
	if m.end == "hub" {
		require.Zero(t, a.hub.Len())
	}
}
