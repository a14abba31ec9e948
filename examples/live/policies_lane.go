package main

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/gobroadcast/broadcast"
)

// lane is the place of one subscriber of the demonstration. All that the kinds
// of subscribers do not have in common stands here and in the feed that a lane
// opens. The subscriber itself changes when it was ejected and comes back.
type lane struct {
	name     string
	about    string        // what it is for
	open     func() feed   // subscribes anew
	ledger   *ledger       // of the hub that it subscribes to
	patience time.Duration // how long the publisher waits for it; see forever
	keys     int           // of which it gets the latest; 0: it wants every event
	skips    string        // what has become of events that it did not get
	speed    *knob[int]    // events per second that it takes; see stuck
	ejects   atomic.Uint64
	current  *member // guarded by policies.mu
}

const (
	// blockForWait is how long the publisher waits for the subscriber with BlockFor.
	blockForWait = 50 * time.Millisecond
	forever      = time.Duration(math.MaxInt64)
)

func (p *policies) newLanes() []*lane {
	channel := func(name string, policy broadcast.Policy, patience time.Duration, about string) *lane {
		return &lane{name: name, about: about, patience: patience, skips: "lost", ledger: p.ledger, open: func() feed {
			return &channelFeed{Subscription: p.hub.Subscribe(broadcast.WithName(name), broadcast.WithPolicy(policy))}
		}}
	}
	reader := func(name string, policy broadcast.Policy, about string) *lane {
		return &lane{name: name, about: about, skips: "missed", ledger: p.ledger, open: func() feed {
			return readerFeed{p.hub.NewReader(broadcast.WithName(name), broadcast.WithPolicy(policy))}
		}}
	}
	coalescing := func(name, about string) *lane {
		return &lane{name: name, about: about, keys: len(keys), skips: "replaced", ledger: p.valuesLedger, open: func() feed {
			return coalescingFeed{p.values.Subscribe(broadcast.WithName(name)), map[string]uint64{}}
		}}
	}
	lanes := []*lane{
		channel("Block", broadcast.Block, forever,
			"For what must not be lost: the publisher waits for it."),
		channel("DropNewest", broadcast.DropNewest, 0,
			"For a backlog worth keeping: it loses what finds it full."),
		channel("DropOldest", broadcast.DropOldest, 0,
			"For what is soon stale: it loses its oldest, keeps the newest."),
		channel("Eject", broadcast.Eject, 0,
			"For those who can start anew: who is full is out."),
		channel("BlockFor", broadcast.BlockFor(blockForWait, broadcast.DropOldest), blockForWait,
			"For hiccups: the publisher waits 50 ms, then it loses its oldest."),
		reader("Reader", broadcast.DropOldest,
			"For crowds on one ring: each is told what it missed, and where."),
		coalescing("Coalescing",
			"For prices and states: it gets the latest value of each key."),
	}
	for _, l := range lanes {
		l.speed = newKnob(maxSpeed)
	}
	return lanes
}

// member is one subscriber of a lane and the goroutine that takes from its feed.
type member struct {
	*consumer
	feed   feed
	trail  trail
	cancel context.CancelFunc // lets run drain fast and end
	done   chan struct{}      // closed when run has returned
	age    atomic.Int64       // nanoseconds from the Publish of the latest received to its receive
}

// run receives at the speed that is asked for until the feed has ended and is
// drained. When ctx ends it drains without a pause.
func (m *member) run(ctx context.Context, speed *knob[int]) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var due time.Time // of the next receive
	for ctx.Err() == nil {
		v, current := speed.get()
		if v == stuck {
			select {
			case <-current.Done():
			case <-ctx.Done():
			}
			continue
		}
		// Not ctx: who ends that has ended, or ends, the feed too.
		r, err := m.feed.next(current)
		switch {
		case err == nil:
			m.take(r)
			due = pace(due, v)
			rest(ctx, timer, due, current)
		case current.Err() == nil:
			return
		}
	}
	m.drain()
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
func rest(ctx context.Context, timer *time.Timer, due time.Time, current context.Context) {
	wait := time.Until(due)
	if wait <= 0 {
		return
	}
	timer.Reset(wait)
	select {
	case <-timer.C:
	case <-current.Done():
	case <-ctx.Done():
	}
}

func (m *member) take(r receipt) {
	m.age.Store(int64(time.Since(r.at)))
	m.trail.add(r)
	m.received.Add(1)
}

// drain takes what is left; whoever has canceled ctx has closed, or closes, the
// subscription.
func (m *member) drain() {
	for {
		r, err := m.feed.next(context.Background())
		if err != nil {
			return
		}
		m.take(r)
	}
}
