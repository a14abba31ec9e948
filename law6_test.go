package broadcast_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

func TestLaw6_Freshness(t *testing.T) {
	const n = 20
	answer := func(a broadcast.Action) broadcast.Policy {
		return broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { return a })
	}
	for _, c := range []struct {
		name   string
		policy broadcast.Policy
		newest bool
	}{
		{"DropNewest", broadcast.DropNewest, false},
		{"PolicyFunc DropNewest", answer(broadcast.DropNewest), false},
		{"BlockFor DropNewest", broadcast.BlockFor(time.Second, broadcast.DropNewest), false},
		{"Eject", broadcast.Eject, false},
		{"PolicyFunc Eject", answer(broadcast.Eject), false},
		{"BlockFor Eject", broadcast.BlockFor(time.Second, broadcast.Eject), false},
		{"DropOldest", broadcast.DropOldest, true},
		{"PolicyFunc DropOldest", answer(broadcast.DropOldest), true},
		{"BlockFor DropOldest", broadcast.BlockFor(time.Second, broadcast.DropOldest), true},
	} {
		for _, buffer := range []int{0, 1, 2, 3, 8, n - 1, n, n + 1} {
			for _, batch := range []bool{false, true} {
				bubble(t, fmt.Sprintf("policy=%s/cap=%d/batch=%v", c.name, buffer, batch), func(t *testing.T) {
					keepsRightOnes(t, c.policy, buffer, n, batch, c.newest)
				})
			}
		}
	}
	bubble(t, "those taken meanwhile make room", takenMeanwhile)
	bubble(t, "hand-off", handOff)
}

// Nobody receives. Of n events the buffer holds the newest or the oldest.
func keepsRightOnes(t *testing.T, p broadcast.Policy, buffer, n int, batch, newest bool) {
	a := newAudit(newHub[int](t, buffer, p))
	plain := a.subscribe(p, buffer)
	even := a.filtered(p, buffer, func(e int) bool { return e%2 == 0 })
	if batch {
		published, err := a.hub.PublishBatch(bg, span(1, n))
		require.Equal(t, n, published)
		require.NoError(t, err)
		a.timeline = span(1, n)
	} else {
		require.NoError(t, a.publish(bg, span(1, n)...))
	}
	checkLaws(t, a)
	var evens []int
	for e := 2; e <= n; e += 2 {
		evens = append(evens, e)
	}
	require.Equal(t, part(span(1, n), buffer, newest), plain.drain())
	require.Equal(t, part(evens, buffer, newest), even.drain())
	checkLaws(t, a)
}

// part is the last or the first n of all.
func part(all []int, n int, last bool) (some []int) {
	n = min(n, len(all))
	if last {
		return append(some, all[len(all)-n:]...)
	}
	return append(some, all[:n]...)
}

func takenMeanwhile(t *testing.T) {
	a := newAudit(newHub[int](t, 3, broadcast.Block))
	oldest, newest := a.subscribe(broadcast.DropNewest, 3), a.subscribe(broadcast.DropOldest, 3)
	require.NoError(t, a.publish(bg, 1, 2, 3, 4))
	require.Equal(t, []int{1}, oldest.take(1).got)
	require.Equal(t, []int{2}, newest.take(1).got)
	require.NoError(t, a.publish(bg, 5, 6))
	require.Equal(t, []int{1, 2, 3, 5}, oldest.drain())
	require.Equal(t, []int{2, 4, 5, 6}, newest.drain())
	checkLaws(t, a)
}

// A buffer of 0 hands over to who is receiving, and loses the rest.
func handOff(t *testing.T) {
	for _, p := range []broadcast.Policy{broadcast.DropNewest, broadcast.DropOldest} {
		for _, keep := range []func(int) bool{nil, func(int) bool { return true }} {
			a := newAudit(newHub[int](t, 0, p))
			var w *witness[int]
			if keep == nil {
				w = a.subscribe(p, 0)
			} else {
				w = a.filtered(p, 0, keep)
			}
			require.NoError(t, a.publish(bg, 1))
			received := async(func() []int { return w.take(1).got })
			received.requireBlocked(t, "receive")
			require.NoError(t, a.publish(bg, 2))
			require.Equal(t, []int{2}, received.returned(t, "receive"))
			synctest.Wait()
			require.NoError(t, a.publish(bg, 3))
			checkLaws(t, a)
			want := broadcast.DropReasons{Newest: 2}
			if p == broadcast.DropOldest {
				want = broadcast.DropReasons{Oldest: 2}
			}
			require.Equal(t, want, a.hub.Stats().DroppedBy)
		}
	}
}
