package scenarios

import (
	"context"
	"errors"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

func keysCloseHub(x *sched.X) {
	w := newKeyed(x)
	w.closing = true
	o := w.subscribe()
	w.change(put("a", 1))
	w.changes("publisher", put("b", 2), put("a", 3))
	w.Go("closer", w.hub.Close)
	w.reads("reader", o, bg, 0)
}

func keysCloseParked(x *sched.X) {
	w := newKeyed(x)
	w.closing = true
	a, b := w.subscribe(), w.subscribe()
	w.reads("reader A", a, bg, 0)
	w.reads("reader B", b, bg, 0)
	w.changes("publisher", put("a", 1))
	w.Go("closer", w.hub.Close)
}

func keysCloseDelete(x *sched.X) {
	w := newKeyed(x)
	w.closing = true
	o := w.subscribe()
	w.change(put("a", 1), put("b", 2))
	o.next(bg)
	w.changes("deleter", del("a"), del("b"))
	w.Go("closer A", w.hub.Close)
	w.Go("closer B", w.hub.Close)
	w.reads("reader", o, bg, 0)
}

func keysClosePass(x *sched.X) {
	w := newKeyed(x)
	o := w.subscribe()
	o.left = true
	w.change(put("a", 1), put("b", 2), put("c", 3))
	w.Go("closer", func() {
		o.Close()
		if !errors.Is(o.Err(), broadcast.ErrClosed) {
			x.Errorf("law 5: Err = %v after Close", o.Err())
		}
	})
	w.changes("publisher", put("b", 4))
	w.Go("reader", func() {
		if o.next(bg) && o.batch(bg, 2) {
			o.tallies()
			o.next(bg)
		}
	})
}

// keysCloseAhead has a reader that may take what is newer than where its
// subscription ended.
func keysCloseAhead(x *sched.X) {
	w := newKeyed(x)
	o := w.subscribe()
	o.left = true
	w.change(put("a", 1), put("b", 2))
	w.Go("closer A", o.Close)
	w.Go("closer B", o.Close)
	w.changes("publisher", put("b", 3))
	w.Go("reader", func() {
		if o.batch(bg, 2) {
			o.tallies()
		}
	})
	w.check(func() {
		for _, u := range o.got {
			if s := o.Stats(); u.Version > s.Offered {
				x.Errorf("law 2: got %+v behind the end: %+v", u, s)
			}
		}
	})
}

func keysCloseIdle(x *sched.X) {
	w := newKeyed(x)
	a, b := w.subscribe(), w.subscribe()
	a.left = true
	w.reads("reader A", a, bg, 0)
	w.reads("reader B", b, bg, 1)
	w.Go("closer", a.Close)
	w.changes("publisher", put("a", 1))
	w.check(func() {
		if !errors.Is(a.last, broadcast.ErrClosed) {
			x.Errorf("law 5: a reader has seen %v after Close", a.last)
		}
	})
}

func keysContext(x *sched.X) {
	w := newKeyed(x)
	w.closing = true
	ctx, cancel := context.WithCancel(bg)
	o := w.subscribe(broadcast.WithContext(ctx))
	o.left = true
	w.changes("publisher", put("a", 1))
	w.reads("reader", o, bg, 0)
	w.Go("canceler", func() { sched.Cancel(cancel, "cancel") })
	w.Go("closer", w.hub.Close)
	w.check(func() {
		if !errors.Is(o.last, o.Err()) || !errors.Is(o.Err(), context.Canceled) && !errors.Is(o.Err(), broadcast.ErrClosed) {
			x.Errorf("law 5: a reader has seen %v, Err = %v", o.last, o.Err())
		}
	})
}

func keysCancel(x *sched.X) {
	w := newKeyed(x)
	ctx, cancel := context.WithCancel(bg)
	o := w.subscribe()
	w.reads("reader", o, ctx, 0)
	w.changes("publisher", put("a", 1), put("b", 2))
	w.Go("canceler", func() { sched.Cancel(cancel, "cancel") })
	w.check(func() {
		if !errors.Is(o.last, context.Canceled) || o.Err() != nil {
			x.Errorf("a reader has seen %v after its context ended, Err = %v", o.last, o.Err())
		}
	})
}

func keysSubscribeContext(x *sched.X) {
	w := newKeyed(x)
	ctx, cancel := context.WithCancel(bg)
	w.change(put("a", 1))
	w.changes("publisher", put("a", 2))
	w.Go("subscriber", func() {
		o := w.subscribe(broadcast.WithContext(ctx))
		o.left = true
		for o.next(bg) {
		}
		if !errors.Is(o.last, context.Canceled) {
			x.Errorf("law 5: Next = %v after its context ended", o.last)
		}
	})
	w.Go("canceler", func() { sched.Cancel(cancel, "cancel") })
}

func keysSubscribeClose(x *sched.X) {
	w := newKeyed(x)
	w.closing = true
	w.change(put("a", 1))
	w.changes("publisher", put("b", 2))
	w.Go("subscriber", func() {
		o := w.subscribe()
		for o.next(bg) {
		}
		if !errors.Is(o.last, broadcast.ErrClosed) {
			x.Errorf("law 5: Next = %v after the hub closed", o.last)
		}
	})
	w.Go("closer", w.hub.Close)
}

func keysInterest(x *sched.X) {
	var edges []bool
	w := newKeyed(x, broadcast.WithInterest(func(active bool) {
		sched.Touch("hook of interest")
		edges = append(edges, active)
	}))
	w.closing = true
	w.Go("subscriber A", func() {
		o := w.subscribe()
		o.left = true
		o.Close()
	})
	w.Go("subscriber B", func() { w.subscribe().left = true })
	w.Go("closer", w.hub.Close)
	w.check(func() {
		for i, active := range edges {
			if active != (i%2 == 0) {
				x.Errorf("law 8: edges of interest %v do not alternate", edges)
			}
		}
		if len(edges)%2 != 0 {
			x.Errorf("law 8: edges %v, though the hub has closed", edges)
		}
	})
}
