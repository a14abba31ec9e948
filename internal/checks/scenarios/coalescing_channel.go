package scenarios

import (
	"context"
	"errors"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

// The goroutine of C must have ended when all actors have: so somebody closes
// the subscription or the hub in each scenario.

func keysChannel(x *sched.X) {
	w := newKeyed(x)
	o := w.subscribe()
	w.change(put("a", 1))
	w.changesAll("publisher", put("b", 2), put("a", 3))
	w.Go("consumer", func() {
		for o.receive() {
			o.tallies()
		}
		o.tallies()
	})
}

func keysChannelClose(x *sched.X) {
	w := newKeyed(x)
	o := w.subscribe()
	o.left = true
	w.change(put("a", 1))
	w.Go("consumer", func() {
		for o.receive() {
		}
		o.tallies()
	})
	w.changes("publisher", put("b", 2), put("a", 3))
	w.Go("closer", o.Close)
}

func keysChannelHub(x *sched.X) {
	w := newKeyed(x)
	w.closing = true
	o := w.subscribe()
	w.Go("consumer", func() {
		for o.receive() {
			o.tallies()
		}
	})
	w.changes("publisher", put("a", 1), put("b", 2))
	w.Go("closer", w.hub.Close)
}

func keysChannelTwice(x *sched.X) {
	w := newKeyed(x)
	o := w.subscribe()
	o.left = true
	w.change(put("a", 1))
	var second <-chan update
	w.Go("consumer", func() {
		for o.receive() {
		}
	})
	w.Go("caller", func() {
		second = o.C()
		o.Close()
	})
	w.check(func() {
		if second != o.ch {
			x.Errorf("C returned two channels")
		}
	})
}

// keysChannelContext has nobody who receives to the end: the context that ends
// after the hub has must end the goroutine of C.
func keysChannelContext(x *sched.X) {
	w := newKeyed(x)
	w.closing = true
	ctx, cancel := context.WithCancel(bg)
	o := w.subscribe(broadcast.WithContext(ctx))
	o.left = true
	w.change(put("a", 1))
	w.Go("consumer", func() {
		o.ch = o.C()
		if u, ok, received := sched.TryRecv(o.ch, "receive"); received && ok {
			o.see(u)
		}
		o.tallies()
	})
	w.changes("publisher", put("b", 2))
	w.Go("closer", func() {
		w.hub.Close()
		sched.Cancel(cancel, "cancel")
	})
}

func keysChannelStats(x *sched.X) {
	w := newKeyed(x)
	w.change(put("a", 1))
	o := w.subscribe()
	o.left = true
	w.Go("consumer", func() {
		o.receive()
		synced := o.Synced()
		if s := o.tallies(); s.Len != 0 || !synced {
			x.Errorf("law 2: %+v, synced: %v, after the only update was received", s, synced)
		}
		o.Close()
	})
	w.watch(2, o)
	w.Go("scraper", func() {
		for s := range w.hub.Subscriptions() {
			if s.Offered != s.Received+uint64(s.Len)+s.Coalesced || s.Received > 1 {
				x.Errorf("law 2: %+v", s)
			}
		}
	})
}

// handles is an actor that runs Handle over o.
func (w *keyed) handles(name string, o *observer, result *error, fn func() error, opts ...broadcast.HandleOption) {
	w.Go(name, func() {
		*result = broadcast.Handle(bg, o.CoalescingSubscription, func(_ context.Context, u update) error {
			o.got = append(o.got, u) // two of them may be handled in either order
			sched.Touch("handler")
			return fn()
		}, opts...)
		if o.Err() == nil {
			w.Errorf("law 5: Handle has returned and its stream is open")
		}
	})
}

func keysHandle(x *sched.X) {
	w := newKeyed(x)
	o := w.subscribe()
	o.left = true
	var a, b error
	w.changesAll("publisher", put("a", 1), put("b", 2))
	w.handles("handler A", o, &a, func() error { return nil })
	w.handles("handler B", o, &b, func() error { return nil })
	w.check(func() {
		if a != nil || b != nil || o.Stats().Len > 0 && len(o.got) == 0 {
			x.Errorf("Handle = %v and %v after %v", a, b, o.got)
		}
	})
}

func keysHandleStop(x *sched.X) {
	w := newKeyed(x)
	o := w.subscribe()
	o.left = true
	refused := errors.New("refused")
	var a, b error
	w.changes("publisher", put("a", 1), put("b", 2))
	w.handles("handler A", o, &a, func() error { return refused }, broadcast.StopOnError())
	w.handles("handler B", o, &b, func() error { return refused }, broadcast.StopOnError())
	w.check(func() {
		if !errors.Is(a, refused) && !errors.Is(b, refused) || !errors.Is(o.Err(), broadcast.ErrClosed) {
			x.Errorf("Handle = %v and %v after %v, Err = %v", a, b, o.got, o.Err())
		}
	})
}

func keysStats(x *sched.X) {
	w := newKeyed(x)
	o := w.subscribe()
	w.change(put("a", 1))
	w.changes("publisher", put("a", 2), del("a"))
	w.Go("subscriber", func() { w.subscribe() })
	w.Go("reader", func() {
		ctx, cancel := context.WithCancel(bg)
		if cancel(); o.next(ctx) {
			x.Errorf("law 4: Next returned an update, though its context had ended")
		}
		o.tallies()
	})
	w.watch(2, o)
}

func keysStatsRead(x *sched.X) {
	w := newKeyed(x)
	o := w.subscribe()
	w.change(put("a", 1))
	w.changes("publisher", put("a", 2), put("a", 3))
	w.reads("reader", o, bg, 1)
	w.watch(2, o)
}

func keysStatsLeave(x *sched.X) {
	w := newKeyed(x)
	o, other := w.subscribe(), w.subscribe()
	other.left = true
	w.change(put("a", 1), put("b", 2))
	w.changes("publisher", put("a", 3))
	w.Go("closer", other.Close)
	w.reads("reader", o, bg, 2)
	w.watch(2, o, other)
}

// odd is a filter.
func odd(value int) bool { return value%2 == 1 }

func keysFilter(x *sched.X) {
	w := newKeyed(x)
	o := w.subscribe(broadcast.WithFilter(func(u update) bool {
		sched.Touch("filter")
		return u.Deleted || odd(u.Value)
	}))
	o.keep = odd
	w.change(put("a", 1), put("b", 2), put("c", 3))
	w.changesAll("publisher", put("b", 4), put("b", 5))
	w.Go("reader", func() {
		for o.batch(bg, 2) {
			o.tallies()
		}
	})
	w.watch(1, o)
}

func keysFilterPanics(x *sched.X) {
	w := newKeyed(x)
	again := "" // the key at which it panicked last, until the consumer knows
	o := w.subscribe(broadcast.WithFilter(func(u update) bool {
		sched.Touch("filter")
		if again != "" && u.Key != again {
			x.Errorf("law 6: asked for %s after a panic at %s", u.Key, again)
		}
		if again = ""; !odd(u.Value) {
			again = u.Key
			panic(errFilter)
		}
		return true
	}))
	o.keep = odd
	w.change(put("a", 1), put("c", 3), put("b", 2), put("d", 5))
	o.next(bg)
	w.changesAll("publisher", put("b", 4), put("b", 7))
	w.Go("reader", func() {
		for panics := 0; o.attempt(func() bool { return o.batch(bg, 3) }); panics = o.panics {
			if o.panics > panics {
				again = ""
			}
			o.tallies()
		}
	})
	w.check(func() {
		if got := o.Stats().Dropped; got != uint64(o.panics) {
			x.Errorf("law 2: Dropped = %d after %d panics", got, o.panics)
		}
	})
}

func keysFilterCloses(x *sched.X) {
	w := newKeyed(x)
	var o *observer
	o = w.subscribe(broadcast.WithFilter(func(u update) bool {
		if u.Key == "b" {
			o.Close()
		}
		return true
	}))
	o.left = true
	w.change(put("a", 1), put("b", 2), put("c", 3))
	w.changes("publisher", put("b", 4), put("a", 5))
	w.Go("reader", func() {
		for o.batch(bg, 3) {
			o.tallies()
		}
		if !errors.Is(o.last, broadcast.ErrClosed) {
			x.Errorf("law 5: ReadBatch = %v", o.last)
		}
	})
}

func keysSynced(x *sched.X) {
	w := newKeyed(x)
	w.change(put("a", 1), put("b", 2))
	o := w.subscribe()
	if s := o.tallies(); o.Synced() || s.Len != 2 {
		x.Errorf("%+v, synced: %v, before it has read the state", s, o.Synced())
	}
	w.changesAll("publisher", del("b"), put("a", 3))
	w.reads("reader", o, bg, 0)
	w.Go("asker", func() {
		for range 2 {
			if !o.Synced() {
				continue
			}
			// What was there when it subscribed was returned, to a reader that may not
			// have noted it yet, or is gone.
			if s := o.Stats(); s.Received == 0 {
				x.Errorf("synced after nothing was returned: %+v", s)
			}
		}
	})
}
