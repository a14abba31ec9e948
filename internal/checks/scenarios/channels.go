package scenarios

import (
	"context"
	"errors"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

// channels are the scenarios of channel subscriptions.
var channels = []Scenario{
	{"drop-oldest-1", "two publishers of two events each, one consumer, DropOldest with a buffer of 1", func(x *sched.X) { twoPublishers(x, broadcast.DropOldest, 1) }},
	{"drop-oldest-2", "the same with a buffer of 2", func(x *sched.X) { twoPublishers(x, broadcast.DropOldest, 2) }},
	{"drop-newest", "two publishers of two events each, one consumer, DropNewest with a buffer of 1", func(x *sched.X) { twoPublishers(x, broadcast.DropNewest, 1) }},
	{"hand-off", "DropOldest and Block without buffers, one publisher, two consumers", handOff},
	{"eject-close", "Eject against a close of the subscription, and its hook", ejectClose},
	{"block-cancel", "a publisher blocked on a full subscription, against its context and the consumer", blockCancel},
	{"block-close-subscription", "a publisher blocked on a full subscription, against its close", blockCloseSubscription},
	{"block-close-hub", "a publisher blocked on a full subscription, against the close of the hub", blockCloseHub},
	{"block-two", "a publisher that waits for two full subscriptions: one closes, one is received from", blockTwo},
	{"block-three", "a publisher that waits for three full subscriptions, with a helper: one closes, two are received from", blockThree},
	{"block-context", "a publisher blocked on a full subscription whose own context ends", blockContext},
	{"subscribe-publish", "Subscribe during a publish: it has all of an event or nothing", subscribePublish},
	{"subscribe-context", "Subscribe with a context that ends at that moment, and a publish", subscribeContext},
	{"subscribe-close", "Subscribe against the close of the hub", subscribeClose},
	{"close-twice", "two closes of a subscription during a publish", closeTwice},
	{"err-closed", "a consumer that asks why when it sees the channel closed", errClosed},
	{"hub-close-twice", "two closes of the hub, one with a reason, during a publish", hubCloseTwice},
	{"leave-filter", "a subscription closes while the publisher is in the filter of another", leaveFilter},
	{"leave-order", "three subscriptions close, so that the place of each is taken by another, during a publish", leaveOrder},
	{"filter-closes", "a filter that closes its own subscription, against the close of the hub", filterCloses},
	{"filter-panics", "a filter that panics while another subscription is full", filterPanics},
	{"policy-closes", "a policy of the user's own that closes the other subscription", policyCloses},
	{"policy-func", "a policy of the user's own that answers anew each time, two publishers and a consumer", policyFunc},
	{"block-for", "BlockFor against its time, and the consumer", blockFor},
	{"batch", "a batch and a publisher, to a subscription that blocks and a consumer", batch},
	{"batch-cancel", "a batch against its context, blocked in its middle", batchCancel},
	{"batch-close", "a batch against the close of the hub", batchClose},
	{"batch-eject", "a batch that ejects a subscription which a close meets", batchEject},
}

func twoPublishers(x *sched.X, p broadcast.Policy, buffer int) {
	w := newWorld(x)
	s := w.subscribe(p, buffer)
	w.publishes("publisher A", bg, 1, 2)
	w.publishes("publisher B", bg, 11, 12)
	w.receives("consumer", s, 1)
}

func handOff(x *sched.X) {
	w := newWorld(x)
	a := w.subscribe(broadcast.DropOldest, 0)
	b := w.subscribe(broadcast.Block, 0)
	w.publishes("publisher", bg, 1, 2)
	w.glances("consumer A", a)
	w.receives("consumer B", b, 2)
}

func ejectClose(x *sched.X) {
	w := newWorld(x, broadcast.WithOnEject(once(x)))
	s := w.subscribe(broadcast.Eject, 1)
	w.publishes("publisher", bg, 1, 2)
	w.Go("closer", s.Close)
	x.Check(func() {
		if err := s.Err(); !errors.Is(err, broadcast.ErrClosed) && !errors.Is(err, broadcast.ErrEjected) {
			x.Errorf("Err = %v", err)
		}
	})
}

// once is a hook that checks what it is told.
func once(x *sched.X) func(broadcast.SubscriptionStats) {
	told := 0
	return func(s broadcast.SubscriptionStats) {
		if told++; told > 1 {
			x.Errorf("law 8: the eject of %d was told twice", s.ID)
		}
	}
}

func blockCancel(x *sched.X) {
	w := newWorld(x)
	w.canceling = true
	s := w.subscribe(broadcast.Block, 1)
	w.fill(1)
	ctx, cancel := context.WithCancel(bg)
	w.publishes("publisher", ctx, 2, 3)
	w.Go("canceler", func() { sched.Cancel(cancel, "cancel") })
	w.receives("consumer", s, 1)
}

func blockCloseSubscription(x *sched.X) {
	w := newWorld(x)
	s := w.subscribe(broadcast.Block, 1)
	w.fill(1)
	w.publishes("publisher A", bg, 2)
	w.publishes("publisher B", bg, 3)
	w.Go("closer", s.Close)
}

func blockCloseHub(x *sched.X) {
	w := newWorld(x)
	w.closing = true
	w.subscribe(broadcast.Block, 1)
	w.fill(1)
	w.publishes("publisher A", bg, 2)
	w.publishes("publisher B", bg, 3)
	w.Go("closer", w.hub.Close)
}

func blockTwo(x *sched.X) {
	w := newWorld(x)
	a := w.subscribe(broadcast.Block, 1)
	b := w.subscribe(broadcast.Block, 1)
	w.fill(1)
	w.publishes("publisher", bg, 2)
	w.Go("closer", a.Close)
	w.receives("consumer", b, 1)
}

func blockThree(x *sched.X) {
	w := newWorld(x)
	a := w.subscribe(broadcast.Block, 1)
	b := w.subscribe(broadcast.Block, 1)
	c := w.subscribe(broadcast.Block, 1)
	w.fill(1)
	w.publishes("publisher", bg, 2)
	w.Go("closer", a.Close)
	w.receives("consumer B", b, 2)
	w.receives("consumer C", c, 1)
}

func blockContext(x *sched.X) {
	w := newWorld(x)
	ctx, cancel := context.WithCancel(bg)
	w.subscribe(broadcast.Block, 1, broadcast.WithContext(ctx))
	w.fill(1)
	w.publishes("publisher", bg, 2, 3)
	w.Go("canceler", func() { sched.Cancel(cancel, "cancel") })
}

func subscribePublish(x *sched.X) {
	w := newWorld(x)
	w.publishes("publisher", bg, 1, 2)
	w.Go("subscriber A", func() { w.subscribe(broadcast.DropNewest, 2) })
	w.Go("subscriber B", func() { w.subscribe(broadcast.DropNewest, 2).Close() })
}

func subscribeContext(x *sched.X) {
	w := newWorld(x)
	ctx, cancel := context.WithCancel(bg)
	w.publishes("publisher", bg, 1)
	w.Go("subscriber", func() { w.subscribe(broadcast.DropNewest, 1, broadcast.WithContext(ctx)) })
	w.Go("canceler", func() { sched.Cancel(cancel, "cancel") })
	x.Check(func() {
		if err := w.all[1].Err(); !errors.Is(err, broadcast.ErrClosed) && !errors.Is(err, context.Canceled) {
			x.Errorf("law 5: Err = %v after its context ended", err)
		}
	})
}

func subscribeClose(x *sched.X) {
	w := newWorld(x)
	w.closing = true
	w.publishes("publisher", bg, 1)
	w.Go("subscriber", func() { w.subscribe(broadcast.DropNewest, 1) })
	w.Go("closer", w.hub.Close)
	x.Check(func() {
		if !errors.Is(w.all[1].Err(), broadcast.ErrClosed) {
			x.Errorf("law 5: Err = %v after the hub closed", w.all[1].Err())
		}
	})
}

func closeTwice(x *sched.X) {
	w := newWorld(x)
	s := w.subscribe(broadcast.Block, 1)
	w.publishes("publisher", bg, 1, 2)
	w.Go("closer A", s.Close)
	w.Go("closer B", s.Close)
}

func errClosed(x *sched.X) {
	w := newWorld(x)
	s := w.subscribe(broadcast.Block, 1)
	w.publishes("publisher", bg, 1)
	w.receives("consumer", s, 2)
	w.Go("closer", s.Close)
}

func hubCloseTwice(x *sched.X) {
	w := newWorld(x)
	w.closing = true
	reason := errors.New("reason")
	w.subscribe(broadcast.Block, 1)
	w.publishes("publisher", bg, 1, 2)
	w.Go("closer A", w.hub.Close)
	w.Go("closer B", func() { w.hub.CloseWithError(reason) })
	x.Check(func() {
		err := w.hub.Publish(bg, 9)
		for _, s := range w.all {
			if errors.Is(s.Err(), reason) != errors.Is(err, reason) {
				x.Errorf("law 5: Err = %v, Publish = %v", s.Err(), err)
			}
		}
	})
}

func leaveFilter(x *sched.X) {
	w := newWorld(x)
	keep := func(e int) bool {
		sched.Touch("filter")
		return e%2 == 0
	}
	a := w.subscribe(broadcast.Block, 1, broadcast.WithFilter(keep))
	a.keep = func(e int) bool { return e%2 == 0 }
	b := w.subscribe(broadcast.Block, 1)
	w.publishes("publisher", bg, 1, 2)
	w.Go("closer A", a.Close)
	w.Go("closer B", b.Close)
}

func leaveOrder(x *sched.X) {
	w := newWorld(x)
	a, b, c := w.subscribe(broadcast.Block, 1), w.subscribe(broadcast.Block, 1), w.subscribe(broadcast.Block, 1)
	w.publishes("publisher", bg, 1)
	w.Go("closer A", func() {
		a.Close()
		c.Close()
	})
	w.Go("closer B", b.Close)
}

func filterCloses(x *sched.X) {
	w := newWorld(x)
	w.closing = true
	var s *witness
	s = w.subscribe(broadcast.Block, 1, broadcast.WithFilter(func(e int) bool {
		s.Close()
		return true
	}))
	s.leaves = true
	w.subscribe(broadcast.Block, 1)
	w.publishes("publisher", bg, 1, 2)
	w.Go("closer", w.hub.Close)
}

func never(int) bool { return false }

func filterPanics(x *sched.X) {
	w := newWorld(x)
	w.subscribe(broadcast.DropNewest, 2, broadcast.WithFilter(func(e int) bool { panic("filter") })).keep = never
	full := w.subscribe(broadcast.Block, 1)
	w.Go("publisher A", func() {
		defer func() {
			if recover() != "filter" {
				x.Errorf("law 8: the panic of the filter was lost")
			}
			w.outcomes[1] = nil
		}()
		w.publish(bg, 1)
	})
	w.Go("publisher B", func() {
		defer func() {
			if recover() != "filter" {
				x.Errorf("law 8: the panic of the filter was lost")
			}
			w.outcomes[2] = nil
		}()
		w.publish(bg, 2)
	})
	w.receives("consumer", full, 2)
}

func batch(x *sched.X) {
	w := newWorld(x)
	s := w.subscribe(broadcast.Block, 1)
	w.batch("batch", bg, 1, 2)
	w.publishes("publisher", bg, 11)
	w.receives("consumer", s, 3)
	x.Check(func() {
		got := w.reference.got
		for i, e := range got {
			if e == 1 && (i+1 == len(got) || got[i+1] != 2) {
				x.Errorf("law 1: an event within the batch: %v", got)
			}
		}
	})
}

func batchCancel(x *sched.X) {
	w := newWorld(x)
	w.canceling = true
	s := w.subscribe(broadcast.Block, 1)
	ctx, cancel := context.WithCancel(bg)
	w.batch("batch", ctx, 1, 2, 3)
	w.glances("consumer", s)
	w.Go("canceler", func() { sched.Cancel(cancel, "cancel") })
}

func batchClose(x *sched.X) {
	w := newWorld(x)
	w.closing = true
	w.subscribe(broadcast.DropNewest, 1)
	w.batch("batch", bg, 1, 2)
	w.publishes("publisher", bg, 11)
	w.Go("closer", w.hub.Close)
}

func batchEject(x *sched.X) {
	w := newWorld(x)
	ctx, cancel := context.WithCancel(bg)
	s := w.subscribe(broadcast.Eject, 1, broadcast.WithContext(ctx))
	w.batch("batch", bg, 1, 2, 3)
	w.Go("closer", s.Close)
	w.Go("canceler", func() { sched.Cancel(cancel, "cancel") })
}
