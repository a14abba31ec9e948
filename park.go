package broadcast

import (
	"context"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
)

// lotShards spreads those who park over so many locks, and is how many of them are
// woken side by side.
const lotShards = 16

// lotBlock is how many that came one after the other share a shard, and are woken one after
// the other: their memory lies together, as far as it can (BenchmarkPairLast with 10,000:
// 2.0 times channels, and 2.2 where shards are drawn at random).
const lotBlock = 16

// lotCrowd is how many a wave of one shard has where those who wake in it do not yield
// before they park again: none of them is in a cache, and until the first is back from its
// yield nobody is parked, so all would make the detour (BenchmarkPairLast with 10,000: 1.18
// times channels, and 1.45 where they yield).
const lotCrowd = 128

// lot is where those wait who have taken all there is. The zero value is ready.
// All methods may be called by any number of goroutines at once.
//
// A wave are those of a shard who parked before somebody woke. Whoever wakes calls
// one of one wave; who is called calls the next of its wave before it does anything
// else, and one of another wave that has not been started yet. So waking costs its
// caller the same for any number, and needs no goroutine.
//
// No wake-up is lost. Whoever waits stands in a shard, and the shard's bit is set in
// mask, before it looks at what it waits for a second time; whoever wakes has stored
// that before it looks at mask. So in the one order that all atomic operations have,
// either the second look comes after the store and sees it, or the bit was set before
// the look at mask. Whoever takes bits out of mask puts them into owed, and whoever
// takes one out of owed starts that shard's wave, or has it started when the one that
// is under way ends. While a bit is owed, or someone stands in a wave, there is one who has
// just taken bits, or one who is called and has not handed on. Who is called hands
// on whatever becomes of it: with its token, or when it leaves without.
type lot struct {
	mask   atomic.Uint32 // the shards in which someone may be parked
	owed   atomic.Uint32 // the shards whose next wave is to be started
	shards [lotShards]lotShard
}

type lotShard struct {
	mu     sync.Mutex // of all that is below
	parked []*parker  // who has entered since the wave was taken
	wave   []*parker  // who is still to be called
	waves  uint64     // how many there have been
	size   int        // of the last one, when it began
	called *parker    // who is to call the next; nil: the wave is over
	again  bool       // after this wave comes another
	ahead  uint       // means nothing: it is there so that next loads what it adds up
}

// parker is one waiter's place.
type parker struct {
	token chan struct{} // one token: look again
	wave  uint64        // the number of the one that it stands in or parks for; 0: none. Guarded by the shard's mutex
	place int32         // in the shard's array; guarded by the shard's mutex
	shard uint8         // written once, by join

	// It parks without a yield. These belong to the one that waits.
	quick bool // because of what pace was told
	crowd bool // because it woke in a wave of very many
}

func (p *parker) init() { p.token = make(chan struct{}, 1) }

// join chooses p's shard, before p waits for the first time. id says when p came.
func (p *parker) join(id uint64) { p.shard = uint8(id / lotBlock % lotShards) }

// pace is told how many events came while p waited. Few, but more than one, mostly means
// that they come from another core, and faster than a yield lasts: to look so often takes
// more of both sides than to be woken, so p parks at once until it finds one event alone
// (BenchmarkPairReaders with one reader: 0.59 of a channel's time with ReadBatch and 1,024
// slots, and 0.93 where it always yields).
func (p *parker) pace(events uint64) { p.quick = events > 1 && (p.quick || events < 32) }

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
	if !p.quick && !p.crowd && l.mask.Load() == 0 {
		// Whoever is to wake us is often next to run, and neither side then pays for a
		// wake-up: see BenchmarkPairHop and BenchmarkPairRounds.
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
			p.waitOr(done)
		}
		p.crowd = l.leave(p)
		if ready() {
			return nil
		}
		if ctx.Err() != nil {
			return causeOf(ctx)
		}
	}
}

// waitOr is a function of its own because a select takes much of the stack, which
// those who have no context would touch for nothing.
//
//go:noinline
func (p *parker) waitOr(done <-chan struct{}) {
	select {
	case <-p.token:
	case <-done:
	}
}

func (l *lot) enter(p *parker) {
	s := &l.shards[p.shard]
	s.mu.Lock()
	if p.wave != 0 {
		s.mu.Unlock() // else it would stand there for ever, and be called in vain
		panic("broadcast: two goroutines read from one reader or subscription at once: give each one of its own")
	}
	p.wave, p.place = s.waves+1, int32(len(s.parked))
	s.parked = append(s.parked, p)
	if bit := uint32(1) << p.shard; l.mask.Load()&bit == 0 {
		l.mask.Or(bit)
	}
	s.mu.Unlock()
}

// leave takes p out of its shard if it stands there. If p has been called, it hands
// that on. It tells whether p was called in a wave of very many.
func (l *lot) leave(p *parker) (crowd bool) {
	s := &l.shards[p.shard]
	var next *parker
	s.mu.Lock()
	called := s.called == p
	crowd = called && s.size >= lotCrowd
	switch {
	case called:
		next = s.next()
	case p.wave > s.waves:
		s.parked = without(s.parked, p)
		if len(s.parked) == 0 {
			l.mask.And(^(uint32(1) << p.shard))
		}
	case p.wave != 0:
		s.wave = without(s.wave, p)
	}
	p.wave = 0
	s.mu.Unlock()
	if next != nil {
		next.call()
	}
	if called {
		l.start()
	}
	return crowd
}

// without returns array without p.
func without(array []*parker, p *parker) []*parker {
	last := array[len(array)-1]
	array[p.place], last.place = last, p.place
	return shrunk(array)
}

// next takes out of the wave, or the one after it, who is to be called now. It returns
// nil if both are over. The mutex must be held.
func (s *lotShard) next() *parker {
	if len(s.wave) == 0 && s.again {
		free := s.wave
		if cap(free) > 64 && max(s.size, len(s.parked)) < cap(free)/4 {
			free = nil // it has become far too large
		}
		s.size = len(s.parked)
		s.wave, s.parked, s.again = s.parked, free, false
		s.waves++
	}
	s.called = nil
	if last := len(s.wave) - 1; last >= 0 {
		s.called, s.wave[last] = s.wave[last], nil
		s.wave = s.wave[:last]
		if last >= 3 {
			// In a large wave none of them is in a cache. Loads that do not depend on each
			// other take the time of one, and what is called next is then there already
			// (BenchmarkPairLast with 10,000: 1.5 times channels, and 1.9 without).
			s.ahead += uint(s.wave[last-3].shard) + uint(cap(s.wave[last-2].token))
		}
	}
	return s.called
}

// wake wakes all who are parked. It is called after what makes them ready has been
// stored. It never blocks, and costs one load if nobody is parked; it calls one of them
// at most, who calls the others.
func (l *lot) wake() {
	if l.mask.Load() != 0 {
		l.owed.Or(l.mask.Swap(0))
		l.start()
	}
}

// start starts the wave of one shard that is owed one, if there is any.
func (l *lot) start() {
	for {
		owed := l.owed.Load()
		if owed == 0 {
			return
		}
		bit := owed & -owed
		if l.owed.And(^bit)&bit == 0 {
			continue // somebody else has it
		}
		s := &l.shards[bits.TrailingZeros32(bit)]
		var first *parker
		s.mu.Lock()
		s.again = true
		if s.called == nil {
			first = s.next()
		}
		s.mu.Unlock()
		if first != nil {
			first.call()
			return
		}
	}
}

// wakeOne wakes p alone, and takes it out.
func (l *lot) wakeOne(p *parker) {
	l.leave(p)
	p.call()
}
