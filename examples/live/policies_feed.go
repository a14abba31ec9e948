package main

import (
	"context"
	"time"

	"github.com/gobroadcast/broadcast"
)

// tick is an event of the demonstration.
type tick struct {
	n  uint64    // 1, 2, 3, ... in the order in which they are published
	at time.Time // when its Publish began
}

// keys are those of the coalescing hub: the ticks take them in turn.
var keys = [...]string{"A", "B", "C", "D"}

func (t tick) key() string { return keys[(t.n-1)%uint64(len(keys))] }

// feed is the end of a hub from which a lane takes, of whatever kind.
type feed interface {
	subscriber
	// next waits for the next tick. It returns an error when ctx ends before, or when
	// the feed has ended and nothing is left in it.
	next(ctx context.Context) (receipt, error)
}

// receipt is a tick, and how many its consumer did not get just before it.
type receipt struct {
	tick
	key     string // only of a feed that has the latest of each
	skipped uint64
}

// channelFeed is a subscription with a channel. That says nothing of what was
// lost, so the numbers in the ticks have to.
type channelFeed struct {
	*broadcast.Subscription[tick]
	last uint64 // the tick before; 0: none yet
}

func (f *channelFeed) next(ctx context.Context) (receipt, error) {
	select {
	case t, ok := <-f.C():
		if !ok {
			return receipt{}, f.Err()
		}
		r := receipt{tick: t}
		if f.last > 0 {
			r.skipped = t.n - f.last - 1
		}
		f.last = t.n
		return r, nil
	case <-ctx.Done():
		return receipt{}, context.Cause(ctx)
	}
}

// readerFeed is a reader of the hub's ring. It is told what it has missed.
type readerFeed struct{ *broadcast.Reader[tick] }

func (f readerFeed) next(ctx context.Context) (receipt, error) {
	t, err := f.Next(ctx)
	return receipt{tick: t, skipped: f.Missed()}, err
}

// coalescingFeed is a subscription to the hub that keeps the latest tick of each
// key. How many of a key were replaced before one was shown, their numbers tell.
type coalescingFeed struct {
	*broadcast.CoalescingSubscription[string, tick]
	last map[string]uint64 // the tick before, by key
}

func (f coalescingFeed) next(ctx context.Context) (receipt, error) {
	u, err := f.Next(ctx)
	if err != nil {
		return receipt{}, err
	}
	r := receipt{tick: u.Value, key: u.Key}
	if last, ok := f.last[u.Key]; ok {
		r.skipped = (u.Value.n-last)/uint64(len(keys)) - 1
	}
	f.last[u.Key] = u.Value.n
	return r, nil
}
