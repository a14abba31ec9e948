package scenarios

import (
	"context"
	"errors"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

type update = broadcast.Update[string, int]

// keyed is a coalescing hub with everyone who ever subscribed, and what was
// published, as world is for a hub. Values are published once each, so that one
// tells where it comes from; publishers give them in ascending order.
type keyed struct {
	*sched.X
	hub       *broadcast.CoalescingHub[string, int]
	observers []*observer
	truth     map[uint64]update // what anyone has seen at a version
	published map[int]string    // the keys of values whose publish has begun
	returned  int               // publishes that returned nil
	deletes   int               // deletes that have begun
	closing   bool              // the hub may close
	fair      bool              // each key has one publisher, and none is deleted: what waits is noted
	open      int               // publishers that have yet to return; the last one closes the hub
	first     []func()          // checks of the scenario's own, when its actors have ended
}

// observer is a coalescing subscription with its consumer's own account.
type observer struct {
	*broadcast.CoalescingSubscription[string, int]
	w      *keyed
	ch     <-chan update  // once C was called
	keep   func(int) bool // of values; nil: all
	fresh  bool           // nothing was published before it subscribed
	got    []update
	view   map[string]update // the last of each key
	owed   map[string][]string
	last   error                       // of the last read
	left   bool                        // it may end before the hub does
	panics int                         // of its filter, that reached its consumer
	before broadcast.SubscriptionStats // of the last tallies
}

func newKeyed(x *sched.X, opts ...broadcast.Option) *keyed {
	w := &keyed{X: x, truth: map[uint64]update{}, published: map[int]string{}}
	w.hub = broadcast.NewCoalescing[string, int](opts...)
	x.Check(w.laws)
	return w
}

func (w *keyed) subscribe(opts ...broadcast.SubscribeOption) *observer {
	o := &observer{w: w, view: map[string]update{}, owed: map[string][]string{}}
	o.CoalescingSubscription = w.hub.Subscribe(opts...)
	o.fresh = len(w.published) == 0
	o.left = o.Stats().ID == 0 // it never joined
	w.observers = append(w.observers, o)
	return o
}

// check adds what must hold when all actors have ended, before the laws are
// checked.
func (w *keyed) check(f func()) { w.first = append(w.first, f) }

// change is a step of a publisher: a value for a key, or its deletion.
type change struct {
	key   string
	value int // 0: delete it
}

func put(key string, value int) change { return change{key, value} }
func del(key string) change            { return change{key: key} }

// changes is an actor that publishes and deletes.
func (w *keyed) changes(name string, all ...change) {
	w.Go(name, func() { w.change(all...) })
}

// changesAll is changes for an actor that closes the hub if it is the last of
// those to return.
func (w *keyed) changesAll(name string, all ...change) {
	w.closing = true
	w.open++
	w.Go(name, func() {
		w.change(all...)
		if w.open--; w.open == 0 {
			w.hub.Close()
		}
	})
}

func (w *keyed) change(all ...change) {
	for _, c := range all {
		var err error
		if c.value == 0 {
			w.deletes++
			err = w.hub.Delete(c.key)
		} else {
			w.published[c.value] = c.key
			err = w.hub.Publish(c.key, c.value)
		}
		switch {
		case err == nil && c.value != 0:
			w.returned++
			for _, o := range w.observers {
				o.owe(c)
			}
		case errors.Is(err, broadcast.ErrClosed) && !w.closing:
			w.Errorf("law 5: a change of %s returned %v, though the hub did not close", c.key, err)
		}
	}
}

// owe notes that a key has a value that o has not got.
func (o *observer) owe(c change) {
	if _, already := o.owed[c.key]; !already && o.w.fair && o.view[c.key].Value != c.value {
		o.owed[c.key] = []string{}
	}
}

// see checks an update that the consumer has got.
func (o *observer) see(u update) {
	w := o.w
	last, known := o.view[u.Key]
	switch before, seen := w.truth[u.Version]; {
	case seen && before != u:
		w.Errorf("law 1: version %d was %+v, and is %+v", u.Version, before, u)
	case u.Version == 0 || u.Version <= last.Version:
		w.Errorf("law 1: got %+v after %+v", u, last)
	case u.Deleted && (u.Value != 0 || w.deletes == 0):
		w.Errorf("law 6: got %+v after %d deletions", u, w.deletes)
	case u.Deleted && (!known || last.Deleted) && o.keep == nil:
		w.Errorf("law 6: got the deletion of %s, which it has not seen: %v", u.Key, o.got)
	case !u.Deleted && w.published[u.Value] != u.Key:
		w.Errorf("law 1: got %+v, but %d was published for %q", u, u.Value, w.published[u.Value])
	case o.keep != nil && !u.Deleted && !o.keep(u.Value):
		w.Errorf("law 1: got %+v, which its filter rejects", u)
	}
	w.truth[u.Version] = u
	o.got = append(o.got, u)
	o.view[u.Key] = u
	delete(o.owed, u.Key)
	// A key that waits is in the pass that goes on or in the next. Each has another
	// key once.
	for key, others := range o.owed {
		others = append(others, u.Key)
		o.owed[key] = others
		if n := count(others, u.Key); n > 2 {
			w.Errorf("law 6: %s came %d times while %s waited: %v", u.Key, n, key, o.got)
		}
	}
}

func count(list []string, one string) (n int) {
	for _, s := range list {
		if s == one {
			n++
		}
	}
	return n
}

// next reads one update, and tells whether there was one.
func (o *observer) next(ctx context.Context) bool {
	u, err := o.Next(ctx)
	if o.last = err; err != nil {
		return false
	}
	o.see(u)
	return true
}

// batch reads up to n updates at once, and tells whether there were any.
func (o *observer) batch(ctx context.Context, n int) bool {
	dst := make([]update, n)
	n, err := o.ReadBatch(ctx, dst)
	if o.last = err; err != nil {
		return false
	}
	keys := map[string]bool{}
	for _, u := range dst[:n] {
		if keys[u.Key] {
			o.w.Errorf("law 6: %s is in a batch twice: %v", u.Key, dst[:n])
		}
		keys[u.Key] = true
		o.see(u)
	}
	return true
}

// receive takes one update from C, and tells whether there was one.
func (o *observer) receive() bool {
	if o.ch == nil {
		o.ch = o.C()
	}
	u, open := sched.Recv2(o.ch, "receive")
	if !open {
		if o.last = o.Err(); o.last == nil {
			o.w.Errorf("law 5: the channel is closed, and Err is nil")
		}
		return false
	}
	o.see(u)
	return true
}

// reads is an actor that reads n updates one by one, or until the end if n is 0.
func (w *keyed) reads(name string, o *observer, ctx context.Context, n int) {
	w.Go(name, func() {
		for i := 0; (i < n || n == 0) && o.next(ctx); i++ {
		}
	})
}

// tallies checks what the hub says of o against its consumer's count, at a
// moment when nobody reads from o.
func (o *observer) tallies() broadcast.SubscriptionStats {
	s := o.Stats()
	if s.Received != uint64(len(o.got)) {
		o.w.Errorf("law 2: Received = %d after %v", s.Received, o.got)
	}
	if s.Len < 0 || s.Coalesced > s.Offered || s.Offered != s.Received+uint64(s.Len)+s.Dropped+s.Filtered+s.Coalesced {
		o.w.Errorf("law 2: %+v", s)
	}
	if most := uint64(len(o.w.published) + o.w.deletes); s.Offered > most {
		o.w.Errorf("law 2: Offered = %d of at most %d", s.Offered, most)
	}
	if b := o.before; s.Offered < b.Offered || s.Coalesced < b.Coalesced || s.Dropped < b.Dropped || s.Filtered < b.Filtered {
		o.w.Errorf("law 2: the counts went back: %+v, after %+v", s, b)
	}
	o.before = s
	return s
}

// watch is an actor that looks at all sums n times.
func (w *keyed) watch(n int, observers ...*observer) {
	w.Go("watcher", func() {
		var last broadcast.Stats
		before := make([]broadcast.SubscriptionStats, len(observers))
		for range n {
			s := w.hub.Stats()
			if s.Published < last.Published || s.Offered < last.Offered || s.Dropped < last.Dropped ||
				s.Filtered < last.Filtered || s.Coalesced < last.Coalesced {
				w.Errorf("law 2: the sums went back: %+v, after %+v", s, last)
			}
			if s.Dropped+s.Filtered+s.Coalesced > s.Offered {
				w.Errorf("law 2: more is gone than was offered: %+v", s)
			}
			last = s
			for i, o := range observers {
				st, b := o.Stats(), before[i]
				if st.Offered < b.Offered || st.Received < b.Received || st.Dropped < b.Dropped ||
					st.Filtered < b.Filtered || st.Coalesced < b.Coalesced || st.Len < 0 {
					w.Errorf("law 2: the counts went back: %+v, after %+v", st, b)
				}
				before[i] = st
			}
		}
	})
}

// drain reads what is there, when nobody runs. Time passes if there is nothing.
func (o *observer) drain() {
	if o.ch != nil {
		for {
			synctest.Wait()
			select {
			case u, open := <-o.ch:
				if !open {
					return
				}
				o.see(u)
				continue
			default:
			}
			return
		}
	}
	for {
		ctx, cancel := context.WithTimeout(bg, time.Second)
		more := o.attempt(func() bool { return o.next(ctx) })
		cancel()
		if !more {
			return
		}
	}
}

// attempt is read for an observer whose filter may panic.
func (o *observer) attempt(read func() bool) (more bool) {
	defer func() {
		if v := recover(); v != nil {
			if v != errFilter {
				panic(v)
			}
			o.panics++
			more = true
		}
	}()
	return read()
}

var errFilter = errors.New("filter")
