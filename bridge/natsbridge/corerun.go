package natsbridge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/nats-io/nats.go"
)

// coreRun is one Run of a Core. The goroutine that nats.go has for the subscription
// puts messages into a queue, and that of Run delivers them.
type coreRun struct {
	core    *Core
	nc      *nats.Conn
	subject string
	sink    bridge.Sink
	ctx     context.Context
	queue   *backlog
	sub     atomic.Pointer[nats.Subscription]

	// Both are told of every change of the connection, by nats.go, before it reads
	// the first message of a new one: so no message overtakes it. The one is Run's,
	// the other one marks the message in the queue.
	changes, marks chan nats.Status

	dropped int // by the client; belongs to receive

	refused chan error     // the server does not permit the subject any more; room for one
	asking  sync.WaitGroup // what inquire has started

	// The rest belongs to Run.
	up     bool  // the connection is, as far as is known
	owed   bool  // the server is to confirm the subscription
	live   bool  // it has confirmed it once
	told   bool  // of this outage there was a gap already
	apart  bool  // the next message stands behind a gap for what is told of the connection
	closed bool  // the connection will not come back
	before error // the last one of the connection when the subscription was made
	room   bool  // the connection was over its limit then, and had room again
	msg    bridge.Message

	reconnects uint64 // of the connection when it had room
}

func newCoreRun(ctx context.Context, c *Core, subject string, sink bridge.Sink) *coreRun {
	return &coreRun{
		core: c, nc: c.nc, subject: subject, sink: sink, ctx: ctx, owed: true,
		refused: make(chan error, 1),
		queue:   newBacklog(c.cfg.maxMessages, c.cfg.maxBytes),
	}
}

var statuses = []nats.Status{nats.CONNECTED, nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED}

func (r *coreRun) run() error {
	r.changes, r.marks = r.nc.StatusChanged(statuses...), r.nc.StatusChanged(statuses...)
	defer r.nc.RemoveStatusListener(r.changes)
	defer r.nc.RemoveStatusListener(r.marks)
	r.up = r.nc.IsConnected()
	s, err := r.join()
	if err != nil {
		return err
	}
	defer s.end()
	r.sub.Store(s.Subscription)
	if err := r.look(); err != nil {
		return err
	}
	return r.follow(s.gone)
}

// receive is called by nats.go with one message after the other. It does next to
// nothing, so the client's own queue, of 500,000 messages and 64 MiB, stays empty.
func (r *coreRun) receive(m *nats.Msg) {
	another := false
	for len(r.marks) > 0 {
		<-r.marks
		another = true
	}
	fresh := 0
	if dropped, err := m.Sub.Dropped(); err == nil { // else the Run ends
		fresh, r.dropped = dropped-r.dropped, dropped
	}
	r.queue.push(m, fresh, another)
}

// follow is the life of the Run once it has begun.
func (r *coreRun) follow(gone <-chan struct{}) error {
	ctx, cancel := context.WithCancel(r.ctx)
	defer r.asking.Wait()
	defer cancel()
	var c *chunk
	ended := false
	for r.ctx.Err() == nil {
		lost := 0
		if r.live {
			if c, lost = r.queue.take(c); c != nil {
				if err := r.deliver(c); err != nil {
					return err
				}
				continue
			}
		}
		if err := r.idle(lost); err != nil {
			return err
		}
		if ended {
			return errClosed(r.nc, r.subject)
		}
		select {
		case <-r.ctx.Done():
		case <-r.queue.ready:
		case s := <-r.changes:
			r.noteFirst(s)
		case <-gone:
			gone, ended = nil, true // what is in the queue is delivered first
		case err := <-r.refused:
			return err
		case <-r.core.inquiry.looks.C:
			r.inquire(ctx)
		}
	}
	return context.Cause(r.ctx)
}

// refuse is the answer to a question about a Run that goes on.
func (r *coreRun) refuse(err error) {
	if !bridge.IsPermanent(err) {
		return
	}
	select {
	case r.refused <- err:
	default:
	}
}

// idle is called when all messages are delivered, and so many were lost behind them.
func (r *coreRun) idle(lost int) error {
	if err := r.gapLost(lost); err != nil {
		return err
	}
	return r.look()
}

func (r *coreRun) deliver(c *chunk) error {
	now := time.Now() // all of them have come by now
	for i := range c.n {
		p := &c.parcels[i]
		if p.another {
			if err := r.between(); err != nil {
				return err
			}
		}
		if err := r.gapLost(p.lost); err != nil {
			return err
		}
		r.msg = bridge.Message{
			Topic: p.msg.Subject, Data: p.msg.Data, Header: bridge.Header(p.msg.Header), Time: now,
		}
		r.apart = false
		if err := r.sink.Deliver(r.ctx, &r.msg); err != nil {
			return err
		}
	}
	return nil
}

// gapLost tells of n messages that were dropped.
func (r *coreRun) gapLost(n int) error {
	if n == 0 {
		return nil
	}
	return r.sink.Gap(r.ctx, bridge.Gap{Reason: bridge.SourceDropped, Count: uint64(n), Err: nats.ErrSlowConsumer})
}
