package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/gobroadcast/broadcast"
)

// lane is the place of one subscriber with its policy. The subscriber itself
// changes when it was ejected and comes back.
type lane struct {
	name    string
	policy  broadcast.Policy
	speed   *knob[int] // events per second that it takes; see stuck
	ejects  atomic.Uint64
	current *member // guarded by policies.mu
}

// blockForWait is how long the publisher waits for the subscriber with BlockFor.
const blockForWait = 50 * time.Millisecond

func newLanes() []*lane {
	place := func(name string, p broadcast.Policy) *lane {
		return &lane{name: name, policy: p, speed: newKnob(maxSpeed)}
	}
	return []*lane{
		place("Block", broadcast.Block),
		place("DropNewest", broadcast.DropNewest),
		place("DropOldest", broadcast.DropOldest),
		place("Eject", broadcast.Eject),
		place("BlockFor", broadcast.BlockFor(blockForWait, broadcast.DropOldest)),
	}
}

// member is one subscription of a lane and the goroutine that receives from it.
type member struct {
	*consumer[time.Time]
	cancel context.CancelFunc // lets run drain fast and end
	done   chan struct{}      // closed when run has returned
	age    atomic.Int64       // nanoseconds from the Publish of the latest received to its receive
}

// run receives at the speed that is asked for until the subscription has ended
// and is drained. When ctx ends it drains without a pause.
func (m *member) run(ctx context.Context, speed *knob[int]) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var due time.Time // of the next receive
	for {
		v, changed := speed.get()
		events := m.sub.C()
		if v == stuck {
			events = nil
		}
		select {
		case at, ok := <-events:
			if !ok {
				return
			}
			m.take(at)
			due = pace(due, v)
			rest(ctx, timer, due, changed)
		case <-changed:
		case <-ctx.Done():
			m.drain()
			return
		}
	}
}

// pace returns when the next receive is due after one of v per second. Being a
// little late is made up for, so that the timer's precision does not matter.
func pace(due time.Time, v int) time.Time {
	const debt = 10 * time.Millisecond
	if least := time.Now().Add(-debt); due.Before(least) {
		due = least
	}
	return due.Add(time.Second / time.Duration(v))
}

// rest waits until due, at most until the speed has changed or ctx ends.
func rest(ctx context.Context, timer *time.Timer, due time.Time, changed <-chan struct{}) {
	wait := time.Until(due)
	if wait <= 0 {
		return
	}
	timer.Reset(wait)
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
}

func (m *member) take(at time.Time) {
	m.age.Store(int64(time.Since(at)))
	m.received.Add(1)
}

// drain takes what is left; whoever has canceled ctx has closed, or closes, the
// subscription.
func (m *member) drain() {
	for at := range m.sub.C() {
		m.take(at)
	}
}
