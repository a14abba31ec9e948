package scenarios

import (
	"context"
	"errors"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

func park(x *sched.X, n, events int) {
	w := newWorld(x)
	for _, name := range []string{"reader A", "reader B", "reader C"}[:n] {
		w.reads(name, w.follow(broadcast.Block, 8), bg, events)
	}
	for e := range events {
		w.publishes("publisher", bg, e+1)
	}
}

func parkAgain(x *sched.X) {
	w := newWorld(x)
	for _, r := range w.together() {
		w.reads("reader", r, bg, 2)
	}
	for e := range 2 {
		w.publishes("publisher", bg, e+1)
	}
}

func parkCancel(x *sched.X) {
	w := newWorld(x)
	ctx, cancel := context.WithCancel(bg)
	r := w.follow(broadcast.Block, 8)
	w.reads("reader", r, ctx, 2)
	w.publishes("publisher", bg, 1)
	w.Go("canceler", func() { sched.Cancel(cancel, "cancel") })
	x.Check(func() {
		if !errors.Is(r.last, context.Canceled) {
			x.Errorf("Next = %v after its context ended", r.last)
		}
	})
}

func parkCancelTwo(x *sched.X) {
	w := newWorld(x)
	ctx, cancel := context.WithCancel(bg)
	both := w.together()
	w.reads("reader A", both[0], ctx, 1)
	w.reads("reader B", both[1], bg, 2)
	w.publishes("publisher", bg, 1)
	w.publishes("publisher", bg, 2)
	w.Go("canceler", func() { sched.Cancel(cancel, "cancel") })
}

func parkClose(x *sched.X) {
	w := newWorld(x)
	both := w.together()
	w.reads("reader A", both[0], bg, 2)
	w.reads("reader B", both[1], bg, 1)
	w.publishes("publisher", bg, 1)
	w.Go("closer", both[0].Close)
}

func parkCloseHub(x *sched.X) {
	w := newWorld(x)
	w.closing = true
	for _, name := range []string{"reader A", "reader B"} {
		w.reads(name, w.follow(broadcast.Block, 8), bg, 2)
	}
	w.publishes("publisher", bg, 1)
	w.Go("closer", w.hub.Close)
}

func parkContext(x *sched.X) {
	w := newWorld(x)
	ctx, cancel := context.WithCancel(bg)
	r := w.follow(broadcast.Block, 1, broadcast.WithContext(ctx))
	w.reads("reader", r, bg, 2)
	w.publishes("publisher", bg, 1)
	w.Go("canceler", func() { sched.Cancel(cancel, "cancel") })
}
