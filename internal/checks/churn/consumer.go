package churn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/gobroadcast/broadcast"
)

// consumer is a subscription of a random kind with its own account.
type consumer struct {
	*broadcast.Subscription[event]
	rng    *rand.Rand
	plan   plan
	block  bool
	eject  bool
	asked  *asked             // what its policy was told; nil: it is not of its own
	odd    bool               // it keeps events with odd numbers only
	cancel context.CancelFunc // of its context; nil: it has none
	closed bool               // it has seen the channel closed
	got    uint64
	last   map[uint32]uint64 // by publisher
}

func newConsumer(hub *broadcast.Hub[event], rng *rand.Rand, p plan) *consumer {
	c := &consumer{rng: rng, plan: p, last: map[uint32]uint64{}}
	policies := []broadcast.Policy{
		broadcast.Block, broadcast.DropNewest, broadcast.DropOldest, broadcast.Eject,
		broadcast.BlockFor(20*time.Microsecond, broadcast.DropOldest),
		broadcast.PolicyFunc(func(o broadcast.Overflow) broadcast.Action { return c.asked.overflow(o) }),
	}
	kind := rng.IntN(len(policies))
	c.block, c.eject = kind == 0, kind == 3
	buffer := 1 << rng.IntN(8)
	if kind == 5 {
		c.asked = &asked{buffer: buffer}
	}
	opts := []broadcast.SubscribeOption{broadcast.WithPolicy(policies[kind]), broadcast.WithBuffer(buffer)}
	if rng.IntN(4) == 0 {
		c.odd = true
		opts = append(opts, broadcast.WithFilter(func(e event) bool { return e.number%2 == 1 }))
	}
	if rng.IntN(4) == 0 {
		var ctx context.Context
		ctx, c.cancel = context.WithCancel(context.Background())
		opts = append(opts, broadcast.WithContext(ctx))
	}
	c.Subscription = hub.Subscribe(opts...)
	return c
}

// asked is what a policy was told. The hub asks it from one goroutine at a time, each of
// which has seen what the one before wrote, so it needs no lock.
type asked struct {
	buffer int
	last   broadcast.Overflow
	err    error
}

// overflow checks what it is told, and answers Block, DropNewest and DropOldest in turns.
func (a *asked) overflow(o broadcast.Overflow) broadcast.Action {
	known := a.last.Cap > 0
	if o.Cap != a.buffer || known && (o.ID != a.last.ID || o.Dropped < a.last.Dropped || o.Consecutive > a.last.Consecutive+1) ||
		!known && (o.Consecutive > 0 || o.Dropped > 0) {
		a.err = fmt.Errorf("law 6: a policy was told %+v after %+v", o, a.last)
	}
	a.last = o
	return broadcast.Action(o.Dropped % 3)
}

// consume takes some events, ends in one way or the other, and takes what is left
// or leaves it there.
func (c *consumer) consume(ctx context.Context, delivered *atomic.Uint64) error {
	defer c.Close()
	if c.cancel != nil {
		defer c.cancel()
	}
	for range 1 + c.rng.IntN(20_000) {
		select {
		case e, ok := <-c.C():
			if !ok {
				return c.ended()
			}
			if err := c.take(e); err != nil {
				return err
			}
			if c.got%64 == 0 {
				delivered.Add(64)
			}
			rest(c.rng, c.plan.pause)
		case <-ctx.Done():
			return c.leave()
		}
	}
	return c.leave()
}

// leave ends the subscription by its context or by Close.
func (c *consumer) leave() error {
	if c.cancel != nil {
		c.cancel()
	} else {
		c.Close()
	}
	if c.rng.IntN(4) == 0 {
		c.Close()
		return nil // what is buffered stays there
	}
	for e := range c.C() {
		if err := c.take(e); err != nil {
			return err
		}
	}
	return c.ended()
}

// take checks and counts one event.
func (c *consumer) take(e event) error {
	c.got++
	last, before := c.last[e.publisher]
	c.last[e.publisher] = e.number
	switch {
	case e.number <= last:
		return fmt.Errorf("law 1: subscription %d: event %d of publisher %d after %d", c.Stats().ID, e.number, e.publisher, last)
	case c.odd && e.number%2 == 0:
		return fmt.Errorf("law 1: subscription %d got %d, which its filter rejects", c.Stats().ID, e.number)
	case c.block && before && !c.odd && e.number != last+1 && c.Stats().Dropped == 0:
		return fmt.Errorf("law 2: subscription %d: event %d of publisher %d after %d, and nothing was dropped", c.Stats().ID, e.number, e.publisher, last)
	}
	return nil
}

// ended checks why the channel was closed.
func (c *consumer) ended() error {
	c.closed = true
	err := c.Err()
	if !errors.Is(err, broadcast.ErrClosed) && !errors.Is(err, broadcast.ErrEjected) && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("law 5: subscription %d: the channel is closed, and Err = %w", c.Stats().ID, err)
	}
	return nil
}

// policy checks what became of c under its policy, once the hub has ended.
func (c *consumer) policy() error {
	st, ejected := c.Stats(), errors.Is(c.Err(), broadcast.ErrEjected)
	switch {
	case ejected && !c.eject:
		return fmt.Errorf("law 2: subscription %d was ejected, and that is not its policy", st.ID)
	case c.eject && st.Dropped > 1, c.eject && !ejected && st.Dropped > 0 && !c.odd:
		return fmt.Errorf("law 2: subscription %d lost %d under Eject, and Err = %w", st.ID, st.Dropped, c.Err())
	case c.asked != nil:
		return c.asked.err
	}
	return nil
}

// sums is what the hub says of a consumer that has ended, and what it has counted.
func (c *consumer) sums() sums {
	s := c.Stats()
	ejected := uint64(0)
	if errors.Is(c.Err(), broadcast.ErrEjected) {
		ejected = 1
	}
	return sums{1, s.Offered, c.got, s.Dropped, s.Filtered, uint64(s.Len), ejected}
}
