package broadcast

import (
	"context"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// lotShards spreads those who park at once over so many locks.
	lotShards = 16
	// fewParked is how many are woken by whoever wakes; more are left to a goroutine.
	fewParked = 4
	// wakesPerYield is after how many the waker lets those run whom it woke.
	wakesPerYield = 64
)

// The states of the waker.
const (
	wakerIdle    uint32 = iota
	wakerRunning        // it will not see who parked before its last look at the mask
	wakerAgain          // it will look at the mask once more
)

// lot is where those wait who have taken all there is. The zero value is ready.
// All methods may be called by any number of goroutines at once.
//
// No wake-up is lost. Whoever waits stands in a shard's array, and the shard's
// bit is set in mask, before it looks at what it waits for a second time; whoever
// wakes has stored that before it looks at mask. So in the one order that all
// atomic operations have, either the second look comes after the store and sees
// it, or the bit was set before the look at mask. A bit is cleared only by someone
// who takes the array of its shard under the shard's mutex, at the same time or
// later, and bits are set under that mutex: so the entry is in what is taken.
type lot struct {
	mask   atomic.Uint32 // which shards someone may stand in
	waker  atomic.Uint32
	run    func() // the waker's goroutine; written once, by the first who starts it
	shards [lotShards]lotShard
}

type lotShard struct {
	mu     sync.Mutex
	parked []*parker // guarded by mu
	spare  []*parker // an empty array for the next wave; guarded by mu
	wave   uint64    // how often parked was taken, and 1; guarded by mu
}

// parker is one waiter's place.
type parker struct {
	token chan struct{} // one token: look again
	wave  uint64        // of its shard when it entered; 0: it has not. Guarded by the shard's mutex
	place int32         // in the array of that wave; guarded by the shard's mutex
	shard uint32        // written once, by init
}

func (p *parker) init() {
	p.token = make(chan struct{}, 1)
	p.shard = rand.Uint32N(lotShards)
}

// call leaves p a token. One that is there already does as well.
func (p *parker) call() {
	select {
	case p.token <- struct{}{}:
	default:
	}
}

// wait parks p until ready answers true or ctx ends, and returns nil or the cause
// of ctx; if both, nil. It calls ready without a lock, and always once more after
// p has been entered. It allocates nothing. One goroutine at a time may wait with
// one p.
func (l *lot) wait(ctx context.Context, p *parker, ready func() bool) error {
	if l.mask.Load() == 0 {
		// Where few wait, whoever is to wake them is often next to run, and neither
		// side then pays for a wake-up: see BenchmarkPairHop.
		runtime.Gosched()
		if ready() {
			return nil
		}
	}
	done := ctx.Done()
	for {
		l.enter(p)
		if ready() {
			l.leave(p)
			return nil
		}
		if done == nil {
			<-p.token
		} else {
			select {
			case <-p.token:
			case <-done:
			}
		}
		if ready() {
			// After a token of long ago p still stands in the array. It may: the next
			// wave costs it one look, and entering finds it there.
			return nil
		}
		if ctx.Err() != nil {
			l.leave(p)
			return causeOf(ctx)
		}
	}
}

func (l *lot) enter(p *parker) {
	s := &l.shards[p.shard]
	s.mu.Lock()
	if !s.holds(p) {
		p.wave, p.place = s.wave+1, int32(len(s.parked))
		s.parked = append(s.parked, p)
	}
	if bit := uint32(1) << p.shard; l.mask.Load()&bit == 0 {
		l.mask.Or(bit)
	}
	s.mu.Unlock()
}

// leave takes p out of its shard if it stands there.
func (l *lot) leave(p *parker) {
	s := &l.shards[p.shard]
	s.mu.Lock()
	if s.holds(p) {
		last := s.parked[len(s.parked)-1]
		s.parked[p.place] = last
		last.place = p.place
		s.parked = shrunk(s.parked)
		p.wave = 0
		if len(s.parked) == 0 {
			l.mask.And(^(uint32(1) << p.shard))
		}
	}
	s.mu.Unlock()
}

func (s *lotShard) holds(p *parker) bool { return p.wave == s.wave+1 }

// wake wakes all who are parked. It is called after what makes them ready has
// been stored. It never blocks, and costs one load if nobody is parked; it wakes a
// few by itself, and has more woken by one short-lived goroutine.
func (l *lot) wake() {
	if l.mask.Load() != 0 {
		l.wakeParked()
	}
}

func (l *lot) wakeParked() {
	for {
		switch l.waker.Load() {
		case wakerIdle:
			if l.wakeFew() {
				return
			}
			if l.waker.CompareAndSwap(wakerIdle, wakerRunning) {
				if l.run == nil {
					l.run = l.wakeAll // kept, because each evaluation allocates
				}
				go l.run()
				return
			}
		case wakerRunning:
			if l.waker.CompareAndSwap(wakerRunning, wakerAgain) {
				return
			}
		default:
			return // it goes back to running before it looks at mask
		}
	}
}

// wakeFew wakes all who are parked if these are few, and tells whether it did.
func (l *lot) wakeFew() bool {
	mask := l.mask.Load()
	if bits.OnesCount32(mask) > fewParked {
		return false
	}
	budget := fewParked
	for ; mask != 0; mask &= mask - 1 {
		s := &l.shards[bits.TrailingZeros32(mask)]
		s.mu.Lock()
		budget -= len(s.parked)
		if budget < 0 {
			s.mu.Unlock()
			return false
		}
		l.mask.And(^(mask & -mask))
		s.wave++
		for _, p := range s.parked {
			p.call()
		}
		clear(s.parked)
		s.parked = s.parked[:0]
		s.mu.Unlock()
	}
	return true
}

// wakeAll is the goroutine that wakes many. It wakes those who are parked when
// it comes to their shard, and not who parks after that.
func (l *lot) wakeAll() {
	woken := 0
	for {
		for mask := l.mask.Swap(0); mask != 0; mask &= mask - 1 {
			s := &l.shards[bits.TrailingZeros32(mask)]
			s.mu.Lock()
			taken := s.parked
			s.parked, s.spare = s.spare, nil
			s.wave++
			s.mu.Unlock()
			for _, p := range taken {
				p.call()
				if woken++; woken%wakesPerYield == 0 {
					runtime.Gosched()
				}
			}
			s.keep(taken)
		}
		if l.waker.CompareAndSwap(wakerRunning, wakerIdle) {
			return
		}
		l.waker.Store(wakerRunning)
	}
}

// keep has array used again by the next wave, unless it has become far too large.
func (s *lotShard) keep(array []*parker) {
	n := len(array)
	clear(array)
	s.mu.Lock()
	if s.spare == nil && cap(array) > 0 && (cap(array) <= 64 || n >= cap(array)/4) {
		s.spare = array[:0]
	}
	s.mu.Unlock()
}

// wakeOne wakes p, and takes it out.
func (l *lot) wakeOne(p *parker) {
	l.leave(p)
	p.call()
}

// idle tells whether the waker's goroutine does not run.
func (l *lot) idle() bool { return l.waker.Load() == wakerIdle }
