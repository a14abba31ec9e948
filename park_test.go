package broadcast

import (
	"context"
	"errors"
	"runtime"
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

func bg(cancelable bool) (context.Context, context.CancelFunc) {
	if cancelable {
		return context.WithCancel(context.Background())
	}
	return context.Background(), func() {}
}

// requireEmpty waits for the waker, and fails if anyone still stands in the lot.
func requireEmpty(t *testing.T, l *lot) {
	t.Helper()
	for !l.idle() {
		runtime.Gosched()
	}
	l.wake()
	for !l.idle() {
		runtime.Gosched()
	}
	for i := range l.shards {
		require.Empty(t, l.shards[i].parked)
		for _, p := range l.shards[i].spare[:cap(l.shards[i].spare)] {
			require.Nil(t, p, "a waiter that has gone is still reachable")
		}
	}
	require.Zero(t, l.mask.Load())
}

// A wave wakes all who are parked, by hand or by the waker's goroutine.
func TestPark_WakesAll(t *testing.T) {
	for _, n := range []int{1, fewParked, fewParked + 1, 1000} {
		synctest.Test(t, func(t *testing.T) {
			var l lot
			var ready atomic.Bool
			var woken atomic.Int64
			for range n {
				go func() {
					var p parker
					p.init()
					_ = l.wait(context.Background(), &p, ready.Load)
					woken.Add(1)
				}()
			}
			synctest.Wait()
			require.Zero(t, woken.Load())
			ready.Store(true)
			l.wake()
			if n <= fewParked {
				require.True(t, l.idle(), "few are woken directly")
			}
			synctest.Wait()
			require.EqualValues(t, n, woken.Load())
			require.True(t, l.idle())
			requireEmpty(t, &l)
		})
	}
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

// A token that came too late costs one look, and the one who is in the array already
// enters once.
func TestPark_OldTokenIsHarmless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lot
		var p parker
		p.init()
		p.call()
		looks, ready := 0, atomic.Bool{}
		result := make(chan error, 1)
		wait := func() {
			result <- l.wait(context.Background(), &p, func() bool { looks++; return ready.Load() })
		}
		go wait()
		synctest.Wait()
		require.Len(t, l.shards[p.shard].parked, 1)
		require.Equal(t, 4, looks, "before, when entered, after the token, when entered again")
		l.wakeOne(&p)
		synctest.Wait()
		require.Len(t, l.shards[p.shard].parked, 1, "not ready, so it waits on")
		ready.Store(true)
		p.call() // not as wake does: it stays in the array
		require.NoError(t, <-result)
		require.Len(t, l.shards[p.shard].parked, 1)
		ready.Store(false)
		go wait()
		synctest.Wait()
		require.Len(t, l.shards[p.shard].parked, 1)
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
	l.leave(&others[0])
	l.leave(&others[0])
	require.ElementsMatch(t, []*parker{&others[1], &others[2]}, l.shards[5].parked)
	l.leave(&others[2])
	l.leave(&others[1])
	require.Zero(t, l.mask.Load(), "nobody is left for a publisher to look at")
}

// Waiting allocates nothing, and neither does waking.
func TestPark_ManyWavesReuseTheirArrays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lot
		const n = 200
		var count atomic.Uint64
		for range n {
			go func() {
				var p parker
				p.init()
				for mine := uint64(0); mine < 50; mine = count.Load() {
					_ = l.wait(context.Background(), &p, func() bool { return count.Load() != mine })
				}
			}()
		}
		for range 50 {
			synctest.Wait()
			count.Add(1)
			l.wake()
		}
		synctest.Wait()
		held := 0
		for i := range l.shards {
			held += cap(l.shards[i].parked) + cap(l.shards[i].spare)
		}
		require.Less(t, held, 8*n)
		requireEmpty(t, &l)
	})
}
