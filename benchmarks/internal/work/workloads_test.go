package work

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
)

// tiny is for tests: nothing is measured that means anything.
var tiny = Pace{Round: time.Millisecond, Patience: 10 * time.Second, Rate: 10_000, Hold: 10 * time.Millisecond}

// Every peer delivers everything in order to a few subscribers, with one publisher and
// with 8 at once. What the peer itself leaves running ends with the test's process.
func TestPeers_DeliverEverything(t *testing.T) {
	for _, p := range peer.All() {
		t.Run(p.Name, func(t *testing.T) {
			for _, publishers := range []int{1, maxPublishers} {
				bus := p.New(peer.Config{Buffer: 4})
				c := newCrew(bus, 3)
				r := c.run(publishers, 100, tiny.Patience, coarse)
				require.Equal(t, OK, r.outcome, r.detail)
				if closer, ok := bus.(peer.Closer); ok {
					require.NoError(t, closer.Close())
				}
			}
		})
	}
}

// Who has unsubscribed gets nothing of what is published later, and the others go on.
func TestPeers_Unsubscribe(t *testing.T) {
	for _, p := range peer.All() {
		if p.Name == "eventbus" {
			continue // it may unsubscribe another one, which the report shows
		}
		t.Run(p.Name, func(t *testing.T) {
			bus := p.New(peer.Config{Buffer: 4})
			c := newCrew(bus, 2)
			bus.Subscribe(func(peer.Event) {})()
			r := c.run(1, 100, tiny.Patience, coarse)
			require.Equal(t, OK, r.outcome, r.detail)
		})
	}
}

func TestWorkloads_Measure(t *testing.T) {
	values := map[string][]string{
		"throughput": {EventNanos, Events},
		"counted":    {EventNanos, Events},
		"publishers": {EventNanos, Events},
		"parked":     {PublishNanos, LastNanos},
		"stuck":      {Kept, Got, HeldBytes},
		"memory":     {HeapBytes, StackBytes, Goroutines},
		"churn":      {PairNanos, Kept, LeftOver},
		"misuse":     nil,
		"latency":    {MaxNanos, Achieved},
	}
	names, what := Names()
	require.Len(t, what, len(names))
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			j := Job{Peer: "broadcast-channel", Cell: Cell{Workload: name, Subscribers: 4, Buffer: 8}, Pace: tiny}
			switch name {
			case "publishers":
				j.Publishers = 2
			case "misuse":
				j.Misuse = "double-close"
			}
			r := Run(j)
			require.Equal(t, OK, r.Outcome, r.Detail)
			require.Equal(t, j, r.Job)
			for _, v := range values[name] {
				require.Contains(t, r.Values, v)
			}
			if name == "latency" {
				require.Len(t, r.Curve, len(quantiles))
			}
		})
	}
}

// The latency counts from when an event was due, also if it could be published only
// later: one that is held up holds up those behind it.
func TestLatency_CountsFromDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := holder{newFake(honest), time.Now().Add(10 * time.Millisecond)}
		c := newCrew(held, 1)
		kept := &keeper{}
		c.subs[0].latency = kept
		c.expect(13, 1)
		c.clock = time.Now()
		require.NoError(t, c.pace(13, time.Millisecond, func(due time.Duration) { time.Sleep(due - time.Since(c.clock)) }))
		<-c.all
		held.end()
		require.Equal(t, []int64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0}, kept.millis)
	})
}

// holder lets nothing pass before a moment.
type holder struct {
	*fake
	until time.Time
}

func (h holder) Publish(e peer.Event) error {
	time.Sleep(time.Until(h.until))
	return h.fake.Publish(e)
}

type keeper struct{ millis []int64 }

func (k *keeper) record(nanos int64) { k.millis = append(k.millis, nanos/int64(time.Millisecond)) }

func TestStuck(t *testing.T) {
	cell := Cell{Workload: "stuck", Subscribers: 4, Buffer: 8}
	t.Run("holds everybody up", func(t *testing.T) {
		t.Parallel()
		pace := Pace{Round: time.Millisecond, Patience: 4 * time.Second}
		r := Run(Job{Peer: peer.Baseline, Cell: cell, Pace: pace})
		require.Equal(t, Stalled, r.Outcome)
		require.Contains(t, r.Detail, "events, then nothing")
		require.Zero(t, r.Values[Kept])
		require.Less(t, r.Values[Got], 16.0)
	})
	t.Run("holds nobody up, and is kept for", func(t *testing.T) {
		t.Parallel()
		r := Run(Job{Peer: "docker", Cell: cell, Pace: tiny})
		require.Equal(t, OK, r.Outcome, r.Detail)
		require.Contains(t, r.Values, HeldBytes)
	})
}

func TestMisuse(t *testing.T) {
	const (
		soon = 4 * time.Second  // for what never returns
		late = 10 * time.Second // for what does
	)
	for _, c := range []struct {
		peer, misuse, want string
		patience           time.Duration
	}{
		{"loop", "close-blocked", "deadlocks: Close does not return", soon},
		{"loop", "double-close", "ok", late},
		{"loop", "publish-closed", "ok: Publish returns an error", late},
		{"loop", "unsubscribe-inside", "deadlocks: unsubscribing does not return", soon},
		{"list", "close-blocked", "ok: Publish never blocks", late},
		{"cond", "close-blocked", "ok: Publish returns an error", late},
		{"eventbus", "double-close", "it has no Close", late},
		{"ethereum", "publish-closed", "ok, but Publish returns as if nothing was", late},
		{"broadcast-channel", "close-blocked", "ok: Publish returns an error", late},
		{"broadcast-next", "unsubscribe-inside", "ok", late},
	} {
		t.Run(c.peer+" "+c.misuse, func(t *testing.T) {
			t.Parallel()
			r := Run(Job{Peer: c.peer, Cell: Cell{Workload: "misuse", Buffer: 2, Misuse: c.misuse}, Pace: Pace{Patience: c.patience}})
			require.Equal(t, c.want, r.Detail)
		})
	}
}

func TestRun_Unknown(t *testing.T) {
	require.Equal(t, Result{Job: Job{Peer: "x"}, Outcome: Failed, Detail: `there is no competitor "x"`}, Run(Job{Peer: "x"}))
	r := Run(Job{Peer: "loop", Cell: Cell{Workload: "x"}})
	require.Equal(t, `there is no workload "x"`, r.Detail)
	r = Run(Job{Peer: "loop", Cell: Cell{Workload: "misuse", Misuse: "x"}})
	require.Equal(t, "there is no misuse x", r.Detail)
}
