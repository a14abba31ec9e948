package broadcast_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

func TestReleased_AskingForMoreReleases(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	require.Zero(t, hub.Released())
	publish(t, hub, 1, 2, 3)
	require.Zero(t, hub.Released(), "nobody handles them")
	hub = newHub[int](t, 1, broadcast.Block)
	r := follow(hub)
	publish(t, hub, span(1, 10)...)
	r.take(t, 1)
	require.Zero(t, hub.Released(), "it may be in the middle of it")
	require.Equal(t, 9, r.Stats().Len, "but there is room")
	r.take(t, 1)
	require.EqualValues(t, 1, hub.Released())
	n, _ := r.ReadBatch(bg, make([]int, 4))
	require.Equal(t, 4, n)
	require.EqualValues(t, 2, hub.Released())
	r.take(t, 1)
	require.EqualValues(t, 6, hub.Released(), "the whole batch")
	ctx, cancel := newCancel()
	cancel()
	require.Error(t, r.next(ctx))
	require.EqualValues(t, 7, hub.Released(), "also when it fails")
	r.take(t, 3)
	follow(hub, broadcast.WithPolicy(broadcast.DropOldest))
	follow(hub, broadcast.WithPolicy(broadcast.Eject))
	require.EqualValues(t, 9, hub.Released(), "these do not gate")
}

func TestReleased_LeaversHoldNothingBackExceptTheLast(t *testing.T) {
	for _, order := range []struct {
		last int
		want uint64
	}{{0, 1}, {1, 4}} {
		hub := newHub[int](t, 1, broadcast.Block)
		r := []*follower[int]{follow(hub), follow(hub, broadcast.WithPolicy(broadcast.BlockFor(time.Hour, broadcast.Eject)))}
		publish(t, hub, span(1, 10)...)
		r[0].take(t, 2)
		r[1].take(t, 5)
		require.EqualValues(t, 1, hub.Released())
		r[1-order.last].Close()
		r[order.last].Close()
		require.Equal(t, order.want, hub.Released())
		publish(t, hub, 11)
		require.Equal(t, order.want, hub.Released(), "it stays where it was")
		follow(hub)
		require.EqualValues(t, 11, hub.Released(), "the new one has nothing to release")
	}
}

func TestReleased_NeverGoesBack(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(100))
	r := follow(hub)
	publish(t, hub, span(1, 50)...)
	r.take(t, 50)
	require.EqualValues(t, 49, hub.Released())
	follow(hub, broadcast.WithReplay(30))
	require.EqualValues(t, 49, hub.Released())
}

func TestWaitReleased(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block)
		require.NoError(t, hub.WaitReleased(bg, 0))
		wait := func(seq uint64) running[error] { return async(func() error { return hub.WaitReleased(bg, seq) }) }
		third := wait(3)
		third.requireBlocked(t, "nobody gates")
		slow, fast := follow(hub), follow(hub)
		publish(t, hub, span(1, 5)...)
		fifth := wait(5)
		fast.take(t, 5)
		slow.take(t, 3)
		third.requireBlocked(t, "the third has not been released")
		slow.take(t, 1)
		require.NoError(t, third.returned(t, "released by asking for more"))
		slow.take(t, 1)
		fifth.requireBlocked(t, "both are busy with it")
		next := async(func() error { return fast.next(bg) })
		next.requireBlocked(t, "nothing to take")
		fifth.requireBlocked(t, "one is busy with it")
		slow.Close()
		require.NoError(t, fifth.returned(t, "a reader that leaves holds nothing back"))

		ctx, cancel := context.WithCancelCause(bg)
		canceled := async(func() error { return hub.WaitReleased(ctx, 7) })
		canceled.requireBlocked(t, "not published")
		cancel(errTest)
		require.Equal(t, errTest, canceled.returned(t, "canceled"))
		require.Equal(t, errTest, hub.WaitReleased(ctx, 0), "ctx comes first")

		sixth, seventh := wait(6), wait(7)
		synctest.Wait()
		publish(t, hub, 6)
		require.NoError(t, next.returned(t, "event 6"))
		hub.CloseWithError(errTest)
		require.ErrorIs(t, seventh.returned(t, "beyond the end"), errTest)
		sixth.requireBlocked(t, "it may still be released")
		require.ErrorIs(t, fast.next(bg), errTest)
		require.NoError(t, sixth.returned(t, "released after the end"))
		require.EqualValues(t, 6, hub.Released())
	})
}

func TestWaitReleased_LastReaderLeavesAClosedHub(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block)
		a, b := follow(hub), follow(hub)
		publish(t, hub, 1, 2)
		hub.Close()
		call := async(func() error { return hub.WaitReleased(bg, 2) })
		a.Close()
		call.requireBlocked(t, "for the one that drains")
		b.take(t, 1)
		b.Close()
		require.Equal(t, broadcast.ErrClosed, call.returned(t, "nobody is left"))
		require.Zero(t, hub.Released())
	})
}

// Readers that Next, ReadBatch and skip, with a waiter for every number: each returns,
// and not before its time.
func TestWaitReleased_UnderLoad(t *testing.T) {
	const total = 2000
	hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(50))
	var running sync.WaitGroup
	sometimes := broadcast.PolicyFunc(func(o broadcast.Overflow) broadcast.Action {
		return [...]broadcast.Action{broadcast.Block, broadcast.DropOldest}[o.Dropped%2]
	})
	for i := range 5 {
		opts := []broadcast.SubscribeOption{broadcast.WithBuffer(1 + i*10)}
		if i == 3 {
			opts = append(opts, broadcast.WithPolicy(sometimes))
		}
		r := hub.NewReader(opts...)
		running.Go(func() {
			rnd, buf := rand.New(rand.NewPCG(uint64(i), 0)), make([]int, 10)
			for {
				var err error
				if rnd.IntN(3) == 0 {
					_, err = r.ReadBatch(bg, buf)
				} else {
					_, err = r.Next(bg)
				}
				if err != nil {
					return
				}
				if seq := r.Seq(); hub.Released() >= seq {
					t.Errorf("Released = %d while a reader handles %d", hub.Released(), seq)
				}
			}
		})
	}
	for i := range 4 {
		running.Go(func() {
			for seq := uint64(i); seq <= total; seq += 4 {
				if err := hub.WaitReleased(bg, seq); err != nil || hub.Released() < seq {
					t.Errorf("WaitReleased(%d) = %v at %d", seq, err, hub.Released())
				}
			}
		})
	}
	publish(t, hub, span(1, total)...)
	hub.Close()
	running.Wait()
	require.EqualValues(t, total, hub.Released())
}
