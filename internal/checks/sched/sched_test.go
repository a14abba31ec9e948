package sched

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"sync"
	"testing"
	"time"

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

// seen counts what the schedules of a scenario note.
func seen(t *testing.T, bound int, build func(x *X, note func(string))) map[string]int {
	all := map[string]int{}
	count(t, func(x *X) { build(x, func(s string) { all[s]++ }) }, bound)
	return all
}

// Of two that time wakes at once, either goes first, and it is nobody's preemption.
func TestIdle(t *testing.T) {
	orders := seen(t, 0, func(x *X, note func(string)) {
		start, wake := "", ""
		for _, name := range []string{"a", "b"} {
			x.Go(name, func() {
				start += name
				Recv(time.After(time.Millisecond), "rest")
				wake += name
			})
		}
		x.Check(func() { note(start + " " + wake) })
	})
	require.Equal(t, map[string]int{"ab ab": 1, "ab ba": 1, "ba ab": 1, "ba ba": 1}, orders)
}

// A sender that waits at an unbuffered channel is one of several ready cases, and
// does not always win. With a default too, each that is ready is tried.
func TestSelect_Unbuffered(t *testing.T) {
	for name, choose := range map[string]func(...Case) int{
		"select":  func(c ...Case) int { return Select("select", c...) },
		"default": func(c ...Case) int { return TrySelect("select", c...) },
		"reflect": func(c ...Case) int {
			list := make([]reflect.SelectCase, len(c))
			for i := range c {
				list[i] = c[i].reflect()
			}
			i, _, _ := ReflectSelect(list, "select")
			return i
		},
	} {
		t.Run(name, func(t *testing.T) {
			both := seen(t, 0, func(x *X, note func(string)) {
				a, b, done, stop := make(chan int), make(chan int), make(chan struct{}), make(chan struct{})
				x.Go("sender", func() { Select("send", SendCase(a, 1), RecvCase(stop)) })
				x.Go("other sender", func() { Select("send", SendCase(b, 1), RecvCase(stop)) })
				x.Go("canceler", func() { Close(done, "done") })
				x.Go("receiver", func() {
					Recv(time.After(time.Second), "until all are ready")
					note(fmt.Sprint(choose(RecvCase(a), RecvCase(b), RecvCase(done))))
					Close(stop, "stop")
				})
			})
			require.Len(t, both, 3, "%v", both)
			require.Equal(t, both["0"], both["1"])
			require.Equal(t, both["0"], both["2"])
		})
	}
}

// What AfterFunc registers while a scenario is made has its place, so that a cancel
// that starts several runs them in each order.
func TestAfterFunc_Building(t *testing.T) {
	orders := seen(t, 0, func(x *X, note func(string)) {
		ctx, cancel := context.WithCancel(context.Background())
		order := ""
		for _, name := range []string{"a", "b", "c"} {
			AfterFunc(ctx, func() { order += name }, name)
		}
		early, end := context.WithCancel(context.Background())
		AfterFunc(early, func() { order += "early " }, "early")
		end()
		stop := AfterFunc(ctx, func() { x.Errorf("it was stopped") }, "stopped")
		x.Go("stopper", func() {
			if !stop() {
				x.Errorf("stopped too late")
			}
			Cancel(cancel, "cancel")
		})
		x.Check(func() { note(order) })
	})
	require.Len(t, orders, 6, "%v", orders)
	require.Contains(t, orders, "early cab")
}

// A plan that does not fit is an error of the explorer, and no failure.
func TestRun_Lost(t *testing.T) {
	r := newRun(&replay{path: []int{7}})
	r.choose(3)
	require.True(t, r.lost)
	require.Contains(t, r.failure, "does not fit")
	require.ErrorContains(t, Valid("1y"), "0x12,1,0x3")
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
