package natsbridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/nats-io/nats.go"
)

// Durable is a bridge.Source and a bridge.Acker over a stream of JetStream, for
// bridge.WithAck: for each pattern the server keeps a durable consumer, and gives a
// message again until it is acknowledged. Make one with NewDurable. Its methods may be
// called by any number of goroutines at once.
//
// The durable of a pattern has a name that is made of the one given to NewDurable and
// of the pattern. It begins with what is published after it was made, outlives the
// process, and is never deleted here. Two processes with the same name would share its
// messages between them: give each a name of its own.
//
// A durable that is there already is taken as it is, if it fits: a pull consumer with
// this pattern as its only filter, with explicit acknowledgements, that delivers until it
// is acknowledged, with room for the messages of WithMaxAckPending, without a BackOff, and
// that the server never forgets. Otherwise the topic ends with an error that says what
// does not fit. It is never changed. One that is paused is live, and goes on after that.
//
// What comes again in the same Run is not delivered again while subscribers have it, or
// if it was acknowledged. After a Run what was not acknowledged is given back, so that
// the next one has it at once. If the durable is deleted during a Run, another one is
// made that begins with the oldest message that was not acknowledged.
//
// What the stream has forgotten before it was delivered is a gap, as with Stream. Two
// things the server does not tell, if they are while no process is there: a purge, and
// that it has forgotten what was delivered and not acknowledged. A Run
// costs two goroutines and, for each message that is not acknowledged, some 200 bytes
// beside the message. Of the last 128 Runs that have ended it keeps the numbers that were
// acknowledged, and no messages.
type Durable struct {
	*stream
	consumer string

	last sync.Mutex
	own  map[string]*durable // the last Run, by pattern; guarded by last
	over []string            // patterns whose last Run has ended, oldest first; guarded by last
}

// NewDurable makes a source over the stream of that name, on a connection that stays
// the application's. name stands for the process, and is the same after a restart. It
// returns an error if it is empty or an option is wrong. It does not ask the server:
// whether there is such a stream a Run finds out. A Run waits as one of NewStream does.
func NewDurable(nc *nats.Conn, stream, name string, opts ...Option) (*Durable, error) {
	if name == "" {
		return nil, errors.New("natsbridge: NewDurable without a name: it is what tells processes apart, and finds what is not acknowledged after a restart")
	}
	base, err := newStream(forDurable, nc, stream, opts)
	if err != nil {
		return nil, err
	}
	return &Durable{stream: base, consumer: name, own: map[string]*durable{}}, nil
}

// Capabilities implements bridge.Source.
func (*Durable) Capabilities() bridge.Capabilities {
	return bridge.Capabilities{Wildcards: true, Pausable: true, Acks: true}
}

// Name returns the name of the durable consumer of pattern.
func (d *Durable) Name(pattern string) string { return durableName(d.consumer, pattern) }

// Run implements bridge.Source.
func (d *Durable) Run(ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
	if err := checkSubject(pattern); err != nil {
		return err
	}
	if from != "" {
		return bridge.Permanent(fmt.Errorf("natsbridge: stream %q: position %q: a durable begins behind what was acknowledged", d.name, from))
	}
	f := &intake{stream: d.stream, pattern: pattern}
	r := newDurable(d, f)
	f.mode = r
	d.enter(r)
	defer d.leave(r)
	return f.run(ctx, sink)
}

// remembered is how many Runs that have ended are remembered, for acknowledgements that
// come late and for durables that were deleted since.
const remembered = 128

func (d *Durable) enter(r *durable) {
	d.last.Lock()
	defer d.last.Unlock()
	r.before = d.own[r.f.pattern] // it has ended: there is one Run of a pattern at a time
	d.own[r.f.pattern] = r
}

func (d *Durable) leave(r *durable) {
	d.last.Lock()
	defer d.last.Unlock()
	d.over = append(d.over, r.f.pattern)
	if len(d.over) <= remembered {
		return
	}
	if old := d.own[d.over[0]]; old != nil && old.hasEnded() {
		delete(d.own, d.over[0])
	}
	d.over = d.over[1:]
}

// Ack implements bridge.Acker. It waits until the server has answered, for at most 2 s.
// An error means that some may not be acknowledged, and that the call may be repeated.
func (d *Durable) Ack(ctx context.Context, pattern string, n uint64) error {
	d.last.Lock()
	r := d.own[pattern]
	d.last.Unlock()
	if r == nil {
		return fmt.Errorf("natsbridge: stream %q: acknowledgement for %q, which was not delivered", d.name, pattern)
	}
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-r.turn }()
	return r.ack(ctx, n)
}

// durable is a Run of a Durable.
type durable struct {
	d    *Durable
	f    *intake
	turn chan struct{} // held by who acknowledges

	// These belong to the goroutine of the intake.
	answers bool     // the server has, when the session ended
	before  *durable // the Run before, until this one is open
	opened  bool
	wait    time.Duration // of the consumer for acknowledgements

	mu    sync.Mutex
	ended bool             // guarded by mu
	hand  map[uint64]*hold // what is not acknowledged, by number; guarded by mu
	order []*hold          // in the order of delivery, without the first acked; guarded by mu
	acked uint64           // messages of this Run; guarded by mu
	done  numbers          // acknowledged, the latest of them; guarded by mu
	seen  uint64           // the highest number that anybody was given; guarded by mu
	from  uint64           // the oldest that the Run before had not acknowledged, until the consumer is open; guarded by mu
	floor uint64           // up to here all was acknowledged when the consumer was opened; guarded by mu
	other int              // behind it and up to otherTo somebody was given as many, which have not come yet; guarded by mu
	upTo  uint64           // guarded by mu
}

// hold is a message that is not acknowledged.
type hold struct {
	seq   uint64
	reply string // where to acknowledge it; "": nowhere, it is another one's number now
}

func newDurable(d *Durable, f *intake) *durable {
	return &durable{d: d, f: f, turn: make(chan struct{}, 1), hand: map[uint64]*hold{}}
}

// follow has r know what the Run before it knew, if the stream is the same.
func (r *durable) follow() {
	before := r.before
	r.before = nil
	if r.opened || before == nil || !before.opened || !before.f.born.Equal(r.f.born) {
		return
	}
	before.mu.Lock()
	defer before.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened, r.f.mark = true, before.f.mark
	r.seen, r.done = before.seen, before.done
	r.from = before.startLocked()
}

func (r *durable) hasEnded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

// startLocked is the oldest message that is not acknowledged, or the one behind all.
func (r *durable) startLocked() uint64 {
	switch {
	case r.from > 0:
		return r.from
	case r.other > 0:
		return r.floor + 1
	}
	start := r.seen + 1
	for seq := range r.hand {
		start = min(start, seq)
	}
	return start
}

// numbers are the last ones that were added, at least half of most.
type numbers struct{ young, old map[uint64]struct{} }

const mostNumbers = 16 << 10

func (n *numbers) add(seq uint64) {
	if n.young == nil || len(n.young) >= mostNumbers/2 {
		n.young, n.old = map[uint64]struct{}{}, n.young
	}
	n.young[seq] = struct{}{}
}

func (n *numbers) has(seq uint64) bool {
	_, young := n.young[seq]
	_, old := n.old[seq]
	return young || old
}
