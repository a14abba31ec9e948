package scenarios

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

// All are all scenarios.
var All = slices.Concat(channels, others, readers, coalescing)

// others are the scenarios of what is around subscriptions.
var others = []Scenario{
	{"turn-cancel", "a publisher waits for its turn behind a blocked one, against its context", turnCancel},
	{"turn-three", "two publishers wait for their turn behind a blocked one, long enough to be handed it", turnThree},
	{"turn-two-at-once", "a publisher whose context ends as it is called, when another has the turn already and the next has waited long", turnTwoAtOnce},
	{"turn-close", "a publisher waits for its turn, long enough to be handed it, against the close of the hub", turnClose},
	{"turn-called", "a publisher that is called to its turn as its context ends, and another behind it", func(x *sched.X) { turnHanded(x, 0) }},
	{"turn-handed", "a publisher that is handed its turn as its context ends, and another behind it", func(x *sched.X) { turnHanded(x, 2*time.Millisecond) }},
	{"turn-handed-close", "a publisher that is handed its turn as the hub closes", turnHandedClose},
	{"turn-filter", "a publisher waits for its turn behind one in a filter that waits for it, against the close of the hub", turnFilter},
	{"handle-close", "Handle against a publish and the close of its subscription", handleClose},
	{"handle-cancel", "Handle against its context and a publisher that it holds up", handleCancel},
	{"shutdown", "Shutdown against a publish and the consumer", shutdown},
	{"shutdown-handle", "Shutdown against Handle, which returns with an error", shutdownHandle},
	{"stats", "Stats during publishes, a join and a leave: no sum goes back", stats},
	{"stats-join", "Stats during two publishes and a join: no sum goes back", statsJoin},
	{"stats-leave", "Stats of a subscription during a publish and its close: nothing goes back", statsLeave},
	{"stats-eject", "Stats and Subscriptions during an eject", statsEject},
	{"stats-received", "Stats of subscriptions during publishes and receives: what it says of Received holds", statsReceived},
	{"log-note", "a loss as the logger's goroutine ends because nothing was lost", logNote},
	{"log-close", "losses against the close of a hub that logs them", logClose},
	{"log-blocked", "a publish that is blocked for long on a hub that logs it", logBlocked},
	{"timed", "publishes that a collector times, one of which waits", timed},
	{"timed-gate", "publishes that a collector times, with a reader that holds them up", timedGate},
	{"publish-within", "a consumer that publishes to the hub it receives from", publishWithin},
	{"interest", "two that subscribe and leave, with a hook of interest", interest},
	{"interest-eject", "an eject and a subscribe, with the hooks of both", interestEject},
	{"hook-publishes", "a hook that publishes and closes the hub", hookPublishes},
}

func turnCancel(x *sched.X) {
	w := newWorld(x)
	w.canceling = true
	s := w.subscribe(broadcast.Block, 1)
	w.fill(1)
	ctx, cancel := context.WithCancel(bg)
	w.publishes("publisher A", bg, 2)
	w.publishes("publisher B", ctx, 3)
	w.Go("canceler", func() { sched.Cancel(cancel, "cancel") })
	w.receives("consumer", s, 2)
	x.Check(func() {
		if err := w.outcomes[2]; err != nil {
			x.Errorf("law 4: Publish(2) = %v", err)
		}
	})
}

func turnThree(x *sched.X) {
	w := newWorld(x)
	s := w.subscribe(broadcast.Block, 1)
	w.fill(1)
	w.publishes("publisher A", bg, 2)
	w.publishes("publisher B", bg, 3)
	w.publishes("publisher C", bg, 4)
	w.Clock(2 * time.Millisecond)
	w.receives("consumer", s, 3)
}

func turnClose(x *sched.X) {
	w := newWorld(x)
	w.closing, w.canceling = true, true
	w.subscribe(broadcast.Block, 1)
	w.fill(1)
	ctx, cancel := context.WithCancel(bg)
	w.publishes("publisher A", bg, 2)
	w.publishes("publisher B", ctx, 3)
	w.Clock(2 * time.Millisecond)
	w.Go("closer", func() {
		w.hub.Close()
		sched.Cancel(cancel, "cancel")
	})
}

func turnHanded(x *sched.X, after time.Duration) {
	w := newWorld(x)
	w.canceling = true
	s := w.subscribe(broadcast.Block, 1)
	w.fill(1)
	ctx, cancel := context.WithCancel(bg)
	w.publishes("publisher A", bg, 2)
	w.publishes("publisher B", ctx, 3)
	w.publishes("publisher C", bg, 4)
	w.Go("consumer", func() {
		if after > 0 {
			sched.Recv(time.After(after), "rest")
		}
		s.take(1)
		sched.Cancel(cancel, "cancel")
		s.take(1)
		s.Close()
	})
}

func turnHandedClose(x *sched.X) {
	w := newWorld(x)
	w.closing = true
	s := w.subscribe(broadcast.Block, 1)
	s.leaves = true
	w.fill(1)
	w.publishes("publisher A", bg, 2)
	w.publishes("publisher B", bg, 3)
	w.Go("closer A", func() {
		sched.Recv(time.After(2*time.Millisecond), "rest")
		s.Close()
	})
	w.Go("closer B", func() {
		sched.Recv(time.After(2*time.Millisecond), "rest")
		w.hub.Close()
	})
}

func turnFilter(x *sched.X) {
	w := newWorld(x)
	w.closing = true
	returned := make(chan struct{})
	w.subscribe(broadcast.Block, 2, broadcast.WithFilter(func(e int) bool {
		if e == 1 {
			sched.Recv(returned, "filter")
		}
		return false
	})).keep = never
	w.publishes("publisher A", bg, 1)
	w.Go("publisher B", func() {
		sched.Recv(time.After(time.Second), "until A is in the filter")
		w.publish(bg, 2)
		sched.Close(returned, "returned")
	})
	w.Go("closer", func() {
		sched.Recv(time.After(time.Second), "until B comes")
		w.hub.Close()
	})
}

// handles is an actor that runs Handle over s and keeps what it returned.
func (w *world) handles(s *witness, ctx context.Context, result *error, fn func(int) error, opts ...broadcast.HandleOption) {
	w.Go("handler", func() {
		*result = broadcast.Handle(ctx, s.Subscription, func(_ context.Context, e int) error {
			s.got = append(s.got, e)
			sched.Touch("handler")
			return fn(e)
		}, opts...)
		if s.Err() == nil {
			w.Errorf("law 5: Handle has returned and its stream is open")
		}
	})
}

func handleClose(x *sched.X) {
	w := newWorld(x)
	s := w.subscribe(broadcast.Block, 1)
	err := errors.New("it has not returned")
	w.publishes("publisher", bg, 1, 2)
	w.handles(s, bg, &err, func(int) error { return errors.New("refused") })
	w.Go("closer", s.Close)
	x.Check(func() {
		if err != nil {
			x.Errorf("Handle = %v", err)
		}
		if got := w.hub.Stats().HandlerErrors; got != uint64(len(s.got)) {
			x.Errorf("law 2: HandlerErrors = %d for %v", got, s.got)
		}
	})
}

func handleCancel(x *sched.X) {
	w := newWorld(x)
	s := w.subscribe(broadcast.Block, 1)
	ctx, cancel := context.WithCancel(bg)
	var err error
	w.publishes("publisher", bg, 1, 2, 3)
	canceled, late := false, 0
	w.handles(s, ctx, &err, func(int) error {
		if canceled {
			late++
		}
		return nil
	})
	w.Go("canceler", func() {
		sched.Cancel(cancel, "cancel")
		canceled = true
	})
	x.Check(func() {
		if !errors.Is(err, context.Canceled) {
			x.Errorf("Handle = %v after its context ended", err)
		}
		if late > 1 { // one may have been on its way
			x.Errorf("law 4: %d events were handled after the context of Handle had ended", late)
		}
	})
}

func shutdown(x *sched.X) {
	w := newWorld(x)
	w.closing = true
	s := w.subscribe(broadcast.Block, 1)
	var err error
	w.publishes("publisher", bg, 1, 2)
	w.Go("shutdown", func() { err = w.hub.Shutdown(bg) })
	w.receives("reference", w.reference, 3)
	w.receives("consumer", s, 3)
	x.Check(func() {
		if err != nil || !s.drained || !w.reference.drained {
			x.Errorf("law 5: Shutdown = %v, consumers have seen the end: %v, %v", err, s.drained, w.reference.drained)
		}
	})
}

func shutdownHandle(x *sched.X) {
	w := newWorld(x)
	w.closing = true
	s := w.subscribe(broadcast.Block, 2)
	s.leaves = true
	refused := errors.New("refused")
	var handled, err error
	w.handles(s, bg, &handled, func(int) error { return refused }, broadcast.StopOnError())
	w.publishes("publisher", bg, 1)
	w.receives("reference", w.reference, 2)
	w.Go("shutdown", func() { err = w.hub.Shutdown(bg) })
	x.Check(func() {
		if len(s.got) == 1 && !errors.Is(handled, refused) || len(s.got) == 0 && handled != nil {
			x.Errorf("Handle = %v after %v", handled, s.got)
		}
		if err != nil {
			x.Errorf("law 5: Shutdown = %v", err)
		}
	})
}

// watch is an actor that looks at the hub's sums n times.
func (w *world) watch(n int) {
	w.Go("watcher", func() {
		var last broadcast.Stats
		for range n {
			s := w.hub.Stats()
			if s.Published < last.Published || s.Offered < last.Offered || s.Dropped < last.Dropped ||
				s.Filtered < last.Filtered || s.Ejected < last.Ejected || s.Blocked < last.Blocked {
				w.Errorf("law 2: the sums went back: %+v, after %+v", s, last)
			}
			if s.Dropped+s.Filtered > s.Offered {
				w.Errorf("law 2: more lost than offered: %+v", s)
			}
			if s.Offered > s.Published*uint64(w.joins) {
				w.Errorf("law 2: more offered than published to %d: %+v", w.joins, s)
			}
			last = s
		}
	})
}

func stats(x *sched.X) {
	w := newWorld(x)
	w.publishes("publisher", bg, 1, 2)
	w.Go("subscriber", func() { w.subscribe(broadcast.DropNewest, 1).Close() })
	w.watch(2)
}

func statsJoin(x *sched.X) {
	w := newWorld(x)
	w.subscribe(broadcast.DropNewest, 2) // so that the next has a shard with the reference
	w.publishes("publisher A", bg, 1)
	w.publishes("publisher B", bg, 2)
	w.Go("subscriber", func() { w.subscribe(broadcast.DropNewest, 2) })
	w.watch(2)
}

func statsLeave(x *sched.X) {
	w := newWorld(x)
	s := w.subscribe(broadcast.DropNewest, 1)
	w.publishes("publisher", bg, 1, 2)
	w.Go("closer", s.Close)
	w.Go("watcher", func() {
		last := s.Stats()
		for range 2 {
			st := s.Stats()
			if st.Offered < last.Offered || st.Dropped < last.Dropped {
				w.Errorf("law 2: the counts went back: %+v, after %+v", st, last)
			}
			last = st
		}
	})
}

func statsEject(x *sched.X) {
	w := newWorld(x)
	w.subscribe(broadcast.Eject, 1)
	w.publishes("publisher", bg, 1, 2)
	w.watch(2)
	w.Go("scraper", func() {
		seen := map[uint64]bool{}
		for s := range w.hub.Subscriptions() {
			if seen[s.ID] {
				w.Errorf("law 2: subscription %d twice", s.ID)
			}
			seen[s.ID] = true
			if s.Received > 1 { // nobody receives; one may be on its way
				w.Errorf("law 2: %+v, and nobody has received anything", s)
			}
		}
		if !seen[1] {
			w.Errorf("law 2: the reference was left out")
		}
	})
}

func publishWithin(x *sched.X) {
	w := newWorld(x)
	s := w.subscribe(broadcast.Block, 1)
	w.Go("consumer", func() {
		s.take(1)
		w.publish(bg, 10*s.got[0])
		s.take(1)
	})
	w.publishes("publisher", bg, 1)
}
