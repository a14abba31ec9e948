package peer

import (
	"sync"
	"sync/atomic"
)

// handList is a linked list whose newest item has a channel that is closed when the next
// one is there: what Consul's event publisher does. Subscribers are not known to the
// publisher at all. Nothing bounds how far one may be behind, and the items that it has
// not taken stay in memory.
var handList = Peer{
	Name:  "list",
	Title: "linked list, close and replace (as in Consul)",
	How:   "an item holds the event, the next item, and a channel closed once that is there; unbounded",
	Ahead: "a publish appends one item and closes one channel, by which the runtime readies all who wait in one go; it " +
		"never waits for anyone, and whoever is behind holds all items since in memory",
	New: func(Config) Bus {
		return &list{tail: &item{ready: make(chan struct{})}, closed: make(chan struct{})}
	},
}

type item struct {
	event Event
	next  atomic.Pointer[item]
	ready chan struct{} // closed once next is there
}

type list struct {
	mu     sync.Mutex
	tail   *item
	closed chan struct{}
	once   sync.Once
}

func (l *list) Subscribe(take func(Event)) func() {
	l.mu.Lock()
	at := l.tail
	l.mu.Unlock()
	canceled := make(chan struct{})
	go func() {
		for {
			select {
			case <-at.ready:
			case <-canceled:
				return
			case <-l.closed:
				return
			}
			at = at.next.Load()
			take(at.event)
		}
	}()
	return sync.OnceFunc(func() { close(canceled) })
}

func (l *list) Publish(e Event) error {
	select {
	case <-l.closed:
		return errClosed
	default:
	}
	next := &item{event: e, ready: make(chan struct{})}
	l.mu.Lock()
	last := l.tail
	l.tail = next
	last.next.Store(next)
	close(last.ready)
	l.mu.Unlock()
	return nil
}

func (l *list) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}
