package broadcast_test

import (
	"context"
	"math"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// A filter that panics at an event which leaves the window meanwhile costs that event,
// which is lost anyway, and no other.
func TestLaw2_ReadersFilterPanicsAtWhatIsSkipped(t *testing.T) {
	hub := newHub[int](t, 4, broadcast.DropOldest, broadcast.WithRing(2))
	r := follow(hub, broadcast.WithFilter(func(e int) bool {
		if e == 1 {
			elsewhere(func() { publish(t, hub, 2, 3, 4) })
			panic("at 1")
		}
		return true
	}))
	publish(t, hub, 1)
	require.Panics(t, func() { _ = r.next(bg) })
	require.NoError(t, r.next(bg))
	require.Equal(t, []int{3}, r.got, "1 and 2 left the window, and 3 was never asked about")
	require.EqualValues(t, 2, r.Missed())
}

// elsewhere runs fn on a goroutine of its own and waits for it.
func elsewhere(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	<-done
}

// The filter is asked once about each event, also if somebody comes to wait for the
// reader at that moment.
func TestReader_FilterIsAskedOnce(t *testing.T) {
	for _, who := range []string{"publisher", "WaitReleased"} {
		bubble(t, who, func(t *testing.T) {
			hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(1))
			asked := map[int]int{}
			r := follow(hub, broadcast.WithFilter(func(e int) bool {
				asked[e]++
				synctest.Wait() // they have come to wait
				return asked[e] == 1
			}))
			publish(t, hub, 1)
			go func() {
				if who == "publisher" {
					_ = hub.Publish(bg, 2)
				} else {
					_ = hub.WaitReleased(bg, 1)
				}
			}()
			r.take(t, 1)
			require.Equal(t, map[int]int{1: 1}, asked)
			r.Close()
			synctest.Wait()
		})
	}
}

// A batch that has something in hand is returned, though all that comes behind it is
// rejected and there is always more.
func TestReader_BatchReturnsWhatItHasUnderConstantLoad(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(8))
	asked := 0
	r := hub.NewReader(broadcast.WithFilter(func(e int) bool {
		if asked++; asked < 10_000 {
			elsewhere(func() { _ = hub.Publish(context.Background(), e+1) })
		}
		return e == 1
	}))
	publish(t, hub, 1)
	n, err := r.ReadBatch(bg, make([]int, 8))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Less(t, asked, 1000)
}

func TestReplay_AsManyAsThereAre(t *testing.T) {
	hub := newHub[int](t, 4, broadcast.DropOldest, broadcast.WithRing(8))
	publish(t, hub, 1, 2, 3)
	require.Equal(t, []int{1, 2, 3}, follow(hub, broadcast.WithReplay(math.MaxInt)).rest(t))
	require.Len(t, hub.Subscribe(broadcast.WithReplay(math.MaxInt)).C(), 3)
}

// Law 7: a subscription that never came to be, since its filter panicked at what was to
// be replayed, is not kept by its context.
func TestLaw7_ReplayPanicLeavesTheContext(t *testing.T) {
	hub := newHub[int](t, 4, broadcast.DropOldest, broadcast.WithRing(8))
	publish(t, hub, 1)
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	freed := make(chan struct{})
	require.Panics(t, func() {
		pinned := new([1 << 16]byte)
		runtime.AddCleanup(pinned, func(struct{}) { close(freed) }, struct{}{})
		hub.Subscribe(broadcast.WithContext(ctx), broadcast.WithReplay(1), broadcast.WithFilter(func(int) bool {
			pinned[0]++
			panic("filter")
		}))
	})
	runtime.GC()
	<-freed
}

// Law 7: a closed hub forgets a reader that has said that it reads no more.
func TestLaw7_ClosedHubForgetsReadersThatClose(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	freed := make(chan struct{})
	func() {
		r := hub.NewReader()
		runtime.AddCleanup(r, func(struct{}) { close(freed) }, struct{}{})
		publish(t, hub, 1)
		hub.Close()
		r.Close()
	}()
	require.NoError(t, hub.Shutdown(bg))
	runtime.GC()
	<-freed
	runtime.KeepAlive(hub)
}
