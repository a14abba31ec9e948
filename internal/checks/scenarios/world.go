// Package scenarios has small programs with a hub, a few actors each, of which
// every schedule must keep the laws. The package explore runs them.
package scenarios

import (
	"context"
	"errors"

	"github.com/gobroadcast/broadcast"
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
	filled    int           // of these, before the actors began
	joins     int           // how many have begun to subscribe
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
	taking  bool // it receives at the moment
	took    int  // of got, before all came to rest
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
	w.joins++
	opts = append([]broadcast.SubscribeOption{broadcast.WithPolicy(p), broadcast.WithBuffer(buffer)}, opts...)
	s.Subscription = w.hub.Subscribe(opts...)
	s.after = w.begun
	w.all = append(w.all, s)
	return s
}

// fill publishes events before the actors begin.
func (w *world) fill(events ...int) {
	w.publish(bg, events...)
	w.filled += len(events)
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
		s.taking = true
		e, ok := sched.Recv2(s.C(), "receive")
		s.taking = false
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

// Count is the consumer's own.
func (s *witness) Count() uint64 { return uint64(len(s.got)) }
