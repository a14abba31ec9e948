// Package scenarios has small programs with a hub, a few actors each, of which
// every schedule must keep the laws. The package explore runs them.
package scenarios

import (
	"context"
	"errors"
	"slices"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/broadcasttest"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

// Scenario is one such program.
type Scenario struct {
	Name  string
	About string
	Build func(*sched.X)
}

var bg = context.Background()

// world is the hub of a scenario with everyone who ever subscribed, and what was
// published. Only one actor runs at a time, so nothing here needs a lock; and
// what stands here when an actor looks has happened before.
type world struct {
	*sched.X
	hub       *broadcast.Hub[int]
	reference *witness // has room for all: the timeline; nil: there is none
	all       []*witness
	readers   []*follower
	outcomes  map[int]error // of the publishes that returned, by event
	begun     int           // how many publishes have begun
	published int           // how many have published and returned
	canceling bool          // contexts of publishers may end
	closing   bool          // the hub may close
}

// witness is a subscription with its consumer's own account.
type witness struct {
	*broadcast.Subscription[int]
	policy  broadcast.Policy
	keep    func(int) bool
	before  int // as many events had been published for sure when Subscribe was called
	after   int // as many at most when it had returned
	got     []int
	drained bool // it saw the channel closed
	leaves  bool // it may end before the hub does
}

// newWorld makes the hub. The reference is subscribed in it.
func newWorld(x *sched.X, opts ...broadcast.Option) *world {
	w := &world{X: x, outcomes: map[int]error{}}
	w.hub = broadcast.New[int](1, broadcast.Block, opts...)
	w.reference = w.subscribe(broadcast.Block, 16)
	x.Check(w.laws)
	return w
}

func (w *world) subscribe(p broadcast.Policy, buffer int, opts ...broadcast.SubscribeOption) *witness {
	s := &witness{policy: p, before: w.published}
	opts = append([]broadcast.SubscribeOption{broadcast.WithPolicy(p), broadcast.WithBuffer(buffer)}, opts...)
	s.Subscription = w.hub.Subscribe(opts...)
	s.after = w.begun
	w.all = append(w.all, s)
	return s
}

// fill publishes events before the actors begin.
func (w *world) fill(events ...int) {
	w.publish(bg, events...)
}

// publishes is an actor that publishes events one by one.
func (w *world) publishes(name string, ctx context.Context, events ...int) {
	w.Go(name, func() { w.publish(ctx, events...) })
}

func (w *world) publish(ctx context.Context, events ...int) {
	for _, e := range events {
		w.begun++
		ended := ctx.Err() != nil
		err := w.hub.Publish(ctx, e)
		if ended && (err == nil || errors.Is(err, broadcast.ErrPartial)) {
			w.Errorf("law 4: Publish(%d) = %v, though its context had ended before", e, err)
		}
		w.outcomes[e] = err
		if err == nil || errors.Is(err, broadcast.ErrPartial) {
			w.published++
		}
	}
}

// batch is an actor that publishes events at once.
func (w *world) batch(name string, ctx context.Context, events ...int) {
	w.Go(name, func() {
		w.begun += len(events)
		n, err := w.hub.PublishBatch(ctx, events)
		w.published += n
		for i, e := range events {
			switch {
			case i < n-1 || err == nil:
				w.outcomes[e] = nil
			case i == n-1 && errors.Is(err, broadcast.ErrPartial):
				w.outcomes[e] = err
			case i == n-1:
				w.outcomes[e] = nil
			case errors.Is(err, broadcast.ErrPartial):
				w.outcomes[e] = context.Canceled // not reached
			default:
				w.outcomes[e] = err
			}
		}
	})
}

// receives is an actor that takes n events, or fewer if the channel closes.
func (w *world) receives(name string, s *witness, n int) {
	w.Go(name, func() { s.take(n) })
}

// glances is an actor that takes an event if there is one.
func (w *world) glances(name string, s *witness) {
	w.Go(name, func() {
		if e, ok, received := sched.TryRecv(s.C(), "receive"); received && ok {
			s.got = append(s.got, e)
		}
	})
}

func (s *witness) take(n int) {
	for range n {
		e, ok := sched.Recv2(s.C(), "receive")
		if !ok {
			s.drained = true
			if s.Err() == nil {
				panic("law 5: the channel is closed, and Err is nil")
			}
			return
		}
		s.got = append(s.got, e)
	}
}

// drain takes what is buffered, when nobody runs.
func (s *witness) drain() {
	for {
		select {
		case e, ok := <-s.C():
			if !ok {
				s.drained = true
				return
			}
			s.got = append(s.got, e)
		default:
			return
		}
	}
}

// laws checks everything that holds when all actors have ended, then closes the
// hub and checks again.
func (w *world) laws() {
	w.conservation()
	for _, s := range w.all {
		s.drain()
	}
	for _, r := range w.readers {
		r.drain()
	}
	w.conservation()
	defer w.end()
	if w.reference == nil {
		return
	}
	timeline := w.reference.got
	stats := w.hub.Stats()
	if int(stats.Published) != len(timeline) && w.reference.Err() == nil {
		w.Fatalf("law 2: Published = %d, but the timeline is %v", stats.Published, timeline)
	}
	for e, err := range w.outcomes {
		there := slices.Contains(timeline, e)
		if want := err == nil || errors.Is(err, broadcast.ErrPartial); there != want {
			w.Errorf("law 4: Publish(%d) = %v, but the timeline is %v", e, err, timeline)
		}
		if err != nil && !errors.Is(err, broadcast.ErrClosed) && !w.canceling {
			w.Errorf("law 4: Publish(%d) = %v, though nothing was canceled", e, err)
		}
		if errors.Is(err, broadcast.ErrClosed) && !w.closing {
			w.Errorf("law 5: Publish(%d) = %v, though the hub did not close", e, err)
		}
	}
	for _, s := range w.all {
		w.one(s, timeline)
	}
	for _, r := range w.readers {
		w.follows(r, timeline)
	}
}

// one checks one subscription.
func (w *world) one(s *witness, timeline []int) {
	st := s.Stats()
	place := s.before - 1
	for _, e := range s.got {
		at := slices.Index(timeline, e)
		if at <= place {
			w.Fatalf("law 1: subscription %d (%v) got %v of %v, joined behind %d to %d", st.ID, s.policy, s.got, timeline, s.before, s.after)
		}
		if s.keep != nil && !s.keep(e) {
			w.Errorf("law 1: subscription %d got %d, which its filter rejects", st.ID, e)
		}
		place = at
	}
	if s.Err() == nil && int(st.Offered) < len(timeline)-s.after {
		w.Errorf("law 1: subscription %d was offered %d of %v, joined behind %d", st.ID, st.Offered, timeline, s.after)
	}
	live := s.Err() == nil
	first := len(timeline) - int(st.Offered) // of those that it was offered, if it lived until now
	switch s.policy {
	case broadcast.Block:
		if live && !w.canceling && st.Dropped > 0 {
			w.Errorf("law 2: subscription %d lost %d under Block", st.ID, st.Dropped)
		}
		if st.Dropped > 1 && !w.canceling {
			w.Errorf("law 2: subscription %d lost %d by its end", st.ID, st.Dropped)
		}
		for e, err := range w.outcomes {
			at := slices.Index(timeline, e)
			to := live || w.closing && !s.leaves && at < first+int(st.Offered)
			if to && err == nil && at >= first && s.keep == nil && !slices.Contains(s.got, e) {
				w.Errorf("law 2: Publish(%d) = nil, but subscription %d got %v", e, st.ID, s.got)
			}
		}
	case broadcast.DropOldest:
		if live && s.keep == nil && st.Offered > 0 && cap(s.C()) > 0 && (len(s.got) == 0 || s.got[len(s.got)-1] != timeline[len(timeline)-1]) {
			w.Errorf("law 6: subscription %d got %v of %v, without the newest", st.ID, s.got, timeline)
		}
	case broadcast.DropNewest:
		if live && s.keep == nil && st.Offered > 0 && cap(s.C()) > 0 && (len(s.got) == 0 || s.got[0] != timeline[first]) {
			w.Errorf("law 6: subscription %d got %v of %v, without the oldest", st.ID, s.got, timeline[first:])
		}
	case broadcast.Eject:
		if st.Dropped > 1 || live && st.Dropped > 0 {
			w.Errorf("law 2: subscription %d lost %d under Eject, err = %v", st.ID, st.Dropped, s.Err())
		}
	}
	if !live && !s.drained {
		w.Errorf("law 5: subscription %d ended with %v, but its channel is open", st.ID, s.Err())
	}
}

// end closes the hub and checks that everything has ended.
func (w *world) end() {
	w.hub.Close()
	for _, s := range w.all {
		s.drain()
		if s.Err() == nil || !s.drained {
			w.Errorf("law 5: subscription %d after Close: err = %v, channel closed: %v", s.Stats().ID, s.Err(), s.drained)
		}
	}
	for _, r := range w.readers {
		r.drain()
		if r.Err() == nil {
			w.Errorf("law 5: reader %d lives after Close", r.Stats().ID)
		}
	}
	if err := w.hub.Publish(bg, -1); !errors.Is(err, broadcast.ErrClosed) {
		w.Errorf("law 5: Publish after Close = %v", err)
	}
	w.conservation()
}

// conservation is law 2, with what the consumers counted.
func (w *world) conservation() {
	var consumers []broadcasttest.Consumer
	for _, s := range w.all {
		consumers = append(consumers, s)
	}
	for _, r := range w.readers {
		consumers = append(consumers, r)
	}
	broadcasttest.CheckConservation(w, w.hub, consumers...)
	if w.Failed() {
		w.Fatal("law 2 is broken")
	}
}

// Count is the consumer's own.
func (s *witness) Count() uint64 { return uint64(len(s.got)) }
