package broadcast

import (
	"context"
	"sync"
	"sync/atomic"
)

// pipe is what C adds.
type pipe[K comparable, V any] struct {
	ch     chan Update[K, V]
	hand   atomic.Uint32 // of the goroutine
	asking sync.Mutex    // held by who asks
	answer chan struct{} // one token: as many as were received are counted
}

// What the goroutine of C has in hand.
const (
	handEmpty uint32 = iota
	handFull         // an update that it sends
	handAsked        // the same, and somebody waits for an answer
)

// C returns a channel on which the updates arrive, the same at every call. The
// first call starts the one goroutine of the subscription, which ends, and
// closes the channel, when Next would return an error: after Close at once. So
// whoever stops receiving must call Close. The goroutine has one update in hand,
// of the moment when the one before was received, which is part of Len until it
// is received. A filter that panics there ends the program; one that calls
// runtime.Goexit ends the subscription. C panics while Next
// or its like is being called.
func (s *CoalescingSubscription[K, V]) C() <-chan Update[K, V] {
	if p := s.pipe.Load(); p != nil {
		return p.ch
	}
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := s.pipe.Load(); p != nil {
		return p.ch
	}
	s.claim()
	p := &pipe[K, V]{ch: make(chan Update[K, V]), answer: make(chan struct{}, 1)}
	s.pipe.Store(p)
	if s.quit.Load() {
		close(p.ch)
		return p.ch
	}
	h.pumps.Add(1)
	go s.pump()
	return p.ch
}

func (s *CoalescingSubscription[K, V]) pump() {
	p := s.pipe.Load()
	defer s.hub.pumps.Add(-1)
	defer close(p.ch)
	finished := false
	defer func() {
		if !finished { // the filter called runtime.Goexit: nobody can read on
			s.Close()
		}
	}()
	for {
		u, v := s.next(context.Background())
		if v != got {
			finished = true
			return
		}
		p.hand.Store(handFull)
		// Before the send, so that only Received is left to be counted after it.
		s.settle(1)
		if !s.handOver(p, u) {
			finished = true
			return
		}
	}
}

// handOver sends u, counts it, and answers those who ask meanwhile. It returns
// false if the subscription has ended by itself instead.
func (s *CoalescingSubscription[K, V]) handOver(p *pipe[K, V], u Update[K, V]) bool {
	for {
		select {
		case p.ch <- u:
			s.received.Add(1)
			if !s.pass.running {
				s.synced.Store(true)
			}
			p.putDown()
			return true
		case <-s.parker.token:
			if s.quit.Load() {
				p.putDown()
				return false
			}
			if p.hand.CompareAndSwap(handAsked, handFull) {
				p.answer <- struct{}{}
			}
		}
	}
}

func (p *pipe[K, V]) putDown() {
	if p.hand.Swap(handEmpty) == handAsked {
		p.answer <- struct{}{}
	}
}

// countReceived returns when all that was received from C before the call is
// counted. Nothing but the goroutine of C can tell whether the update that it
// sends was received, and while it sends it runs nobody's code: so it is asked.
func (s *CoalescingSubscription[K, V]) countReceived() {
	p := s.pipe.Load()
	if p == nil || p.hand.Load() == handEmpty {
		return
	}
	p.asking.Lock()
	defer p.asking.Unlock()
	if p.hand.CompareAndSwap(handFull, handAsked) {
		s.parker.call()
		<-p.answer
	}
}

// holds tells whether the goroutine of C has an update in hand.
func (s *CoalescingSubscription[K, V]) holds() bool {
	p := s.pipe.Load()
	return p != nil && p.hand.Load() != handEmpty
}
