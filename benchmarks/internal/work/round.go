package work

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// round publishes events and waits until all subscribers have them.
type round struct {
	took     time.Duration
	outcome  Outcome
	detail   string
	oneOrder bool
}

// run has so many publishers publish events in all, shared out evenly.
func (c *crew) run(publishers int, events uint64, patience time.Duration, every uint64) round {
	each := max(1, events/uint64(publishers))
	c.expect(each*uint64(publishers), every)
	var publishing sync.WaitGroup
	errs := make(chan error, publishers)
	began := time.Now()
	for p := range publishers {
		publishing.Go(func() {
			for seq := range each {
				if err := c.bus.Publish(newEvent(seq+1, uint64(p))); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	complete := c.wait(patience)
	if !complete {
		// The publishers may never return: only what is seen may be looked at.
		r := round{took: time.Since(began)}
		r.outcome, r.detail = c.shortfall(errs, &publishing, patience)
		return r
	}
	publishing.Wait()
	r := round{took: c.finished.Sub(began)}
	r.outcome, r.detail, r.oneOrder = c.verify(publishers, each)
	return r
}

// shortfall says why not everyone has everything.
func (c *crew) shortfall(errs <-chan error, publishing *sync.WaitGroup, patience time.Duration) (Outcome, string) {
	returned := make(chan struct{})
	go func() {
		publishing.Wait()
		close(returned)
	}()
	want := c.subs[0].want
	select {
	case err := <-errs:
		return Failed, fmt.Sprintf("Publish: %v", err)
	case <-returned:
		return Lost, fmt.Sprintf("a subscriber has %d of %d events, and nothing more comes", c.least(), want)
	case <-time.After(patience / 10):
		return Stalled, fmt.Sprintf("Publish is blocked, a subscriber has %d of %d events", c.least(), want)
	}
}

// verify holds what everyone got against what was published. All have as many events as
// they should have by now.
func (c *crew) verify(publishers int, each uint64) (outcome Outcome, detail string, oneOrder bool) {
	var sum uint64
	for p := range publishers {
		for seq := range each {
			sum += c.weight(seq+1, uint64(p))
		}
	}
	oneOrder = true
	for i, s := range c.subs {
		who := fmt.Sprintf("subscriber %d of %d", i+1, len(c.subs))
		switch {
		case s.seen.Load() > s.want:
			return Duplicated, fmt.Sprintf("%s has %d of %d events", who, s.seen.Load(), s.want), false
		case s.corrupted > 0:
			return Corrupted, fmt.Sprintf("%s: %d events do not match their check", who, s.corrupted), false
		case s.sum != sum:
			return Lost, fmt.Sprintf("%s has others than were published, and as many", who), false
		case s.reordered > 0:
			return Reordered, fmt.Sprintf("%s: %d of %d out of their publisher's order", who, s.reordered, s.want), false
		}
		oneOrder = oneOrder && s.digest == c.subs[0].digest
	}
	return OK, "", oneOrder
}

// steady runs three rounds and returns the one that took neither longest nor shortest, or
// the first in which something was wrong.
func (c *crew) steady(events uint64, patience time.Duration) round {
	var rounds []round
	for range 3 {
		r := c.run(1, events, patience, coarse)
		if r.outcome != OK {
			return r
		}
		rounds = append(rounds, r)
	}
	slices.SortFunc(rounds, func(a, b round) int { return cmp.Compare(a.took, b.took) })
	return rounds[1]
}

// most is how many deliveries a round has at most: those of an unbounded peer stay in
// memory.
func most(bounds bool) uint64 {
	if bounds {
		return 50_000_000
	}
	return 4_000_000
}

// calibrate runs rounds until one takes a quarter of the time that a round is to take,
// and returns how many events take all of it: more where these would not fill the buffers
// a few times, but then not for longer than 8 rounds.
func (c *crew) calibrate(publishers int, j Job, bounds bool) (uint64, round) {
	n := uint64(max(1, len(c.subs)))
	limit := max(8, most(bounds)/n)
	events := min(limit, max(8, 4096/n))
	for {
		r := c.run(publishers, events, j.Pace.Patience, coarse)
		if r.outcome != OK {
			return 0, r
		}
		rate := float64(events) / float64(max(r.took, 1))
		want := max(8, uint64(rate*float64(j.Pace.Round)))
		if r.took >= j.Pace.Round/4 || events >= limit {
			fill := min(uint64(4*j.Buffer), uint64(rate*float64(8*j.Pace.Round)))
			return min(limit, max(want, fill)), r
		}
		events = min(limit, max(2*events, min(want, 16*events)))
	}
}
