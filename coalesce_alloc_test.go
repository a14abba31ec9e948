//go:build !race

package broadcast_test

import (
	"runtime"
	"testing"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// A publish of a key that is there allocates nothing of its own: a new log once
// in so many publishes as there are keys, at least 64, which is less than one in
// the mean. Nor do Next and ReadBatch, in short passes.
func TestAllocs_Coalescing(t *testing.T) {
	hub := broadcast.NewCoalescing[int, [64]byte]()
	defer hub.Close()
	sub := hub.Subscribe()
	for k := range 10 {
		require.NoError(t, hub.Publish(k, [64]byte{}))
	}
	i := 0
	publish := func() {
		i++
		_ = hub.Publish(i%10, [64]byte{})
	}
	require.Zero(t, testing.AllocsPerRun(10_000, publish))
	dst := make([]broadcast.Update[int, [64]byte], 16)
	require.Zero(t, testing.AllocsPerRun(10_000, func() {
		publish()
		if _, err := sub.Next(bg); err != nil {
			panic(err)
		}
	}))
	require.Zero(t, testing.AllocsPerRun(10_000, func() {
		publish()
		publish()
		if _, err := sub.ReadBatch(bg, dst); err != nil {
			panic(err)
		}
	}))
}

// A subscription costs at most 1 KiB.
func TestLaw9_Coalescing_BytesPerSubscription(t *testing.T) {
	const n = 10_000
	hub := broadcast.NewCoalescing[int, int]()
	defer hub.Close()
	require.NoError(t, hub.Publish(1, 1))
	before := heap()
	subs := make([]*broadcast.CoalescingSubscription[int, int], n)
	for i := range subs {
		subs[i] = hub.Subscribe(broadcast.WithName("name"))
		if _, err := subs[i].Next(bg); err != nil {
			t.Fatal(err)
		}
	}
	per := (heap() - before) / n
	t.Logf("%d bytes per subscription", per)
	require.LessOrEqual(t, per, uint64(1024))
}

// A subscriber that never reads, one that read once, and one that follows: a
// million keys that come and go leave nothing behind.
func TestLaw9_Coalescing_MillionKeysBornAndDeleted(t *testing.T) {
	if testing.Short() {
		t.Skip("a second")
	}
	hub := broadcast.NewCoalescing[int, [64]byte]()
	defer hub.Close()
	never, once, follows := hub.Subscribe(), hub.Subscribe(), hub.Subscribe()
	require.NoError(t, hub.Publish(-1, [64]byte{}))
	_, err := once.Next(bg)
	require.NoError(t, err)
	before := heap()
	dst := make([]broadcast.Update[int, [64]byte], 64)
	for i := range 1_000_000 {
		require.NoError(t, hub.Publish(i, [64]byte{}))
		if i%100 == 0 {
			_, err = follows.ReadBatch(bg, dst)
			require.NoError(t, err)
		}
		require.NoError(t, hub.Delete(i))
	}
	require.Less(t, int64(heap()-before), int64(1<<20))
	require.EqualValues(t, 2_000_001, never.Stats().Offered)
	require.NoError(t, hub.Publish(-1, [64]byte{1}))
	for _, s := range []*broadcast.CoalescingSubscription[int, [64]byte]{never, once} {
		u, err := s.Next(bg)
		require.NoError(t, err)
		require.Equal(t, -1, u.Key)
		require.Zero(t, s.Stats().Len)
	}
}

// Keys that all were there at once are gone when they are deleted, as soon as
// nobody looks back.
func TestLaw9_Coalescing_ShrinksWithItsKeys(t *testing.T) {
	t.Run("when the last reader is told", func(t *testing.T) { shrinks(t, false) })
	t.Run("when it leaves", func(t *testing.T) { shrinks(t, true) })
}

func shrinks(t *testing.T, leaves bool) {
	const keys = 100_000
	hub := broadcast.NewCoalescing[int, [64]byte]()
	defer hub.Close()
	before := heap()
	reads, stalls := hub.Subscribe(), hub.Subscribe()
	follow := func(reads *broadcast.CoalescingSubscription[int, [64]byte]) {
		dst := make([]broadcast.Update[int, [64]byte], 1000)
		for reads.Stats().Len > 0 {
			_, err := reads.ReadBatch(bg, dst)
			require.NoError(t, err)
		}
	}
	for i := range keys {
		require.NoError(t, hub.Publish(i, [64]byte{}))
	}
	_, err := stalls.Next(bg) // and has all of them in its pass
	require.NoError(t, err)
	follow(reads)
	for i := range keys {
		require.NoError(t, hub.Delete(i))
	}
	follow(reads)
	require.Greater(t, int64(heap()-before), int64(keys*64), "the stalled one has yet to be told")
	if leaves {
		stalls.Close()
	} else {
		follow(stalls)
	}
	require.Less(t, int64(heap()-before), int64(1<<20))
	runtime.KeepAlive(reads)
}
