package bridge

import (
	"iter"

	"github.com/gobroadcast/broadcast"
)

// Stats returns what the hubs of all topics have counted together, those that have
// stopped included, so that every counter only grows. With Subscriptions it makes a
// bridge a broadcast.StatsSource: broadcast.NewCollector exports the subscribers'
// side, as NewCollector of this package does the network's. It never waits for a
// publisher or the network, and costs O(topics).
func (b *Bridge[T]) Stats() broadcast.Stats {
	b.mu.Lock()
	sum := b.departed
	live := b.liveLocked()
	b.mu.Unlock()
	for _, t := range live {
		st := t.hub.Stats()
		add(&sum, st)
		sum.Subscribers += st.Subscribers
		sum.Readers += st.Readers
	}
	return sum
}

// Subscriptions returns the stats of every live subscription and reader of all
// topics, as broadcast.Hub.Subscriptions does. An ID is unique only within its topic.
func (b *Bridge[T]) Subscriptions() iter.Seq[broadcast.SubscriptionStats] {
	return func(yield func(broadcast.SubscriptionStats) bool) {
		b.mu.Lock()
		live := b.liveLocked()
		b.mu.Unlock()
		for _, t := range live {
			for s := range t.hub.Subscriptions() {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// liveLocked returns the topics that are not over, those that are ending included.
func (b *Bridge[T]) liveLocked() []*topic[T] {
	live := make([]*topic[T], 0, len(b.live))
	for t := range b.live {
		live = append(live, t)
	}
	return live
}

// add adds the counters of st to sum.
func add(sum *broadcast.Stats, st broadcast.Stats) {
	sum.Published += st.Published
	sum.Offered += st.Offered
	sum.Dropped += st.Dropped
	sum.DroppedBy.Newest += st.DroppedBy.Newest
	sum.DroppedBy.Oldest += st.DroppedBy.Oldest
	sum.DroppedBy.Canceled += st.DroppedBy.Canceled
	sum.DroppedBy.Closed += st.DroppedBy.Closed
	sum.DroppedBy.Ejected += st.DroppedBy.Ejected
	sum.Filtered += st.Filtered
	sum.Ejected += st.Ejected
	sum.Blocked += st.Blocked
	sum.Coalesced += st.Coalesced
	sum.HandlerErrors += st.HandlerErrors
	sum.HandlerPanics += st.HandlerPanics
}
