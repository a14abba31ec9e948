package broadcasttest

import (
	"fmt"
	"testing"

	"github.com/gobroadcast/broadcast"
)

// Consumer is a subscription together with its consumer's own count. A Recorder
// is one; Counted makes one for code that receives by itself.
type Consumer interface {
	Stats() broadcast.SubscriptionStats
	Err() error
	Count() uint64 // what the consumer really got
}

// Counted is a Consumer that received n events of src so far.
func Counted[T any](src broadcast.Stream[T], n uint64) Consumer {
	return counted[T]{src, n}
}

type counted[T any] struct {
	broadcast.Stream[T]
	n uint64
}

func (c counted[T]) Count() uint64 { return c.n }

// CheckConservation proves the law of conservation, exactly and with no
// tolerance: for each consumer
//
//	Offered = Received + Len + Dropped + Filtered + Coalesced
//
// where Received is what the consumer counted, and in the hub, whose sums are
// those of all consumers, live and ended. So consumers must be all that src
// ever had. src is a hub or any other StatsSource.
//
// It must be called at a quiet point, with no publish and no receive in
// progress: after synctest.Wait, or when the publishers are done and
// Recorder.Wait or WaitEnd has returned. Each failure is reported by t.Errorf.
func CheckConservation(t testing.TB, src broadcast.StatsSource, consumers ...Consumer) {
	t.Helper()
	var sum broadcast.Stats
	live := map[broadcast.SubscriptionStats]int{} // of a source with several hubs some may be equal
	for _, c := range consumers {
		s := c.Stats()
		checkOne(t, s, c.Count())
		sum.Offered += s.Offered
		sum.Dropped += s.Dropped
		sum.Filtered += s.Filtered
		sum.Coalesced += s.Coalesced
		if c.Err() == nil {
			live[s]++
			sum.Subscribers++
		}
	}
	hub := src.Stats()
	for _, c := range []struct {
		field     string
		got, want uint64
	}{
		{"Subscribers", uint64(hub.Subscribers), uint64(sum.Subscribers)},
		{"Offered", hub.Offered, sum.Offered},
		{"Dropped", hub.Dropped, sum.Dropped},
		{"Filtered", hub.Filtered, sum.Filtered},
		{"Coalesced", hub.Coalesced, sum.Coalesced},
	} {
		if c.got != c.want {
			t.Errorf("conservation in the hub: %s = %d, want %d, the sum over %d consumers (are these all it ever had?)",
				c.field, c.got, c.want, len(consumers))
		}
	}
	by := hub.DroppedBy
	if sum := by.Newest + by.Oldest + by.Canceled + by.Closed + by.Ejected; sum != hub.Dropped {
		t.Errorf("conservation in the hub: DroppedBy = %+v adds up to %d, want Dropped = %d", by, sum, hub.Dropped)
	}
	checkLive(t, src, live)
}

// checkOne is the law for one subscription.
func checkOne(t testing.TB, s broadcast.SubscriptionStats, count uint64) {
	t.Helper()
	if sum := count + uint64(s.Len) + s.Dropped + s.Filtered + s.Coalesced; s.Offered != sum {
		t.Errorf("conservation of %s: Offered = %d, want %d = %d counted by the consumer + Len %d + Dropped %d + Filtered %d + Coalesced %d",
			who(s), s.Offered, sum, count, s.Len, s.Dropped, s.Filtered, s.Coalesced)
	}
	if s.Received != count {
		t.Errorf("conservation of %s: Received = %d, want %d, which the consumer counted", who(s), s.Received, count)
	}
	if s.Cap > 0 && s.Len > s.Cap { // without a Cap, such as that of a coalescing hub, Len has other bounds
		t.Errorf("bounds of %s: Len = %d, want at most Cap = %d", who(s), s.Len, s.Cap)
	}
}

// checkLive takes the live subscriptions of src off those that the consumers
// say are live.
func checkLive(t testing.TB, src broadcast.StatsSource, live map[broadcast.SubscriptionStats]int) {
	t.Helper()
	for s := range src.Subscriptions() {
		if live[s] == 0 {
			t.Errorf("live subscriptions: the hub has %s, %+v, want only those of the consumers", who(s), s)
			continue
		}
		live[s]--
	}
	for s, n := range live {
		if n > 0 {
			t.Errorf("live subscriptions: the hub lacks %s, want it, as its consumer says: %+v", who(s), s)
		}
	}
}

// who names a subscription in a failure.
func who(s broadcast.SubscriptionStats) string {
	kind := "subscription"
	if s.Reader {
		kind = "reader"
	}
	if s.Name == "" {
		return fmt.Sprintf("%s %d", kind, s.ID)
	}
	return fmt.Sprintf("%s %d %q", kind, s.ID, s.Name)
}
