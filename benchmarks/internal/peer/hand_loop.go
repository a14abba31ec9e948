package peer

import (
	"errors"
	"slices"
	"sync"
)

// handLoop is what one writes by hand: a channel for each subscriber, in a slice behind
// a lock, and a loop that sends to all.
var handLoop = Peer{
	Name:  Baseline,
	Title: "hand-written channel loop",
	How:   "a slice of channels behind a sync.RWMutex, and a loop that sends to each",
	Ahead: "it has no number, no count, no context, and nobody can join or leave while it sends; those are the nanoseconds " +
		"that a publish to few costs more here",
	Bounds: true,
	Quick:  true,
	New:    func(c Config) Bus { return &loop{buffer: c.Buffer} },
}

var errClosed = errors.New("closed")

type loop struct {
	buffer int

	mu     sync.RWMutex
	subs   []chan Event
	closed bool
}

func (l *loop) Subscribe(take func(Event)) func() {
	ch := make(chan Event, l.buffer)
	l.mu.Lock()
	l.subs = append(l.subs, ch)
	l.mu.Unlock()
	each(ch, take)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if i := slices.Index(l.subs, ch); i >= 0 {
			l.subs = slices.Delete(l.subs, i, i+1)
			close(ch)
		}
	}
}

func (l *loop) Publish(e Event) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return errClosed
	}
	for _, ch := range l.subs {
		ch <- e
	}
	return nil
}

func (l *loop) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, ch := range l.subs {
		close(ch)
	}
	l.subs = nil
	return nil
}
