package broadcast

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var errParked = errors.New("test")

// TestPark_NoWakeUpIsLost has waiters that follow a counter as fast as they can, each
// parking whenever it has caught up. The one that counts goes on only when all have
// seen the number, so a wake-up that is lost stops everything.
func TestPark_NoWakeUpIsLost(t *testing.T) {
	for _, waiters := range []int{1, 2, 4, 5, 17, 300} {
		var l lot
		var count, seen atomic.Uint64
		all := make(chan struct{}, 1)
		rounds := uint64(60_000 / (waiters + 20))
		var running sync.WaitGroup
		for i := range waiters {
			running.Go(func() {
				var p parker
				p.init()
				p.join(lotBlock * uint64(i))
				ctx, cancel := bg(i%2 == 0)
				defer cancel()
				for mine := uint64(0); mine < rounds; {
					if err := l.wait(ctx, &p, func() bool { return count.Load() != mine }); err != nil {
						t.Error(err)
						return
					}
					mine = count.Load()
					if seen.Add(1)%uint64(waiters) == 0 {
						all <- struct{}{}
					}
				}
			})
		}
		for range rounds {
			count.Add(1)
			l.wake()
			select {
			case <-all:
			case <-time.After(10 * time.Second):
				t.Fatalf("a wake-up was lost with %d waiters: %d of them saw number %d", waiters, seen.Load(), count.Load())
			}
		}
		running.Wait()
		requireEmpty(t, &l)
	}
}

// Who woke in a wave of very many of its shard parks without a yield from then on, until
// it wakes in a smaller one.
func TestPark_NoYieldInACrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lot
		var now atomic.Uint64
		parkers := make([]parker, lotCrowd) // of one shard
		for i := range parkers {
			parkers[i].init()
			parkers[i].join(0)
		}
		wave := func(of []parker) {
			was := now.Load()
			for i := range of {
				go func() {
					_ = l.wait(context.Background(), &of[i], func() bool { return now.Load() > was })
				}()
			}
			synctest.Wait()
			now.Add(1)
			l.wake()
			synctest.Wait()
		}
		requireYields := func(yields bool) {
			for i := range parkers {
				p := &parkers[i]
				_ = l.wait(context.Background(), p, func() bool {
					require.Equal(t, yields, p.wave == 0, "parker %d looks before it has entered", i)
					return true
				})
			}
		}
		requireYields(true)
		wave(parkers)
		requireYields(false)
		requireYields(false)
		wave(parkers[:lotCrowd/2])
		wave(parkers[lotCrowd/2:])
		requireYields(true)
		requireEmpty(t, &l)
	})
}

func bg(cancelable bool) (context.Context, context.CancelFunc) {
	if cancelable {
		return context.WithCancel(context.Background())
	}
	return context.Background(), func() {}
}

// requireEmpty fails if anyone still stands in the lot, or is called.
func requireEmpty(t *testing.T, l *lot) {
	t.Helper()
	for i := range l.shards {
		s := &l.shards[i]
		require.Empty(t, s.parked)
		require.Empty(t, s.wave)
		require.Nil(t, s.called)
		for _, array := range [][]*parker{s.parked, s.wave} {
			for _, p := range array[:cap(array)] {
				require.Nil(t, p, "a waiter that has gone is still reachable")
			}
		}
	}
	require.Zero(t, l.owed.Load())
}

// A wave wakes all who are parked.
func TestPark_WakesAll(t *testing.T) {
	for _, n := range []int{1, 2, lotShards, 1000} {
		synctest.Test(t, func(t *testing.T) {
			var l lot
			var ready atomic.Bool
			var woken atomic.Int64
			for i := range n {
				go func() {
					var p parker
					p.init()
					p.join(uint64(i))
					_ = l.wait(context.Background(), &p, ready.Load)
					woken.Add(1)
				}()
			}
			synctest.Wait()
			require.Zero(t, woken.Load())
			ready.Store(true)
			l.wake()
			synctest.Wait()
			require.EqualValues(t, n, woken.Load())
			requireEmpty(t, &l)
		})
	}
}

// Whoever wakes calls one waiter, also where very many are parked: the others are
// called by those who are called.
func TestPark_WakeCallsOne(t *testing.T) {
	var l lot
	parkers := make([]parker, 100)
	for i := range parkers {
		parkers[i].init()
		parkers[i].join(uint64(i))
		l.enter(&parkers[i])
	}
	tokens := func() (n int) {
		for i := range parkers {
			n += len(parkers[i].token)
		}
		return n
	}
	l.wake()
	require.Equal(t, 1, tokens())
	l.wake()
	require.Equal(t, 1, tokens(), "the one who is called has not handed on yet")
	for n := 0; n < len(parkers); n++ {
		i := slices.IndexFunc(parkers, func(p parker) bool { return len(p.token) > 0 })
		require.GreaterOrEqual(t, i, 0, "only %d were called", n)
		<-parkers[i].token
		l.leave(&parkers[i])
	}
	requireEmpty(t, &l)
}

// Who is called hands that on, also if it leaves without having seen its token.
func TestPark_WhoLeavesHandsOn(t *testing.T) {
	var l lot
	var ps [4]parker
	for i := range ps {
		ps[i] = parker{token: make(chan struct{}, 1), shard: uint8(i / 2)}
		l.enter(&ps[i])
	}
	l.wake() // of the first shard the last
	require.Len(t, ps[1].token, 1)
	l.leave(&ps[1])
	require.Len(t, ps[0].token, 1)
	require.Len(t, ps[3].token, 1, "of the other shard")
	require.Empty(t, ps[2].token)
	l.enter(&ps[1])
	l.leave(&ps[2]) // stands in a wave
	l.leave(&ps[3])
	require.Empty(t, ps[2].token)
	l.wake() // comes to the first shard while one of it is called
	l.leave(&ps[0])
	require.Len(t, ps[1].token, 1)
	l.leave(&ps[1])
	requireEmpty(t, &l)
}

func TestPark_ContextEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lot
		var p parker
		p.init()
		ctx, cancel := context.WithCancelCause(context.Background())
		result := make(chan error, 1)
		go func() { result <- l.wait(ctx, &p, func() bool { return false }) }()
		synctest.Wait()
		l.wake() // in vain
		synctest.Wait()
		require.Empty(t, result)
		cancel(errParked)
		require.Equal(t, errParked, <-result)
		requireEmpty(t, &l)
	})
}

// A token that came too late costs one look.
func TestPark_OldTokenIsHarmless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lot
		var p parker
		p.init()
		p.call()
		looks, ready := 0, atomic.Bool{}
		result := make(chan error, 1)
		go func() {
			result <- l.wait(context.Background(), &p, func() bool { looks++; return ready.Load() })
		}()
		synctest.Wait()
		require.Len(t, l.shards[p.shard].parked, 1)
		require.Equal(t, 4, looks, "before, when entered, after the token, when entered again")
		l.wakeOne(&p)
		synctest.Wait()
		require.Len(t, l.shards[p.shard].parked, 1, "not ready, so it waits on")
		ready.Store(true)
		l.wake()
		require.NoError(t, <-result)
		requireEmpty(t, &l)
	})
}

func TestPark_LeavesWhenReadyAtTheSecondLook(t *testing.T) {
	var l lot
	var others [3]parker
	for i := range others {
		others[i].init()
		others[i].shard = 5
		l.enter(&others[i])
	}
	p := parker{token: make(chan struct{}, 1), shard: 5}
	looks := 0
	require.NoError(t, l.wait(context.Background(), &p, func() bool { looks++; return true }))
	require.Equal(t, 1, looks)
	require.NotZero(t, l.mask.Load(), "others are still parked")
	l.leave(&others[0])
	l.leave(&others[0])
	require.ElementsMatch(t, []*parker{&others[1], &others[2]}, l.shards[5].parked)
	l.leave(&others[2])
	l.leave(&others[1])
	require.Zero(t, l.mask.Load(), "nobody is left for a publisher to look at")
}

// Waves use their arrays again, and what was for very many is let go.
func TestPark_WavesReuseTheirArrays(t *testing.T) {
	var l lot
	s := &l.shards[3]
	parkers := make([]parker, 2000)
	for i := range parkers {
		parkers[i] = parker{token: make(chan struct{}, 1), shard: 3}
	}
	wave := func(n int) (held int) {
		for i := range parkers[:n] {
			l.enter(&parkers[i])
		}
		l.wake()
		for s.called != nil {
			p := s.called
			<-p.token
			l.leave(p)
		}
		return cap(s.parked) + cap(s.wave)
	}
	wave(2000)
	held := wave(2000)
	require.Less(t, held, 6*2000)
	require.Zero(t, testing.AllocsPerRun(20, func() { wave(2000) }), "an array for each wave")
	wave(100)
	require.Zero(t, testing.AllocsPerRun(20, func() { wave(2000); wave(100) }), "large and small ones in turn")
	wave(1)
	wave(1)
	require.Less(t, wave(1), 64)
	requireEmpty(t, &l)
}

// A reader that two read at once is a wrong program, and may panic or miss events
// itself. The other readers of its hub have done nothing wrong: they get every event.
func TestPark_ReaderReadByTwoHurtsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New[int](16, Block)
		bad, good := h.NewReader(), h.NewReader()
		good.shard = bad.shard
		for range 2 {
			go func() {
				defer func() { _ = recover() }() // that is its own
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_, _ = bad.Next(ctx)
			}()
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)
		bad.Close()
		got := 0
		go func() {
			for range good.All(context.Background()) {
				got++
			}
		}()
		for range 3 {
			synctest.Wait()
			_ = h.Publish(context.Background(), 1)
		}
		synctest.Wait()
		defer h.Close()
		defer good.Close() // even if it is lost
		require.Equal(t, 3, got)
	})
}

// Who finds few events at a time stops yielding, and begins again with one alone.
func TestParker_Pace(t *testing.T) {
	for _, c := range []struct {
		found []uint64
		quick bool
	}{
		{nil, false},
		{[]uint64{1, 1}, false},
		{[]uint64{32, 1000}, false},
		{[]uint64{2}, true},
		{[]uint64{31, 1000}, true},
		{[]uint64{2, 1}, false},
		{[]uint64{2, 0}, false},
	} {
		var p parker
		for _, n := range c.found {
			p.pace(n)
		}
		require.Equal(t, c.quick, p.quick, c.found)
	}
}
