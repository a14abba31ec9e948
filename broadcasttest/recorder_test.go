package broadcasttest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/broadcasttest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	bg      = context.Background()
	errTest = errors.New("a cause of the test's own")
)

func publish(t testing.TB, hub *broadcast.Hub[int], from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		require.NoError(t, hub.Publish(bg, i))
	}
}

func TestRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := broadcast.New[int](1, broadcast.Block)
		r := broadcasttest.Record(hub.Subscribe())
		publish(t, hub, 1, 3)
		events, err := r.Wait(t.Context(), 3)
		require.NoError(t, err)
		require.Equal(t, []int{1, 2, 3}, events)
		require.EqualValues(t, 3, r.Count())
		require.NoError(t, r.Err())
		events[0] = 7
		require.Equal(t, []int{1, 2, 3}, r.Events(), "a copy")

		events, err = r.Wait(t.Context(), 2)
		require.NoError(t, err)
		require.Equal(t, []int{1, 2}, events, "the first ones")
		events, err = r.Wait(t.Context(), -1)
		require.NoError(t, err)
		require.Empty(t, events)

		publish(t, hub, 4, 4)
		hub.CloseWithError(errTest)
		events, err = r.WaitEnd(t.Context())
		require.NoError(t, err)
		require.Equal(t, []int{1, 2, 3, 4}, events)
		require.ErrorIs(t, r.Err(), errTest)
		require.NoError(t, hub.Shutdown(bg))
	})
}

func TestRecorder_Wait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := broadcast.New[int](8, broadcast.Block)
		r := broadcasttest.Record(hub.Subscribe())
		var waits sync.WaitGroup
		for n := range 5 {
			waits.Go(func() {
				if events, err := r.Wait(bg, n); len(events) != n || err != nil {
					t.Errorf("Wait(%d) = %v, %v, want %d events", n, events, err, n)
				}
			})
		}
		publish(t, hub, 1, 2)
		ctx, cancel := context.WithTimeoutCause(bg, time.Second, errTest)
		defer cancel()
		events, err := r.Wait(ctx, 3)
		require.ErrorIs(t, err, errTest)
		require.EqualError(t, err, "broadcasttest: 2 of 3 events: "+errTest.Error())
		require.Equal(t, []int{1, 2}, events)
		events, err = r.WaitEnd(ctx)
		require.EqualError(t, err, "broadcasttest: 2 events and no end: "+errTest.Error())
		require.Equal(t, []int{1, 2}, events)
		publish(t, hub, 3, 4)
		waits.Wait()

		waits.Go(func() {
			events, err := r.Wait(bg, 5)
			if len(events) != 4 || !errors.Is(err, broadcast.ErrClosed) {
				t.Errorf("Wait(5) = %v, %v, want 4 events and %v", events, err, broadcast.ErrClosed)
			}
		})
		synctest.Wait()
		hub.Close()
		waits.Wait()
		_, err = r.Wait(bg, 5)
		require.EqualError(t, err, "broadcasttest: 4 of 5 events, then the end: broadcast: closed")
	})
}

func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := broadcast.New[int](100, broadcast.Block)
		defer hub.Close()
		start := time.Now()
		r := broadcasttest.Slow(hub.Subscribe(), time.Second)
		publish(t, hub, 1, 50)
		took := func(n int, want time.Duration) {
			t.Helper()
			_, err := r.Wait(bg, n)
			require.NoError(t, err)
			require.Equal(t, want, time.Since(start))
		}
		took(1, 0)
		took(3, 2*time.Second)
		r.SetPace(500 * time.Millisecond)
		took(4, 2500*time.Millisecond)
		r.SetPace(time.Hour)
		time.Sleep(time.Minute)
		r.SetPace(2 * time.Minute) // of which one is over
		took(5, 2500*time.Millisecond+2*time.Minute)
		r.Stick()
		time.Sleep(time.Hour)
		require.EqualValues(t, 5, r.Count())
		r.SetPace(0)
		took(50, 2500*time.Millisecond+2*time.Minute+time.Hour)
	})
}

func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := broadcast.New[int](2, broadcast.DropOldest)
		defer hub.Close()
		r := broadcasttest.Stuck(hub.Subscribe())
		publish(t, hub, 1, 5)
		time.Sleep(time.Hour)
		require.Empty(t, r.Events())
		require.Equal(t, 2, r.Stats().Len)
		r.Release()
		events, err := r.Wait(bg, 2)
		require.NoError(t, err)
		require.Equal(t, []int{4, 5}, events)
	})
}

// A stuck one is what a Block hub stops at.
func TestStuck_Block(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := broadcast.New[int](1, broadcast.Block)
		defer hub.Close()
		for _, free := range []func(*broadcasttest.Recorder[int]){
			(*broadcasttest.Recorder[int]).Close, (*broadcasttest.Recorder[int]).Release,
		} {
			r := broadcasttest.Stuck(hub.Subscribe())
			publish(t, hub, 1, 1)
			published := make(chan error, 1)
			go func() { published <- hub.Publish(bg, 2) }()
			time.Sleep(time.Hour)
			require.Empty(t, published)
			free(r)
			require.NoError(t, <-published)
		}
	})
}

func TestRecorder_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := broadcast.New[int](8, broadcast.Block)
		defer hub.Close()
		all := []*broadcasttest.Recorder[int]{
			broadcasttest.Record(hub.Subscribe()),
			broadcasttest.Slow(hub.Subscribe(), time.Hour),
			broadcasttest.Stuck(hub.Subscribe()),
		}
		publish(t, hub, 1, 3)
		synctest.Wait()
		for i, want := range []int{3, 1, 0} {
			r := all[i]
			for range 2 {
				r.Close()
			}
			require.Len(t, r.Events(), want)
			require.Equal(t, 3-want, r.Stats().Len, "the rest stays")
			require.Equal(t, broadcast.ErrClosed, r.Err())
			_, err := r.WaitEnd(bg)
			require.NoError(t, err)
		}
		require.Zero(t, hub.Len())
	})
}

func TestRecordChan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ch := make(chan string, 3)
		r := broadcasttest.RecordChan(ch)
		ch <- "a"
		ch <- "b"
		events, err := r.Wait(bg, 2)
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b"}, events)
		require.NoError(t, r.Err())
		require.Equal(t, broadcast.SubscriptionStats{Offered: 2, Received: 2}, r.Stats())
		r.Stick()
		ch <- "c" // it is waiting for this one
		ch <- "d"
		time.Sleep(time.Hour)
		require.Len(t, r.Events(), 3)
		close(ch)
		r.Release()
		events, err = r.WaitEnd(bg)
		require.NoError(t, err)
		require.Len(t, events, 4)
		require.Equal(t, broadcast.ErrClosed, r.Err())

		open := make(chan string)
		r = broadcasttest.RecordChan(open)
		r.Close()
		require.Equal(t, broadcast.ErrClosed, r.Err())
		_, err = r.Wait(bg, 1)
		require.ErrorIs(t, err, broadcast.ErrClosed)
	})
}

func TestRecorder_WrongPrograms(t *testing.T) {
	hub := broadcast.New[int](1, broadcast.Block)
	defer hub.Close()
	s := hub.Subscribe()
	require.PanicsWithValue(t, "broadcasttest: Slow: negative pace: pass 0 (as they come) or more", func() { broadcasttest.Slow(s, -1) })
	r := broadcasttest.Record(s)
	require.PanicsWithValue(t, "broadcasttest: SetPace: negative pace: pass 0 (as they come) or more", func() { r.SetPace(-1) })
	r.Close()
}

// Everything at once, for the race detector.
func TestRecorder_ConcurrentSafe(t *testing.T) {
	hub := broadcast.New[int](4, broadcast.Block)
	r := broadcasttest.Slow(hub.Subscribe(), time.Hour)
	const n = 500
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range n {
				if err := hub.Publish(bg, i*n+j); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for range n {
				r.Stick()
				_, _, _, _ = r.Events(), r.Count(), r.Err(), r.Stats()
				r.SetPace(time.Duration(i))
			}
			r.Release()
		})
		all.Go(func() {
			if _, err := r.Wait(bg, 4*n); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	hub.Close()
	events, err := r.WaitEnd(bg)
	require.NoError(t, err)
	require.Len(t, events, 4*n)
	broadcasttest.CheckConservation(t, hub, r)
}
