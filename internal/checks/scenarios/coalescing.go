package scenarios

import (
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

// coalescing are the scenarios of a CoalescingHub.
var coalescing = []Scenario{
	{"keys-two", "two publishers of two keys each, and a reader", keysTwo},
	{"keys-parked", "three readers park while a key changes, and wake each other", keysParked},
	{"keys-same", "publishes against receives of the same key", keysSame},
	{"keys-hot", "a key that changes all the time, and batches", keysHot},
	{"keys-pass", "keys change in the middle of a pass, and it ends", keysPass},
	{"keys-delete", "a delete against receives of the same key", keysDelete},
	{"keys-delete-parked", "a delete against a reader that parks", keysDeleteParked},
	{"keys-delete-unseen", "a key is born and deleted in the middle of a pass", keysDeleteUnseen},
	{"keys-delete-subscribe", "a delete and a publish against Subscribe", keysDeleteSubscribe},
	{"keys-delete-publish", "a delete against a publish of the same key", keysDeletePublish},
	{"keys-reborn", "a key that is deleted and born again while a reader is in its pass", keysReborn},
	{"keys-reborn-two", "a key of two lives, a reader that follows and one that looks back", keysRebornTwo},
	{"keys-reborn-ahead", "a pass over a tombstone shows the next life of its key, which ends", keysRebornAhead},
	{"keys-compact", "the log is compacted while a reader is in its pass and another joins", keysCompact},
	{"keys-leave", "one that looks back leaves while the log is compacted", keysLeave},
	{"keys-leave-two", "two of three leave, one of them in the place of another", keysLeaveTwo},
	{"keys-close-hub", "the hub closes while a reader drains", keysCloseHub},
	{"keys-close-parked", "the hub closes against two parked readers and a publish", keysCloseParked},
	{"keys-close-delete", "the hub closes against a delete and a reader that drains", keysCloseDelete},
	{"keys-close-pass", "a subscription closes in the middle of its pass", keysClosePass},
	{"keys-close-ahead", "a subscription closes against a publish and a receive", keysCloseAhead},
	{"keys-close-idle", "a parked reader's subscription closes against a publish", keysCloseIdle},
	{"keys-context", "the context of a subscription ends against a parked reader, and its hub closes", keysContext},
	{"keys-cancel", "a parked Next against its context and a publish", keysCancel},
	{"keys-subscribe-context", "Subscribe with a context that ends at that moment", keysSubscribeContext},
	{"keys-subscribe-close", "Subscribe against a publish and the close of the hub", keysSubscribeClose},
	{"keys-interest", "two that subscribe and leave, with a hook of interest", keysInterest},
	{"keys-channel", "C against publishes, and Stats of who has just received", keysChannel},
	{"keys-channel-close", "C against a publish and the close of the subscription", keysChannelClose},
	{"keys-channel-hub", "C against a publish and the close of the hub", keysChannelHub},
	{"keys-channel-twice", "two first calls of C, and a close", keysChannelTwice},
	{"keys-channel-context", "C with one update in hand when the hub closes, against the context", keysChannelContext},
	{"keys-channel-stats", "Stats and Synced by two while C hands over", keysChannelStats},
	{"keys-handle", "Handle by two that share a subscription", keysHandle},
	{"keys-handle-stop", "Handle that ends with an error while another parks", keysHandleStop},
	{"keys-stats", "Stats during publishes, a delete, a join and a receive: no sum goes back", keysStats},
	{"keys-stats-read", "Stats during a pass that coalesces: no more is gone than was offered", keysStatsRead},
	{"keys-stats-leave", "Stats during a publish, a receive and a leave: no sum goes back", keysStatsLeave},
	{"keys-filter", "a filter during publishes and batches", keysFilter},
	{"keys-filter-panics", "a filter that panics, in Next and within a batch", keysFilterPanics},
	{"keys-filter-closes", "a filter that closes its subscription within a batch", keysFilterCloses},
	{"keys-synced", "Synced against the reader and a delete of what it has yet to get", keysSynced},
}

func keysTwo(x *sched.X) {
	w := newKeyed(x)
	o := w.subscribe()
	w.changesAll("publisher A", put("a", 1), put("b", 2))
	w.changesAll("publisher B", put("b", 11), put("a", 12))
	w.reads("reader", o, bg, 0)
}

func keysParked(x *sched.X) {
	w := newKeyed(x)
	w.reads("reader A", w.subscribe(), bg, 1)
	w.reads("reader B", w.subscribe(), bg, 1)
	w.reads("reader C", w.subscribe(), bg, 1)
	w.changes("publisher", put("a", 1))
}

func keysSame(x *sched.X) {
	w := newKeyed(x)
	w.fair = true
	a, b := w.subscribe(), w.subscribe()
	w.changesAll("publisher", put("a", 1), put("a", 2))
	w.reads("reader A", a, bg, 0)
	w.reads("reader B", b, bg, 1)
}

func keysHot(x *sched.X) {
	w := newKeyed(x)
	w.fair = true
	o := w.subscribe()
	w.change(put("a", 1), put("b", 2), put("c", 3))
	w.changesAll("publisher A", put("b", 4), put("b", 5))
	w.changesAll("publisher B", put("c", 6))
	w.Go("reader", func() {
		for o.batch(bg, 2) {
		}
	})
}

func keysPass(x *sched.X) {
	w := newKeyed(x)
	w.fair = true
	o := w.subscribe()
	w.change(put("a", 1), put("b", 2), put("c", 3), put("c", 4))
	o.next(bg)
	w.changesAll("publisher", put("a", 5), put("c", 6))
	w.Go("reader", func() {
		o.next(bg)
		o.tallies()
		for o.batch(bg, 3) {
			if o.got[1].Key != "b" || o.got[2].Key != "c" {
				x.Errorf("law 6: the pass over a, b and c gave %v", o.got)
			}
			if len(o.got) == 3 {
				want := uint64(1) // the first value of c
				if o.got[2].Version > 4 {
					want = 2 // and the second
				}
				if s := o.Stats(); s.Coalesced != want {
					x.Errorf("law 2: Coalesced = %d after the pass, want %d: %v", s.Coalesced, want, o.got)
				}
			}
			o.tallies()
		}
	})
}

func keysDelete(x *sched.X) {
	w := newKeyed(x)
	o := w.subscribe()
	w.change(put("a", 1))
	o.next(bg)
	w.changesAll("deleter", del("a"))
	w.changesAll("publisher", put("b", 2), put("a", 3))
	w.reads("reader", o, bg, 0)
}

func keysDeleteParked(x *sched.X) {
	w := newKeyed(x)
	o := w.subscribe()
	w.change(put("a", 1))
	o.next(bg)
	w.changes("deleter", del("a"))
	w.reads("reader", o, bg, 1)
}

func keysDeleteUnseen(x *sched.X) {
	w := newKeyed(x)
	a, b := w.subscribe(), w.subscribe()
	w.change(put("a", 1), put("b", 2))
	b.next(bg)
	w.changesAll("publisher", put("c", 3), del("b"), del("c"))
	w.reads("reader A", a, bg, 0)
	w.reads("reader B", b, bg, 0)
}

func keysDeleteSubscribe(x *sched.X) {
	w := newKeyed(x)
	first := w.subscribe()
	w.change(put("a", 1), put("b", 2))
	first.batch(bg, 2) // so that tombstones stay
	w.changesAll("deleter", del("a"))
	w.changesAll("publisher", put("b", 3))
	w.Go("subscriber", func() {
		o := w.subscribe()
		o.Synced()
		for o.next(bg) {
		}
	})
}

func keysDeletePublish(x *sched.X) {
	w := newKeyed(x)
	o := w.subscribe()
	w.change(put("a", 1))
	o.next(bg)
	w.changesAll("deleter", del("a"), del("a"))
	w.changesAll("publisher", put("a", 2))
	w.reads("reader", o, bg, 0)
}

func keysReborn(x *sched.X) {
	w := newKeyed(x)
	o := w.subscribe()
	w.change(put("a", 1), put("b", 2))
	o.next(bg)
	w.changesAll("publisher", del("b"), put("b", 3), del("b"))
	w.reads("reader", o, bg, 0)
}

func keysRebornTwo(x *sched.X) {
	w := newKeyed(x)
	back, follows := w.subscribe(), w.subscribe()
	w.change(put("a", 1), put("b", 2))
	back.batch(bg, 2)
	w.change(del("a"), put("a", 3))
	w.changesAll("publisher", del("a"), put("c", 4), del("c"))
	w.reads("reader A", follows, bg, 0)
	w.reads("reader B", back, bg, 0)
}

// keysRebornAhead begins when the past life of a is forgotten, and a reader whose
// pass covers the tombstone has yet to come to it.
func keysRebornAhead(x *sched.X) {
	w := newKeyed(x)
	follows, o := w.subscribe(), w.subscribe()
	w.change(put("b", 1), put("c", 2), put("a", 3))
	follows.batch(bg, 3)
	w.change(del("a"))
	o.next(bg)
	follows.next(bg)
	w.change(put("a", 4), put("b", 5), put("b", 6))
	w.changesAll("publisher", del("a"), put("c", 7))
	w.Go("reader", func() {
		for o.next(bg) {
			o.tallies()
		}
	})
}

func keysCompact(x *sched.X) {
	w := newKeyed(x)
	o := w.subscribe()
	w.change(put("a", 1), put("b", 2), put("c", 3))
	o.next(bg)
	w.changesAll("publisher", put("a", 4), put("a", 5), del("b"))
	w.reads("reader", o, bg, 0)
	w.Go("subscriber", func() {
		o := w.subscribe()
		for o.next(bg) {
		}
	})
}

func keysLeave(x *sched.X) {
	w := newKeyed(x)
	o, back := w.subscribe(), w.subscribe()
	back.left = true
	w.change(put("a", 1), put("b", 2))
	o.batch(bg, 2)
	back.batch(bg, 2)
	w.changesAll("publisher", del("a"), put("b", 3), put("a", 4))
	w.Go("closer", back.Close)
	w.reads("reader", o, bg, 0)
}

func keysLeaveTwo(x *sched.X) {
	w := newKeyed(x)
	a, b, c := w.subscribe(), w.subscribe(), w.subscribe()
	a.left, c.left = true, true
	w.Go("closer A", a.Close)
	w.Go("closer C", c.Close)
	w.changes("publisher", put("a", 1))
	w.reads("reader", b, bg, 1)
}
