package broadcast_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/broadcasttest"
	"github.com/stretchr/testify/require"
)

func newCancel() (context.Context, context.CancelFunc) { return context.WithCancel(bg) }

func TestReplay_Channel(t *testing.T) {
	for _, c := range []struct{ published, ring, replay, buffer, want int }{
		{0, 10, 5, 5, 0},
		{3, 10, 5, 5, 3},
		{100, 10, 5, 5, 5},
		{100, 10, 50, 50, 10},
		{100, 90, 80, 80, 80},
		{100, 10, 5, 3, 3},
		{100, 10, 5, 0, 0},
		{100, 10, 0, 5, 0},
	} {
		hub := newHub[int](t, 1, broadcast.DropNewest, broadcast.WithRing(c.ring))
		publish(t, hub, span(1, c.published)...)
		a := newAudit(hub)
		s := hub.Subscribe(broadcast.WithReplay(c.replay), broadcast.WithBuffer(c.buffer))
		require.Len(t, s.C(), c.want)
		require.EqualValues(t, c.want, s.Stats().Offered)
		n := uint64(0)
		for _, want := range span(c.published-c.want+1, c.published) {
			require.Equal(t, want, <-s.C())
			n++
		}
		broadcasttest.CheckConservation(t, a.hub, broadcasttest.Counted(s, n))
	}
}

// Replay counts before filtering.
func TestReplay_ChannelWithFilter(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(100))
	publish(t, hub, span(1, 100)...)
	s := hub.Subscribe(broadcast.WithReplay(10), broadcast.WithBuffer(20), broadcast.WithFilter(func(e int) bool { return e%2 == 0 }))
	require.Len(t, s.C(), 5)
	require.EqualValues(t, 5, s.Stats().Filtered)
	publish(t, hub, 101, 102)
	for _, want := range []int{92, 94, 96, 98, 100, 102} {
		require.Equal(t, want, <-s.C())
	}
	broadcasttest.CheckConservation(t, hub, broadcasttest.Counted(s, 6))
	require.PanicsWithValue(t, errTest, func() {
		hub.Subscribe(broadcast.WithReplay(1), broadcast.WithBuffer(1), broadcast.WithFilter(func(int) bool { panic(errTest) }))
	})
	broadcasttest.CheckConservation(t, hub, broadcasttest.Counted(s, 6))
	publish(t, hub, 103) // the turn was given back
}

// Subscribe waits for no publisher, blocked or not, also while its filter is asked.
func TestReplay_WhileAPublisherIsBlocked(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(100))
		publish(t, hub, 1)
		full := hub.Subscribe()
		publish(t, hub, 2)
		pub := async(func() error { return hub.Publish(bg, 3) })
		pub.requireBlocked(t, "for the full one")
		asked := []int{}
		s := hub.Subscribe(broadcast.WithReplay(10), broadcast.WithBuffer(10), broadcast.WithFilter(func(e int) bool {
			if asked = append(asked, e); e == 2 {
				<-full.C() // now it is published, and another one, in the middle of this
				synctest.Wait()
				<-full.C()
				require.NoError(t, hub.Publish(bg, 4))
				<-full.C()
			}
			return e != 1
		}))
		require.NoError(t, pub.returned(t, "publish"))
		publish(t, hub, 5)
		require.Equal(t, []int{1, 2, 3, 4, 5}, asked, "each once")
		for _, want := range []int{2, 3, 4, 5} {
			require.Equal(t, want, <-s.C())
		}
		require.EqualValues(t, 5, s.Stats().Offered)
	})
}

func TestReplay_HubClosesMeanwhile(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(100))
	publish(t, hub, 1)
	s := hub.Subscribe(broadcast.WithReplay(10), broadcast.WithBuffer(10), broadcast.WithFilter(func(int) bool { hub.Close(); return true }))
	require.Equal(t, broadcast.ErrClosed, s.Err())
	_, open := <-s.C()
	require.False(t, open)
	broadcasttest.CheckConservation(t, hub, broadcasttest.Counted(s, 0))
}

// Replay against live: no event twice, none left out, however they meet.
func TestLaw1_ReplayMeetsLive(t *testing.T) {
	const total = 20_000
	hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(200))
	var publishing, consuming sync.WaitGroup
	check := func(who string, e, last int) int {
		if last != 0 && e != last+1 {
			t.Errorf("%s: %d after %d", who, e, last)
		}
		return e
	}
	publishing.Go(func() { publish(t, hub, span(1, total)...) })
	for i := range 20 {
		consuming.Go(func() {
			for hub.Stats().Published < total {
				last := 0
				r := hub.NewReader(broadcast.WithReplay(1 + i*7))
				for range 50 + i {
					e, err := r.Next(bg)
					if err != nil {
						break
					}
					last = check("reader", e, last)
					if r.Seq() != uint64(e) || r.Missed() != 0 {
						t.Errorf("reader: Seq = %d, Missed = %d at %d", r.Seq(), r.Missed(), e)
					}
				}
				r.Close()
				opts := []broadcast.SubscribeOption{broadcast.WithReplay(1 + i*7), broadcast.WithBuffer(10 * i)}
				if i%2 == 0 {
					opts = append(opts, broadcast.WithFilter(func(int) bool { return true }))
				}
				s := hub.Subscribe(opts...)
				last = 0
				for range 50 + i {
					e, ok := <-s.C()
					if !ok {
						break
					}
					last = check("subscription", e, last)
				}
				s.Close()
			}
		})
	}
	publishing.Wait()
	hub.Close()
	consuming.Wait()
}

func TestResume_Boundaries(t *testing.T) {
	for _, c := range []struct {
		name                string
		after               uint64
		window              int
		seq, missed, joined uint64
	}{
		{"all", 90, 10, 91, 0, 90},
		{"newest", 100, 10, 101, 0, 100},
		{"the future is another epoch", 101, 10, 101, 0, 100},
		{"one has gone", 89, 10, 91, 1, 89},
		{"from the beginning", 0, 10, 91, 90, 0},
		{"the window is less than the ring", 90, 4, 97, 6, 90},
	} {
		hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(10))
		publish(t, hub, span(1, 100)...)
		r := follow(hub, broadcast.WithResumeAfter(c.after), broadcast.WithBuffer(c.window))
		require.Equal(t, c.joined, r.Seq(), c.name)
		require.Equal(t, c.missed, r.Stats().Dropped, c.name)
		broadcasttest.CheckConservation(t, hub, r)
		if r.Stats().Len == 0 {
			publish(t, hub, 101)
		}
		r.take(t, 1)
		require.Equal(t, c.seq, r.Seq(), c.name)
		require.Equal(t, c.missed, r.Missed(), c.name)
		broadcasttest.CheckConservation(t, hub, r)
	}
}

// Of a replay, only what the ring still has counts as missed.
func TestReplay_ReaderBeyondWindowAndRing(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(10))
	publish(t, hub, span(1, 100)...)
	r := follow(hub, broadcast.WithReplay(50), broadcast.WithBuffer(4))
	require.EqualValues(t, 90, r.Seq())
	r.take(t, 1)
	require.EqualValues(t, 6, r.Missed())
	require.Equal(t, span(97, 100), r.rest(t))
	broadcasttest.CheckConservation(t, hub, r)
}
