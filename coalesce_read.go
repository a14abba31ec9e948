package broadcast

import (
	"context"
	"iter"
)

// verdict is how a call of next ended.
type verdict uint8

const (
	got      verdict = iota
	canceled         // its ctx ended
	over             // the subscription has ended, and is drained if the hub has ended it
)

// Next returns the next update, and waits for one. It returns the cause of ctx
// if that is done, first of all, or ends while there is nothing: nothing is lost
// then. Once the subscription has ended it returns Err: at once after its own
// Close or the end of its context, and after what is left when the hub closed.
// It allocates for passes over more than 16 changes, and for keys that change
// while a pass goes on; otherwise not. It panics if ctx is nil, and when the
// filter does.
func (s *CoalescingSubscription[K, V]) Next(ctx context.Context) (Update[K, V], error) {
	checkContext("Next", ctx)
	s.claim()
	defer s.release()
	u, v := s.next(ctx)
	switch v {
	case got:
		s.received.Add(1)
		return u, nil
	case canceled:
		return u, causeOf(ctx)
	}
	return u, s.Err()
}

// ReadBatch is Next for up to len(dst) updates. It waits for at least one, and
// takes no more than the pass has, so no key is in a batch twice. It returns how
// many it has put into dst, or why there are none. With an empty dst it returns
// 0, nil at once.
func (s *CoalescingSubscription[K, V]) ReadBatch(ctx context.Context, dst []Update[K, V]) (int, error) {
	checkContext("ReadBatch", ctx)
	if len(dst) == 0 {
		return 0, nil
	}
	s.claim()
	defer s.release()
	u, v := s.next(ctx)
	switch v {
	case canceled:
		return 0, causeOf(ctx)
	case over:
		return 0, s.Err()
	}
	dst[0] = u
	s.received.Add(1)
	n := 1
	for n < len(dst) {
		u, ok := s.takeOne()
		if !ok {
			break
		}
		if s.quit.Load() {
			s.untake()
			break
		}
		ok, panicked := s.admitQuietly(u, n)
		if panicked {
			break
		}
		if ok {
			dst[n] = u
			s.received.Add(1)
			n++
		}
	}
	return n, nil
}

// All returns an iterator over what Next returns, until that would return an
// error. It ends at once when ctx does, also under constant load.
func (s *CoalescingSubscription[K, V]) All(ctx context.Context) iter.Seq[Update[K, V]] {
	checkContext("All", ctx)
	return func(yield func(Update[K, V]) bool) {
		for {
			u, err := s.Next(ctx)
			if err != nil || !yield(u) {
				return
			}
		}
	}
}

// claim and release are the bounds of a call that reads.
func (s *CoalescingSubscription[K, V]) claim() {
	if !s.reading.CompareAndSwap(false, true) {
		panic("broadcast: a coalescing subscription is read by two at once, or by C and Next: use one goroutine and one way, or one subscription for each")
	}
}

func (s *CoalescingSubscription[K, V]) release() {
	s.settle(0)
	s.reading.Store(false)
}

// next takes the next update that passes the filter; the caller counts it.
func (s *CoalescingSubscription[K, V]) next(ctx context.Context) (u Update[K, V], v verdict) {
	if ctx.Err() != nil {
		return u, canceled
	}
	for waited := error(nil); ; {
		// Whether the hub has closed comes first: what comes after that is all.
		closed := s.ended.Load()
		u, ok := s.poll()
		switch {
		case s.quit.Load():
			// It ended behind a version that may be less than that of u. (If quit is
			// not seen here, it ends behind u's or a later one: u was published with
			// the hub's mutex held, and so is quit set.)
			if ok {
				s.untake()
			}
			return Update[K, V]{}, over
		case ok && s.admit(u):
			return u, got
		case ok:
			if ctx.Err() != nil {
				return Update[K, V]{}, canceled
			}
			continue
		case closed:
			s.leaveContext()
			return u, over
		case waited != nil:
			return u, canceled
		}
		waited = s.hub.lot.wait(ctx, &s.parker, s.ready)
	}
}

// admit asks the filter.
func (s *CoalescingSubscription[K, V]) admit(u Update[K, V]) bool {
	if s.keep == nil {
		return true
	}
	asked := false
	defer func() {
		if !asked { // it panicked, or called runtime.Goexit
			s.dropped.Add(1)
			s.hub.dropped[droppedNewest].Add(1)
			s.hub.losses.note(lossDropped, &s.member)
		}
	}()
	ok := s.keep(u)
	asked = true
	if !ok {
		s.reject()
	}
	return ok
}

func (s *CoalescingSubscription[K, V]) reject() {
	s.special.filtered.Add(1)
	s.hub.filtered.Add(1)
}

// admitQuietly is admit for an update that others come before: if the filter
// panics, it is as if u had not been taken, and the next call asks again. So the
// panic has the stack of its own. If it calls runtime.Goexit, nobody gets the
// before updates of the batch.
func (s *CoalescingSubscription[K, V]) admitQuietly(u Update[K, V], before int) (ok, panicked bool) {
	if s.keep == nil {
		return true, false
	}
	panicked = true
	defer func() {
		if panicked {
			if recover() == nil {
				s.unreceive(uint64(before))
			}
			s.untake()
		}
	}()
	ok = s.keep(u)
	panicked = false
	if !ok {
		s.reject()
	}
	return ok, false
}

// unreceive counts n updates as dropped that were counted as received.
func (s *CoalescingSubscription[K, V]) unreceive(n uint64) {
	s.received.Add(-n)
	s.dropped.Add(n)
	s.hub.dropped[droppedNewest].Add(n)
	s.hub.losses.noteMany(lossDropped, &s.member, n)
}
