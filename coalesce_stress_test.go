package broadcast_test

import (
	"context"
	"maps"
	"sync"
	"testing"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/broadcasttest"
	"github.com/stretchr/testify/require"
)

// screen is a subscription with a consumer of its own, on a real goroutine.
type screen struct {
	*broadcast.CoalescingSubscription[int, int]
	how   string
	state map[int]int // what it believes
	seen  map[int]uint64
	count uint64
	wrong []change
}

func (f *screen) take(u change) {
	f.count++
	if last := f.seen[u.Key]; u.Version <= last || u.Deleted && f.state[u.Key] == 0 {
		f.wrong = append(f.wrong, u) // out of order, or the end of what it did not see
	}
	f.seen[u.Key] = u.Version
	f.state[u.Key] = u.Value // 0 for a deletion
}

func (f *screen) run() {
	switch f.how {
	case "next":
		for u, err := f.Next(bg); err == nil; u, err = f.Next(bg) {
			f.take(u)
		}
	case "batch":
		dst := make([]change, 7)
		for n, err := f.ReadBatch(bg, dst); err == nil; n, err = f.ReadBatch(bg, dst) {
			for _, u := range dst[:n] {
				f.take(u)
			}
		}
	case "c":
		for u := range f.C() {
			f.take(u)
		}
	case "handle":
		_ = broadcast.Handle(bg, f, func(_ context.Context, u change) error { f.take(u); return nil })
	case "leave":
		for range 50 {
			u, err := f.Next(bg)
			if err != nil {
				break
			}
			f.take(u)
		}
		f.Close()
	}
}

// Publishers, deletions, and many consumers of every kind at once: each ends
// with the final state, and every count is exact.
func TestLaw6_Coalescing_ConcurrentSafe(t *testing.T) {
	const (
		publishers = 4
		keys       = 50 // each of one publisher
		changes    = 5000
		crowd      = 40 // of each kind
	)
	hub := broadcast.NewCoalescing[int, int]()
	var followers []*screen
	var reading, publishing sync.WaitGroup
	join := func(how string) {
		f := &screen{CoalescingSubscription: hub.Subscribe(), how: how, state: map[int]int{}, seen: map[int]uint64{}}
		followers = append(followers, f)
		reading.Go(f.run)
	}
	join("c")
	want := map[int]int{}
	var mu sync.Mutex
	for p := range publishers {
		publishing.Go(func() {
			own := map[int]int{}
			for i := range changes {
				k := p*keys + (i*i+i/7)%keys
				if i%5 == 4 {
					_ = hub.Delete(k)
					delete(own, k)
				} else {
					_ = hub.Publish(k, i+1)
					own[k] = i + 1
				}
			}
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(want, own)
		})
	}
	for range crowd {
		for _, how := range []string{"next", "batch", "c", "handle", "leave"} {
			join(how)
		}
		for s := range hub.Subscriptions() {
			require.Equal(t, s.Offered, s.Received+uint64(s.Len)+s.Dropped+s.Filtered+s.Coalesced)
		}
	}
	publishing.Wait()
	hub.Close()
	reading.Wait()
	var all []broadcasttest.Consumer
	for _, f := range followers {
		require.Empty(t, f.wrong, f.how)
		all = append(all, broadcasttest.Counted[change](f, f.count))
		if f.how == "leave" {
			continue
		}
		maps.DeleteFunc(f.state, func(_, v int) bool { return v == 0 })
		require.Equal(t, want, f.state, "law 6: %s", f.how)
		require.Zero(t, f.Stats().Len)
		require.True(t, f.Synced())
	}
	require.Equal(t, len(want), hub.Keys())
	broadcasttest.CheckConservation(t, hub, all...)
}
