package sched

import (
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// steps is a scenario of actors that do so many operations each.
func steps(actors, operations int) func(*X) {
	return func(x *X) {
		for range actors {
			x.Go("actor", func() {
				for range operations {
					Touch("operation")
				}
			})
		}
	}
}

func count(t *testing.T, build func(*X), bound int) int {
	res := Explore(t, build, Options{Bound: bound}, func(r Result) { t.Errorf("%+v", r.Failure) })
	require.True(t, res.Complete)
	return res.Schedules
}

// The search goes through every interleaving once. Two actors of n operations
// have 2(n+1) places to begin the next stretch; those with p changes where the
// actor could have gone on are counted by hand below.
func TestSearch_Complete(t *testing.T) {
	require.Equal(t, 1, count(t, steps(1, 5), 9))
	require.Equal(t, 2, count(t, steps(2, 5), 0), "one after the other")
	// Each of n+1 stretches of an actor (its start and n operations) is one step:
	// all orders of two sequences of n+1 steps.
	for n := range 4 {
		k := n + 1
		require.Equal(t, binomial(2*k, k), count(t, steps(2, n), math.MaxInt), "n=%d", n)
	}
	require.Equal(t, 6, count(t, steps(3, 3), 0))
	require.Equal(t, 1680, count(t, steps(3, 2), math.MaxInt), "9!/(3! 3! 3!)")
}

func binomial(n, k int) int {
	res := 1
	for i := 1; i <= k; i++ {
		res = res * (n - k + i) / i
	}
	return res
}

// With a bound, only schedules within it are run: with one preemption of two
// actors of n operations, one of them is interrupted at one of its n operations.
func TestSearch_Bound(t *testing.T) {
	for n := 1; n < 6; n++ {
		require.Equal(t, 2+2*n, count(t, steps(2, n), 1), "n=%d", n)
	}
}

// What waits for a lock is not run, and whoever lets go of it may have it again
// before the others.
func TestLock(t *testing.T) {
	orders := map[string]bool{}
	count(t, func(x *X) {
		var mu sync.Mutex
		order, holders := "", 0
		for _, name := range []string{"a", "b"} {
			x.Go(name, func() {
				for range 2 {
					Lock(&mu, "lock")
					holders++
					Touch("inside")
					if holders != 1 {
						x.Errorf("two have the lock")
					}
					order += name
					holders--
					Unlock(&mu)
				}
			})
		}
		x.Check(func() { orders[order] = true })
	}, math.MaxInt)
	require.Len(t, orders, 6, "aabb, abab, abba and the same with b first: %v", orders)
}

// A blocked receive is woken by the send, and by nothing else; where several cases
// of a select are ready, each is tried.
func TestSelect(t *testing.T) {
	taken := map[int]bool{}
	count(t, func(x *X) {
		a, b, c := make(chan int, 1), make(chan int, 1), make(chan struct{})
		x.Go("sender", func() {
			Send(a, 1, "send")
			Send(b, 2, "send")
			Close(c, "close")
		})
		x.Go("receiver", func() {
			taken[Select("select", RecvCase(a), RecvCase(b), RecvCase(c))] = true
		})
	}, 1)
	require.Equal(t, map[int]bool{0: true, 1: true, 2: true}, taken)
}

// Random schedules of one seed are the same each time, and others differ.
func TestRandom_Repeats(t *testing.T) {
	first := func(seed uint64) string {
		var schedule string
		Explore(t, func(x *X) {
			steps(3, 4)(x)
			x.Check(func() { schedule = format(x.run.plan.taken()) })
		}, Options{Random: 1, Seed: seed}, nil)
		return schedule
	}
	schedules := map[string]bool{}
	for seed := range uint64(20) {
		require.Equal(t, first(seed), first(seed))
		schedules[first(seed)] = true
	}
	require.Greater(t, len(schedules), 5)
}

func TestFormat(t *testing.T) {
	for _, text := range []string{"0", "1", "0x12,1", "0x3,2x2,0,1"} {
		path, err := parse(text)
		require.NoError(t, err)
		require.Equal(t, text, format(path))
	}
	for _, text := range []string{"", "x", "1,,2", "-1", "1x0", "1x-3", "a"} {
		_, err := parse(text)
		require.ErrorContains(t, err, "0x12,1,0x3", "%q", text)
	}
}
