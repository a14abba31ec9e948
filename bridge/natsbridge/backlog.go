package natsbridge

import (
	"sync"

	"github.com/nats-io/nats.go"
)

// backlog is what has come from the client and is not delivered yet. It is bounded, and
// knows between which messages those stood that found it full: the client's own queue
// only knows how many they were.
type backlog struct {
	maxMessages, maxBytes int           // negative: no bound
	ready                 chan struct{} // a token when there may be something to take

	mu         sync.Mutex // guards all below
	head, tail *chunk
	spare      *chunk // an empty one
	messages   int    // with those that are being delivered
	bytes      int
	lost       int  // behind the last one
	another    bool // what comes next is of another connection
	dropping   bool
	warnings   uint64 // how often it began to drop
}

// parcel is a message, and what stands before it.
type parcel struct {
	msg     *nats.Msg
	lost    int
	another bool // it may be the first of another connection
}

// chunk is what is taken at a time.
type chunk struct {
	parcels [32]parcel
	n       int
	bytes   int
	next    *chunk
}

func newBacklog(maxMessages, maxBytes int) *backlog {
	return &backlog{maxMessages: maxMessages, maxBytes: maxBytes, ready: make(chan struct{}, 1)}
}

// push puts m behind the others, or counts it as lost. Before m the client has dropped
// some itself, and another tells that the connection has changed.
func (q *backlog) push(m *nats.Msg, dropped int, another bool) {
	if q.put(m, dropped, another) {
		select {
		case q.ready <- struct{}{}:
		default:
		}
	}
}

// put is push without waking who takes. It tells whether that is to be done.
func (q *backlog) put(m *nats.Msg, dropped int, another bool) (wake bool) {
	size := m.Size()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.another = q.another || another
	q.lost += dropped
	if dropped > 0 {
		q.warn()
	}
	if q.maxMessages >= 0 && q.messages >= q.maxMessages || q.maxBytes >= 0 && q.bytes+size > q.maxBytes {
		q.lost++
		q.warn()
		return true
	}
	q.dropping = false
	wake = q.head == nil
	c := q.room()
	c.parcels[c.n] = parcel{m, q.lost, q.another}
	c.n++
	c.bytes += size
	q.messages++
	q.bytes += size
	q.lost, q.another = 0, false
	return wake
}

func (q *backlog) warn() {
	if !q.dropping {
		q.dropping = true
		q.warnings++
	}
}

// room is a chunk at the end that is not full.
func (q *backlog) room() *chunk {
	if q.tail != nil && q.tail.n < len(q.tail.parcels) {
		return q.tail
	}
	c := q.spare
	q.spare = nil
	if c == nil {
		c = &chunk{}
	}
	if q.tail == nil {
		q.head = c
	} else {
		q.tail.next = c
	}
	q.tail = c
	return c
}

// take takes the first messages, and gives back done, the ones that it has taken
// before and that count until now. If there are none it returns nil, and how many were
// lost behind the last one.
func (q *backlog) take(done *chunk) (c *chunk, lost int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if done != nil {
		q.messages -= done.n
		q.bytes -= done.bytes
		clear(done.parcels[:done.n])
		done.n, done.bytes = 0, 0
		q.spare = done
	}
	c = q.head
	if c == nil {
		lost, q.lost = q.lost, 0
		return nil, lost
	}
	if q.head = c.next; q.head == nil {
		q.tail = nil
	}
	c.next = nil
	return c, 0
}

// clear forgets all that is queued and lost.
func (q *backlog) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.head, q.tail = nil, nil
	q.messages, q.bytes, q.lost = 0, 0, 0
	q.another = false
}

func (q *backlog) stats() (messages int, warnings uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.messages, q.warnings
}
