package broadcast_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

func TestLaw9_Bounded(t *testing.T) {
	t.Run("capacity is exact", capacityIsExact)
	t.Run("bytes per subscriber", bytesPerSubscriber)
	t.Run("memory comes back", memoryComesBack)
	t.Run("churn without a publisher", func(t *testing.T) { churnIsFlat(t, false) })
	t.Run("churn while a publish is blocked", func(t *testing.T) { churnIsFlat(t, true) })
}

func capacityIsExact(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 5, 7, 63, 64, 65, 1000} {
		for _, opts := range [][]broadcast.SubscribeOption{nil, {broadcast.WithBuffer(n)}} {
			hub := newHub[int](t, n+9*len(opts), broadcast.DropNewest)
			s := hub.Subscribe(opts...)
			require.Equal(t, n, cap(s.C()))
			for i := range n + 3 {
				require.NoError(t, hub.Publish(bg, i))
			}
			st := s.Stats()
			require.Equal(t, n, st.Len)
			require.Equal(t, n, st.Cap)
			require.EqualValues(t, 3, st.Dropped)
		}
	}
}

// heap is how many bytes are live.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what a pool or a cleanup still held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A subscription costs at most 512 bytes beside its channel, with all that can
// be asked for.
func bytesPerSubscriber(t *testing.T) {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	policy := broadcast.BlockFor(time.Second, broadcast.Eject)
	for name, opts := range map[string][]broadcast.SubscribeOption{
		"plain": nil,
		"with everything": {
			broadcast.WithContext(ctx), broadcast.WithPolicy(policy), broadcast.WithName("name"),
			broadcast.WithFilter(func([64]byte) bool { return true }),
		},
	} {
		const n, buffer, limit = 10_000, 16, 512
		chans := make([]chan [64]byte, n)
		before := heap()
		for i := range chans {
			chans[i] = make(chan [64]byte, buffer)
		}
		plain := heap() - before
		runtime.KeepAlive(chans)

		hub := newHub[[64]byte](t, buffer, broadcast.Block)
		subs := make([]*broadcast.Subscription[[64]byte], n)
		before = heap()
		for i := range subs {
			subs[i] = hub.Subscribe(opts...)
		}
		ours := heap() - before
		runtime.KeepAlive(subs)
		extra := (float64(ours) - float64(plain)) / n
		t.Logf("%s: %.0f bytes per subscription beside its channel", name, extra)
		require.LessOrEqual(t, extra, float64(limit), name)
		hub.Close()
	}
}

// When a crowd has left, the hub gives back what it needed for them: with the
// last of them, not with the next publish.
func memoryComesBack(t *testing.T) {
	const n = 20_000
	yes := broadcast.WithFilter(func(int) bool { return true })
	waits := broadcast.WithPolicy(broadcast.BlockFor(1, broadcast.DropNewest))
	for name, opts := range map[string][]broadcast.SubscribeOption{
		"plain": nil, "filtered": {yes}, "waited for": {waits, broadcast.WithBuffer(0)},
	} {
		hub := newHub[int](t, 1, broadcast.DropNewest)
		subs := make([]*broadcast.Subscription[int], n)
		before := heap()
		for i := range subs {
			subs[i] = hub.Subscribe(opts...)
		}
		require.NoError(t, hub.Publish(bg, 1))
		require.Greater(t, heap(), before+n*64, name)
		for _, s := range subs {
			s.Close()
		}
		clear(subs)
		require.Less(t, heap(), before+n*4, name)
		runtime.KeepAlive(subs)
		runtime.KeepAlive(hub)
	}
}

// A million come and go, and the heap stays as it was.
func churnIsFlat(t *testing.T, blocked bool) {
	n := 1_000_000
	if testing.Short() {
		n = 50_000
	}
	hub := newHub[int](t, 1, broadcast.Block)
	full := hub.Subscribe()
	require.NoError(t, hub.Publish(bg, 1))
	done := make(chan error, 1)
	if blocked {
		go func() { done <- hub.Publish(bg, 2) }()
		for hub.Stats().Blocked == 0 {
			runtime.Gosched()
		}
	}
	filter := broadcast.WithFilter(func(int) bool { return true })
	before := heap()
	for i := range n {
		if i%2 == 0 {
			hub.Subscribe().Close()
		} else {
			hub.Subscribe(filter).Close()
		}
	}
	require.Less(t, heap(), before+200_000)
	require.Equal(t, 1, hub.Len())
	require.EqualValues(t, n+2, hub.Subscribe().Stats().ID)
	if blocked {
		full.Close()
		require.NoError(t, <-done)
	}
	runtime.KeepAlive(hub)
}
