package broadcast_test

import (
	"fmt"
	"testing"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

func TestAction(t *testing.T) {
	names := []string{"Block", "DropNewest", "DropOldest", "Eject", "Action(4)", "Action(5)"}
	for i, name := range names {
		a := broadcast.Action(i)
		require.Equal(t, name, a.String())
		require.Equal(t, name, fmt.Sprint(a))
		require.Equal(t, a, a.Overflow(broadcast.Overflow{Cap: 7}), "an Action answers itself")
	}
	require.Equal(t, "Action(255)", broadcast.Action(255).String())
	var zero broadcast.Action
	require.Equal(t, broadcast.Block, zero)
}

func TestPolicyFunc(t *testing.T) {
	want := broadcast.Overflow{ID: 1, Name: "n", Cap: 2, Dropped: 3, Consecutive: 4}
	p := broadcast.PolicyFunc(func(o broadcast.Overflow) broadcast.Action {
		require.Equal(t, want, o)
		return broadcast.Eject
	})
	require.Equal(t, broadcast.Eject, p.Overflow(want))
}

// patience ejects who overflows too often in a row: a policy of the user's own
// that needs no state.
type patience struct {
	times uint64
	_     []int // not comparable, as a policy may be
}

func (p patience) Overflow(o broadcast.Overflow) broadcast.Action {
	if o.Consecutive >= p.times {
		return broadcast.Eject
	}
	return broadcast.DropOldest
}

func TestPolicy_OfTheUsersOwn(t *testing.T) {
	bubble(t, "ejected after three overflows in a row", func(t *testing.T) {
		p := patience{times: 3}
		a := newAudit(newHub[int](t, 1, p))
		never, often := a.subscribe(p, 1), a.subscribe(p, 1)
		for e := range 10 {
			require.NoError(t, a.publish(bg, e))
			if e%3 == 2 {
				often.drain()
			}
		}
		require.Equal(t, broadcast.ErrEjected, never.Err())
		require.Equal(t, []int{3}, never.drain())
		require.NoError(t, often.Err())
		require.Equal(t, []int{2, 5, 8, 9}, often.drain())
		checkLaws(t, a)
		require.Equal(t, broadcast.DropReasons{Oldest: 3 + 6, Ejected: 1}, a.hub.Stats().DroppedBy)
	})
	bubble(t, "the policy of the hub", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.PolicyFunc(func(o broadcast.Overflow) broadcast.Action {
			if o.Name == "important" {
				return broadcast.Block
			}
			return broadcast.DropNewest
		}))
		important := hub.Subscribe(broadcast.WithName("important"))
		hub.Subscribe()
		require.NoError(t, hub.Publish(bg, 1))
		p := async(func() error { return hub.Publish(bg, 2) })
		p.requireBlocked(t, "publish to the important one")
		require.Equal(t, 1, <-important.C())
		require.NoError(t, p.returned(t, "publish with room"))
		require.Equal(t, 2, <-important.C())
	})
}
