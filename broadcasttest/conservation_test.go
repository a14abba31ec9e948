package broadcasttest_test

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/broadcasttest"
	"github.com/stretchr/testify/require"
)

// One of every kind, at every step of its life.
func TestCheckConservation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := broadcast.New[int](2, broadcast.Block)
		even := broadcast.WithFilter(func(e int) bool { return e%2 == 0 })
		taken := uint64(0)
		byHand := hub.Subscribe(broadcast.WithBuffer(100))
		recorders := []*broadcasttest.Recorder[int]{
			broadcasttest.Record(hub.Subscribe()),
			broadcasttest.Slow(hub.Subscribe(broadcast.WithPolicy(broadcast.DropOldest)), time.Second),
			broadcasttest.Stuck(hub.Subscribe(broadcast.WithPolicy(broadcast.DropNewest), broadcast.WithName("stuck"))),
			broadcasttest.Stuck(hub.Subscribe(broadcast.WithPolicy(broadcast.Eject))),
			broadcasttest.Slow(hub.Subscribe(even, broadcast.WithPolicy(broadcast.DropOldest)), time.Second),
			broadcasttest.Slow(hub.Subscribe(broadcast.WithPolicy(broadcast.BlockFor(time.Millisecond, broadcast.DropNewest))), time.Second),
		}
		check := func() {
			t.Helper()
			synctest.Wait()
			all := []broadcasttest.Consumer{broadcasttest.Counted(byHand, taken)}
			for _, r := range recorders {
				all = append(all, r)
			}
			broadcasttest.CheckConservation(t, hub, all...)
		}
		check()
		for i := range 30 {
			publish(t, hub, i, i)
			check()
			if i%3 == 0 {
				<-byHand.C()
				taken++
			}
			time.Sleep(100 * time.Millisecond)
			check()
		}
		require.ErrorIs(t, recorders[3].Err(), broadcast.ErrEjected)
		require.NotZero(t, hub.Stats().Dropped)
		require.NotZero(t, hub.Stats().Filtered)
		recorders[1].Close()
		check()
		hub.Close()
		check()
		recorders = append(recorders, broadcasttest.Record(hub.Subscribe())) // never live
		for _, r := range recorders {
			r.Release()
		}
		check()
		require.Zero(t, recorders[2].Stats().Len)
	})
}

// It must fail where it should: for each law, a hub that breaks it.
func TestCheckConservation_Fails(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(h *fakeHub)
		want  []string
	}{
		{name: "nothing", spoil: func(*fakeHub) {}},
		{
			name:  "the consumer got less",
			spoil: func(h *fakeHub) { h.all[0].count-- },
			want: []string{
				`conservation of subscription 1 "one": Offered = 10, want 9 = 3 counted by the consumer + Len 1 + Dropped 2 + Filtered 3 + Coalesced 0`,
				`conservation of subscription 1 "one": Received = 4, want 3, which the consumer counted`,
			},
		},
		{
			name:  "Received is not what the consumer got",
			spoil: func(h *fakeHub) { h.all[0].stats.Received++ },
			want: []string{
				`conservation of subscription 1 "one": Received = 5, want 4, which the consumer counted`,
				`live subscriptions: the hub has subscription 1 "one", `,
				`live subscriptions: the hub lacks subscription 1 "one", want it, as its consumer says: `,
			},
		},
		{
			name:  "more in the buffer than fits",
			spoil: func(h *fakeHub) { h.all[1].stats.Cap = 1 },
			want:  []string{`bounds of reader 2: Len = 2, want at most Cap = 1`},
		},
		{
			name:  "offered",
			spoil: func(h *fakeHub) { h.stats.Offered++ },
			want:  []string{`conservation in the hub: Offered = 16, want 15, the sum over 2 consumers (are these all it ever had?)`},
		},
		{
			name:  "dropped",
			spoil: func(h *fakeHub) { h.stats.Dropped++ },
			want: []string{
				`conservation in the hub: Dropped = 4, want 3, the sum over 2 consumers`,
				`conservation in the hub: DroppedBy = {Newest:3 Oldest:0 Canceled:0 Closed:0 Ejected:0} adds up to 3, want Dropped = 4`,
			},
		},
		{
			name:  "a reason",
			spoil: func(h *fakeHub) { h.stats.DroppedBy.Oldest++ },
			want:  []string{`conservation in the hub: DroppedBy = {Newest:3 Oldest:1 Canceled:0 Closed:0 Ejected:0} adds up to 4, want Dropped = 3`},
		},
		{
			name:  "filtered and coalesced",
			spoil: func(h *fakeHub) { h.stats.Filtered--; h.stats.Coalesced++ },
			want: []string{
				`conservation in the hub: Filtered = 2, want 3, the sum over 2 consumers`,
				`conservation in the hub: Coalesced = 3, want 2, the sum over 2 consumers`,
			},
		},
		{
			name:  "subscribers",
			spoil: func(h *fakeHub) { h.stats.Subscribers++ },
			want:  []string{`conservation in the hub: Subscribers = 2, want 1, the sum over 2 consumers`},
		},
		{
			name:  "one has vanished",
			spoil: func(h *fakeHub) { h.live = nil },
			want:  []string{`live subscriptions: the hub lacks subscription 1 "one", want it, as its consumer says: `},
		},
		{
			name:  "one is there twice",
			spoil: func(h *fakeHub) { h.live = append(h.live, h.live[0]) },
			want:  []string{`live subscriptions: the hub has subscription 1 "one", `},
		},
		{
			name:  "one has no consumer",
			spoil: func(h *fakeHub) { h.live = append(h.live, broadcast.SubscriptionStats{ID: 9}) },
			want:  []string{`live subscriptions: the hub has subscription 9, `},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newFakeHub()
			c.spoil(h)
			var got failures
			broadcasttest.CheckConservation(&got, h, h.all[0], h.all[1])
			require.Len(t, got.lines, len(c.want), "%q", got.lines)
			for i, want := range c.want {
				require.True(t, strings.HasPrefix(got.lines[i], want), "got  %s\nwant %s", got.lines[i], want)
			}
		})
	}
}

// A real hub, and a consumer that has lost one on the way.
func TestCheckConservation_LeakyConsumer(t *testing.T) {
	hub := broadcast.New[int](4, broadcast.Block)
	defer hub.Close()
	s := hub.Subscribe()
	publish(t, hub, 1, 3)
	<-s.C()
	<-s.C()
	broadcasttest.CheckConservation(t, hub, broadcasttest.Counted(s, 2))
	var got failures
	broadcasttest.CheckConservation(&got, hub, broadcasttest.Counted(s, 1))
	require.Len(t, got.lines, 2)
	got = failures{}
	broadcasttest.CheckConservation(&got, hub)
	require.Len(t, got.lines, 3, "Subscribers, Offered, and who is live: %q", got.lines)
}

// failures is a testing.TB that keeps what is reported.
type failures struct {
	testing.TB
	lines []string
}

func (*failures) Helper() {}

func (f *failures) Errorf(format string, args ...any) {
	f.lines = append(f.lines, fmt.Sprintf(format, args...))
}

// fakeHub is a StatsSource that can be wrong. As it is made, it is right.
type fakeHub struct {
	stats broadcast.Stats
	live  []broadcast.SubscriptionStats
	all   []*fakeConsumer
}

type fakeConsumer struct {
	stats broadcast.SubscriptionStats
	err   error
	count uint64
}

func (c *fakeConsumer) Stats() broadcast.SubscriptionStats { return c.stats }
func (c *fakeConsumer) Err() error                         { return c.err }
func (c *fakeConsumer) Count() uint64                      { return c.count }

func newFakeHub() *fakeHub {
	one := broadcast.SubscriptionStats{ID: 1, Name: "one", Len: 1, Cap: 4, Offered: 10, Received: 4, Dropped: 2, Filtered: 3}
	two := broadcast.SubscriptionStats{ID: 2, Reader: true, Len: 2, Cap: 4, Offered: 5, Dropped: 1, Coalesced: 2}
	return &fakeHub{
		stats: broadcast.Stats{
			Subscribers: 1, Published: 10, Offered: 15, Dropped: 3, DroppedBy: broadcast.DropReasons{Newest: 3}, Filtered: 3, Coalesced: 2,
		},
		live: []broadcast.SubscriptionStats{one},
		all:  []*fakeConsumer{{stats: one, count: 4}, {stats: two, err: broadcast.ErrClosed}},
	}
}

func (h *fakeHub) Stats() broadcast.Stats { return h.stats }

func (h *fakeHub) Subscriptions() iter.Seq[broadcast.SubscriptionStats] { return slices.Values(h.live) }
