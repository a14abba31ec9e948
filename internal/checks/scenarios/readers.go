package scenarios

import (
	"context"
	"errors"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

// readers are the scenarios of the ring.
var readers = []Scenario{
	{"park-one", "a reader parks while events land", func(x *sched.X) { park(x, 1, 2) }},
	{"park-three", "three readers park while an event lands, and wake each other", func(x *sched.X) { park(x, 3, 1) }},
	{"park-waves", "two readers park again while the wave before still goes on", func(x *sched.X) { park(x, 2, 2) }},
	{"park-again", "two readers of one shard park again while the wave before still goes on", parkAgain},
	{"park-cancel", "a parked reader against its context and a publish", parkCancel},
	{"park-cancel-two", "two parked readers of one shard against the context of one and two publishes", parkCancelTwo},
	{"park-close", "two parked readers of one shard against the close of one and a publish", parkClose},
	{"park-close-hub", "two parked readers against the close of the hub and a publish", parkCloseHub},
	{"park-context", "a parked reader that ends with its own context", parkContext},
	{"gate", "two publishers and a Block reader with a window of 1", gate},
	{"gate-leave", "a publisher waits for a Block reader that leaves, and another that reads", gateLeave},
	{"gate-sort-leave", "a publisher looks at three Block readers, of which the first leaves meanwhile and the last one soon", gateSortLeave},
	{"gate-cancel", "a publisher waits for a Block reader, against its context", gateCancel},
	{"gate-close-hub", "a publisher waits for a Block reader, against the close of the hub", gateCloseHub},
	{"gate-join", "a Block reader with a replay joins while a publisher waits for another", gateJoin},
	{"gate-batch", "a batch fills the window of a parked Block reader", gateBatch},
	{"gate-mixed", "a publisher waits for a Block reader and a full subscription", gateMixed},
	{"gate-for", "a publisher waits for a reader with BlockFor, against its time", gateFor},
	{"eject-unread", "a reader with Eject that never reads", ejectUnread},
	{"eject-read", "a reader with Eject that reads at that moment, and one that closes", ejectRead},
	{"skip", "a reader that skips ahead, against Stats", skip},
	{"skip-batch", "a reader that skips ahead and reads batches, beside a Block subscription", skipBatch},
	{"reuse", "a Block reader, and chunks of a small ring that are used again", func(x *sched.X) { reuse(x, (*world).reads) }},
	{"reuse-batch", "the same with batches", func(x *sched.X) { reuse(x, (*world).batches) }},
	{"reuse-leave", "a Block reader that closes in the middle of a read, and a publisher that uses its chunk again", func(x *sched.X) { reuseLeave(x, broadcast.Block) }},
	{"reuse-leave-skip", "the same with a reader that skips ahead", func(x *sched.X) { reuseLeave(x, broadcast.DropOldest) }},
	{"reuse-filter", "a filtering Block reader at the end of a chunk that closes in a read, and a publisher that uses the next chunk again", reuseFilter},
	{"reuse-join", "a reader that skips ahead joins with a replay, and a publisher that would use its chunk again", reuseJoin},
	{"reuse-skip", "a reader that skips ahead, and chunks of a small ring that are used again unless it holds them", func(x *sched.X) { reuseSkip(x, broadcast.DropOldest, (*world).reads, 2) }},
	{"reuse-skip-batch", "the same with a batch", func(x *sched.X) { reuseSkip(x, broadcast.DropOldest, (*world).batches, 1) }},
	{"reuse-ask", "the same with a policy that has it skip ahead", func(x *sched.X) { reuseSkip(x, skipAhead, (*world).reads, 2) }},
	{"reuse-eject", "the same with a reader that is ejected", func(x *sched.X) { reuseSkip(x, broadcast.Eject, (*world).reads, 2) }},
	{"reuse-held", "a reader that skips ahead, whose filter looks at an event until its chunk would be used again", reuseHeld},
	{"ring-first", "the first reader makes the ring during a publish", ringFirst},
	{"replay", "a reader and a subscription with replays join during a publish", replay},
	{"resume", "a reader resumes during a publish", resume},
	{"released", "WaitReleased against a reader that reads", released},
	{"released-leave", "WaitReleased against a reader that leaves, and the close of the hub", releasedLeave},
	{"shutdown-reader", "Shutdown against a reader that drains", shutdownReader},
	{"handle-reader", "Handle of a reader against its context and a publisher that it holds up", handleReader},
}

func gate(x *sched.X) {
	w := newWorld(x)
	r := w.follow(broadcast.Block, 1)
	w.publishes("publisher A", bg, 1, 2)
	w.publishes("publisher B", bg, 11)
	w.reads("reader", r, bg, 3)
}

func gateLeave(x *sched.X) {
	w := newWorld(x)
	a, b := w.follow(broadcast.Block, 1), w.follow(broadcast.Block, 1)
	w.fill(1)
	w.publishes("publisher", bg, 2)
	w.Go("closer", a.Close)
	w.reads("reader", b, bg, 1)
}

func gateSortLeave(x *sched.X) {
	w := newWorld(x, broadcast.WithRing(8))
	a, b, c := w.follow(broadcast.Block, 1), w.follow(broadcast.Block, 1), w.follow(broadcast.Block, 1)
	w.fill(1)
	w.next(b, bg)
	w.next(c, bg)
	w.publishes("publisher", bg, 2, 3)
	w.Go("closer", func() {
		a.Close()
		w.next(b, bg)
		c.Close()
	})
}

func gateCancel(x *sched.X) {
	w := newWorld(x)
	w.canceling = true
	ctx, cancel := context.WithCancel(bg)
	r := w.follow(broadcast.Block, 1)
	w.fill(1)
	w.publishes("publisher", ctx, 2, 3)
	w.Go("canceler", func() { sched.Cancel(cancel, "cancel") })
	w.reads("reader", r, bg, 1)
}

func gateCloseHub(x *sched.X) {
	w := newWorld(x)
	w.closing = true
	w.follow(broadcast.Block, 1)
	w.fill(1)
	w.publishes("publisher A", bg, 2)
	w.publishes("publisher B", bg, 3)
	w.Go("closer", w.hub.Close)
}

func gateJoin(x *sched.X) {
	w := newWorld(x, broadcast.WithRing(4))
	a := w.follow(broadcast.Block, 1)
	w.fill(1)
	w.publishes("publisher", bg, 2)
	w.Go("joiner", func() {
		b := w.follow(broadcast.Block, 1, broadcast.WithReplay(1))
		w.next(b, bg)
		b.Close()
	})
	w.reads("reader", a, bg, 1)
}

func gateBatch(x *sched.X) {
	w := newWorld(x)
	r := w.follow(broadcast.Block, 1)
	w.batch("batch", bg, 1, 2, 3)
	w.reads("reader", r, bg, 3)
}

func gateMixed(x *sched.X) {
	w := newWorld(x)
	r := w.follow(broadcast.Block, 1)
	s := w.subscribe(broadcast.Block, 1)
	w.fill(1)
	w.publishes("publisher", bg, 2)
	w.reads("reader", r, bg, 2)
	w.receives("consumer", s, 1)
}

func gateFor(x *sched.X) {
	w := newWorld(x)
	a := w.follow(broadcast.BlockFor(time.Second, broadcast.DropOldest), 1)
	b := w.follow(broadcast.BlockFor(2*time.Second, broadcast.Eject), 1)
	w.fill(1)
	w.publishes("publisher", bg, 2)
	w.reads("reader", a, bg, 1)
	w.Clock(time.Second)
	w.Go("closer", b.Close)
}

func ejectUnread(x *sched.X) {
	w := newWorld(x, broadcast.WithOnEject(once(x)))
	r := w.follow(broadcast.Eject, 1)
	w.publishes("publisher", bg, 1, 2)
	w.publishes("publisher", bg, 3)
	x.Check(func() {
		if !errors.Is(r.Err(), broadcast.ErrEjected) && !errors.Is(r.Err(), broadcast.ErrClosed) {
			x.Errorf("law 2: Err = %v of a reader that fell out of its window", r.Err())
		}
	})
}

func ejectRead(x *sched.X) {
	w := newWorld(x)
	a, b := w.follow(broadcast.Eject, 1), w.follow(broadcast.Eject, 1)
	w.publishes("publisher", bg, 1, 2)
	w.reads("reader", a, bg, 2)
	w.Go("closer", b.Close)
}

func skip(x *sched.X) {
	w := newWorld(x)
	r := w.follow(broadcast.DropOldest, 1)
	w.publishes("publisher", bg, 1, 2, 3)
	w.reads("reader", r, bg, 1)
	w.watch(2)
}

func skipBatch(x *sched.X) {
	w := newWorld(x)
	r := w.follow(broadcast.DropOldest, 2)
	s := w.subscribe(broadcast.Block, 2)
	w.publishes("publisher", bg, 1, 2, 3)
	w.batches("reader", r, bg, 1)
	w.receives("consumer", s, 1)
}

// reuse is a ring of two chunks of two events, so that the fifth is in the place of the first.
func reuse(x *sched.X, reads func(*world, string, *follower, context.Context, int)) {
	w := newWorld(x, broadcast.WithRing(2))
	r := w.follow(broadcast.Block, 2)
	w.publishes("publisher", bg, 1, 2, 3, 4, 5)
	reads(w, "reader", r, bg, 3)
}

func reuseLeave(x *sched.X, p broadcast.Policy) {
	w := newWorld(x, broadcast.WithRing(2))
	r := w.follow(p, 2)
	w.fill(1, 2)
	w.reads("reader", r, bg, 1)
	w.Go("closer", r.Close)
	w.publishes("publisher", bg, 3, 4, 5)
}

func reuseFilter(x *sched.X) {
	w := newWorld(x, broadcast.WithRing(2))
	var seen []int
	r := w.follow(broadcast.Block, 2, broadcast.WithFilter(func(e int) bool {
		seen = append(seen, e)
		return true
	}))
	w.reads("reader", r, bg, 1)
	w.Go("closer", func() {
		r.Close()
		w.publish(bg, 1)
	})
	w.publishes("publisher", bg, 2, 3, 4, 5)
	x.Check(func() {
		if len(seen) > 0 && seen[0] > 2 {
			x.Errorf("law 1: the filter was first asked about %v, which no order makes number 1", seen[0])
		}
	})
}

func reuseJoin(x *sched.X) {
	w := newWorld(x, broadcast.WithRing(2))
	w.fill(1, 2)
	w.Go("joiner", func() { w.next(w.follow(broadcast.DropOldest, 2, broadcast.WithReplay(2)), bg) })
	w.publishes("publisher", bg, 3, 4, 5)
}

var skipAhead = broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { return broadcast.DropOldest })

// reuseSkip reads n times, for which two events are always left.
func reuseSkip(x *sched.X, p broadcast.Policy, reads func(*world, string, *follower, context.Context, int), n int) {
	w := newWorld(x, broadcast.WithRing(2))
	r := w.follow(p, 2)
	w.fill(1)
	w.publishes("publisher", bg, 2, 3, 4, 5)
	reads(w, "reader", r, bg, n)
}

func reuseHeld(x *sched.X) {
	w := newWorld(x, broadcast.WithRing(2))
	published, asked := make(chan struct{}), false
	r := w.follow(broadcast.DropOldest, 2, broadcast.WithFilter(func(int) bool {
		if !asked {
			asked = true
			sched.Recv(published, "filter")
		}
		return true
	}))
	w.fill(1, 2)
	w.reads("reader", r, bg, 1)
	w.Go("publisher", func() {
		w.publish(bg, 3, 4, 5)
		sched.Close(published, "published")
	})
}

func ringFirst(x *sched.X) {
	w := newWorld(x)
	w.publishes("publisher", bg, 1, 2, 3)
	w.Go("reader A", func() { w.follow(broadcast.Block, 8) })
	w.Go("reader B", func() { w.follow(broadcast.DropOldest, 1).Close() })
}

func replay(x *sched.X) {
	w := newWorld(x, broadcast.WithRing(2))
	w.fill(1)
	w.publishes("publisher", bg, 2, 3)
	w.Go("reader", func() { w.follow(broadcast.DropOldest, 2, broadcast.WithReplay(2)) })
	w.Go("subscriber", func() {
		s := w.hub.Subscribe(broadcast.WithReplay(2), broadcast.WithBuffer(4), broadcast.WithPolicy(broadcast.DropNewest))
		w.all = append(w.all, &witness{Subscription: s, policy: broadcast.BlockFor(time.Second, broadcast.Eject), after: 3})
	})
}

func resume(x *sched.X) {
	w := newWorld(x, broadcast.WithRing(2))
	w.fill(1)
	w.publishes("publisher", bg, 2, 3)
	w.Go("reader", func() {
		r := w.follow(broadcast.DropOldest, 2, broadcast.WithResumeAfter(0))
		if w.next(r, bg); r.missed+uint64(len(r.got)) < 1 {
			x.Errorf("law 2: resumed behind 0: got %v, missed %d", r.got, r.missed)
		}
	})
}

func released(x *sched.X) {
	w := newWorld(x)
	r := w.follow(broadcast.Block, 4)
	w.publishes("publisher", bg, 1)
	w.reads("reader", r, bg, 1)
	w.Go("waiter", func() {
		if err := w.hub.WaitReleased(bg, 1); err != nil {
			x.Errorf("WaitReleased = %v", err)
		}
		if got := w.hub.Released(); got < 1 {
			x.Errorf("Released = %d", got)
		}
	})
	ctx, cancel := context.WithCancel(bg)
	w.Go("asker", func() {
		// Asking for more is what releases, also when that fails.
		for w.hub.Released() < 1 {
			if len(r.got) == 1 {
				sched.Cancel(cancel, "cancel")
				w.next(r, ctx)
				return
			}
			sched.Recv(time.After(time.Second), "wait for the reader")
		}
	})
}

func releasedLeave(x *sched.X) {
	w := newWorld(x)
	w.closing = true
	a, b := w.follow(broadcast.Block, 4), w.follow(broadcast.Block, 4)
	w.fill(1)
	w.Go("closer A", a.Close)
	w.Go("closer B", b.Close)
	w.Go("waiter", func() {
		if err := w.hub.WaitReleased(bg, 1); !errors.Is(err, broadcast.ErrClosed) {
			x.Errorf("WaitReleased = %v, though nobody has handled event 1", err)
		}
	})
	w.Go("closer", w.hub.Close)
}

func shutdownReader(x *sched.X) {
	w := newWorld(x)
	w.closing = true
	r := w.follow(broadcast.Block, 1)
	var err error
	w.publishes("publisher", bg, 1, 2)
	w.Go("shutdown", func() { err = w.hub.Shutdown(bg) })
	w.receives("reference", w.reference, 3)
	w.reads("reader", r, bg, 3)
	x.Check(func() {
		if err != nil || !errors.Is(r.last, broadcast.ErrClosed) {
			x.Errorf("law 5: Shutdown = %v, the reader has seen %v", err, r.last)
		}
	})
}

func handleReader(x *sched.X) {
	w := newWorld(x)
	r := w.follow(broadcast.Block, 1)
	ctx, cancel := context.WithCancel(bg)
	var err error
	w.publishes("publisher", bg, 1, 2, 3)
	w.Go("handler", func() {
		err = broadcast.Handle(ctx, r.Reader, func(_ context.Context, e int) error {
			r.got = append(r.got, e)
			return nil
		})
	})
	w.Go("canceler", func() { sched.Cancel(cancel, "cancel") })
	x.Check(func() {
		if !errors.Is(err, context.Canceled) || r.Err() == nil {
			x.Errorf("Handle = %v after its context ended, Err = %v", err, r.Err())
		}
	})
}
