// Package churn drives a hub hard on the real scheduler: many publishers and
// subscriptions of every policy that come and go, with every count checked to the
// last event when they are done. The tests run it for a time under the race detector,
// and for a number of deliveries without.
package churn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobroadcast/broadcast"
)

// event is who published it, and how many that one had published.
type event struct {
	publisher uint32
	number    uint64
}

// plan says how a hub is to be driven.
type plan struct {
	seed       uint64
	publishers int
	consumers  int           // that live at once
	deliveries uint64        // end after so many
	pause      time.Duration // the longest that a consumer or publisher rests now and then
	progress   func(deliveries uint64)
}

// sums are what all consumers have seen, added up.
type sums struct {
	subscriptions, offered, received, dropped, filtered, left, ejected uint64
}

func (s *sums) add(o sums) {
	s.subscriptions += o.subscriptions
	s.offered += o.offered
	s.received += o.received
	s.dropped += o.dropped
	s.filtered += o.filtered
	s.left += o.left
	s.ejected += o.ejected
}

// account is what is known of all consumers, and what went wrong.
type account struct {
	stop context.CancelFunc

	mu     sync.Mutex
	total  sums        // guarded by mu
	broken []error     // guarded by mu
	unread []*consumer // that left something behind: what was in flight may not be counted yet; guarded by mu
}

// fail takes note of err, unless that is nil, and ends everything.
func (a *account) fail(err error) {
	if err == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.broken = append(a.broken, err)
	a.stop()
}

// gone is told of each consumer that is done, and returns what its policy has broken.
func (a *account) gone(c *consumer) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !c.closed {
		a.unread = append(a.unread, c)
		return nil
	}
	a.total.add(c.sums())
	return c.policy()
}

// settle adds those that left something behind, once the hub is closed.
func (a *account) settle() (sums, []error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.unread {
		a.total.add(c.sums())
		a.broken = append(a.broken, c.policy())
	}
	a.unread = nil
	return a.total, a.broken
}

// drive drives a hub until p says that it is enough or ctx ends. It returns what was
// seen, and an error that says which law was broken.
func drive(ctx context.Context, p plan) (total sums, stats broadcast.Stats, err error) {
	hub := broadcast.New[event](4, broadcast.Block)
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	var (
		delivered atomic.Uint64
		published atomic.Uint64
		gaveUp    atomic.Uint64 // publishes whose context ended while they waited for room
		running   sync.WaitGroup
		watching  sync.WaitGroup
	)
	a := &account{stop: enough}
	for i := range p.publishers {
		running.Go(func() {
			n, gave, err := publish(ctx, hub, uint32(i), p)
			published.Add(n)
			gaveUp.Add(gave)
			a.fail(err)
		})
	}
	for i := range p.consumers {
		running.Go(func() {
			rng := rand.New(rand.NewPCG(p.seed, uint64(i)))
			for ctx.Err() == nil {
				c := newConsumer(hub, rng, p)
				err := c.consume(ctx, &delivered)
				a.fail(errors.Join(err, a.gone(c)))
				if delivered.Load() >= p.deliveries {
					enough()
				}
			}
		})
	}
	watching.Go(func() { a.fail(watch(ctx, hub, &delivered, p.progress)) })
	running.Wait()
	enough()
	watching.Wait()
	hub.Close()
	total, broken := a.settle()
	stats = hub.Stats()
	return total, stats, errors.Join(append(broken, conservation(total, stats, published.Load()), blocked(stats, gaveUp.Load()))...)
}

// conservation compares the hub's sums with those of everyone who subscribed.
func conservation(total sums, stats broadcast.Stats, published uint64) error {
	var all []error
	for _, c := range []struct {
		what      string
		got, want uint64
	}{
		{"Published", stats.Published, published},
		{"Offered", stats.Offered, total.offered},
		{"Dropped", stats.Dropped, total.dropped},
		{"Filtered", stats.Filtered, total.filtered},
		{"Ejected", stats.Ejected, total.ejected},
		{"DroppedBy.Ejected", stats.DroppedBy.Ejected, total.ejected},
		{"Subscribers", uint64(stats.Subscribers), 0},
		{"Offered, by what became of it,", stats.Offered, total.received + total.left + total.dropped + total.filtered},
	} {
		if c.got != c.want {
			all = append(all, fmt.Errorf("law 2: %s = %d, want %d", c.what, c.got, c.want))
		}
	}
	return errors.Join(all...)
}

// blocked is whether those that gave up, and no more than all that were published,
// count as blocked.
func blocked(stats broadcast.Stats, gaveUp uint64) error {
	if stats.Blocked < gaveUp || stats.Blocked > stats.Published {
		return fmt.Errorf("law 2: Blocked = %d, want at least the %d that gave up, at most the %d published", stats.Blocked, gaveUp, stats.Published)
	}
	return nil
}

// publish publishes until ctx ends, by one, in batches and with contexts that end
// soon. It returns how many were published, and how many of these it gave up in the end.
func publish(ctx context.Context, hub *broadcast.Hub[event], id uint32, p plan) (n, gaveUp uint64, err error) {
	rng := rand.New(rand.NewPCG(p.seed, 1<<32|uint64(id)))
	var batch [8]event
	for ctx.Err() == nil {
		switch rng.IntN(16) {
		case 0:
			k := 1 + rng.IntN(len(batch))
			for i := range k {
				batch[i] = event{id, n + uint64(i) + 1}
			}
			done, err := hub.PublishBatch(ctx, batch[:k])
			n += uint64(done)
			if errors.Is(err, broadcast.ErrPartial) {
				gaveUp++
			}
			if err != nil && ctx.Err() == nil {
				return n, gaveUp, fmt.Errorf("law 4: PublishBatch: %w", err)
			}
		case 1:
			short, cancel := context.WithTimeout(ctx, time.Duration(rng.IntN(50))*time.Microsecond)
			err := hub.Publish(short, event{id, n + 1})
			cancel()
			if errors.Is(err, broadcast.ErrPartial) {
				gaveUp++
			}
			if err == nil || errors.Is(err, broadcast.ErrPartial) {
				n++
			}
		default:
			err := hub.Publish(ctx, event{id, n + 1})
			if errors.Is(err, broadcast.ErrPartial) {
				gaveUp++
			}
			if err == nil || errors.Is(err, broadcast.ErrPartial) {
				n++
			}
			if err != nil && ctx.Err() == nil {
				return n, gaveUp, fmt.Errorf("law 4: Publish: %w", err)
			}
		}
		rest(rng, p.pause)
	}
	return n, gaveUp, nil
}

// rest lets some time pass now and then, so that buffers fill and drain.
func rest(rng *rand.Rand, longest time.Duration) {
	if longest > 0 && rng.IntN(32) == 0 {
		time.Sleep(time.Duration(rng.Int64N(int64(longest))))
	}
}

// watch looks at the hub's sums until ctx ends: none goes back, and no more is lost
// than was offered.
func watch(ctx context.Context, hub *broadcast.Hub[event], delivered *atomic.Uint64, progress func(uint64)) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var last broadcast.Stats
	told := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		s := hub.Stats()
		if s.Published < last.Published || s.Offered < last.Offered || s.Dropped < last.Dropped ||
			s.Filtered < last.Filtered || s.Ejected < last.Ejected || s.Blocked < last.Blocked {
			return fmt.Errorf("law 2: the sums went back: %+v, after %+v", s, last)
		}
		if s.Dropped+s.Filtered > s.Offered {
			return fmt.Errorf("law 2: more lost than offered: %+v", s)
		}
		last = s
		if progress != nil && time.Since(told) > 5*time.Second {
			told = time.Now()
			progress(delivered.Load())
		}
	}
}
