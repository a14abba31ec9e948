package natsbridge

import (
	"context"
	"errors"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/nats-io/nats.go"
)

// look follows the connection: when it is down it tells so, and when it is up again it
// has the subscription confirmed.
func (r *coreRun) look() error {
	for {
		if r.changed() {
			r.owed = true
		}
		switch {
		case !r.owed:
			return nil
		case r.closed:
			return errClosed(r.nc, r.subject)
		case !r.up:
			return r.down()
		}
		switch err := flush(r.ctx, r.nc); {
		case err == nil:
			if err := r.confirmed(); err != nil {
				return err
			}
		case r.ctx.Err() != nil:
			return context.Cause(r.ctx)
		case !errors.Is(err, context.DeadlineExceeded):
			r.up = false // its status comes, if it has not come yet
		}
	}
}

// between is called between two messages of different connections. If all that there was
// to see of that has been told before the first one, it is told here again.
func (r *coreRun) between() error {
	if err := r.look(); err != nil || r.apart {
		return err
	}
	return r.sink.Gap(r.ctx, bridge.Gap{Reason: bridge.Disconnected, Err: errAgain})
}

// changed notes how the connection is now, and tells whether it has changed.
func (r *coreRun) changed() bool {
	n := len(r.changes)
	for range n {
		r.note(<-r.changes)
	}
	if n == cap(r.changes) { // some of them were not kept
		r.note(r.nc.Status())
	}
	return n > 0
}

// noteFirst is changed, for who has taken a status already.
func (r *coreRun) noteFirst(s nats.Status) {
	full := len(r.changes) >= cap(r.changes)-1
	r.note(s)
	r.changed()
	if full {
		r.note(r.nc.Status())
	}
	r.owed = true
}

func (r *coreRun) note(s nats.Status) { r.up, r.closed = s == nats.CONNECTED, s == nats.CLOSED }

// down tells, once for each outage, that from here on messages are missing.
func (r *coreRun) down() error {
	if !r.live || r.told {
		return nil
	}
	r.told, r.apart = true, true
	return r.sink.Gap(r.ctx, bridge.Gap{Reason: bridge.Disconnected, Err: errDown})
}

var (
	errDown  = errors.New("natsbridge: the connection is down")
	errAgain = errors.New("natsbridge: the connection was down and is up again")
)

// flushFor is how long one question to the server is waited for. Another one follows,
// so it decides about nothing: the client wants to have some bound.
const flushFor = time.Minute

// flush returns when the server has answered, and so has read all that was sent to it
// before: the subscription, or all of them behind a reconnect.
func flush(ctx context.Context, nc *nats.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	return nc.FlushWithContext(ctx)
}

// confirmed is called when the server has answered behind the subscription.
func (r *coreRun) confirmed() error {
	if err := r.taken(); err != nil {
		return err
	}
	again := r.live
	r.before, r.room = nil, false
	r.owed, r.told, r.live, r.apart = false, false, true, true
	if !again {
		r.queue.clear() // the timeline begins here
	} else {
		if err := r.sink.Gap(r.ctx, bridge.Gap{Reason: bridge.Disconnected, Err: errAgain}); err != nil {
			return err
		}
	}
	r.sink.Live()
	return nil
}

// taken returns an error if the server has refused the subscription.
func (r *coreRun) taken() error {
	last := r.nc.LastError()
	full := errors.Is(last, nats.ErrMaxSubscriptionsExceeded)
	switch {
	case full && !(r.room && r.nc.Stats().Reconnects == r.reconnects):
		return errFull(r.subject) // it need not be ours: then the next Run has room
	case last == nil, !full && r.before != nil && errors.Is(last, r.before):
		return nil
	case refuses(last, r.subject):
		return errRefused(r.subject, last)
	}
	return r.core.inquiry.ask(r.ctx, r.subject) // it may hide another one
}

// join subscribes. If the connection was over its limit of subscriptions it makes sure
// that there is room first.
func (r *coreRun) join() (*subscription, error) {
	r.before = r.nc.LastError()
	if errors.Is(r.before, nats.ErrMaxSubscriptionsExceeded) {
		select {
		case r.core.inquiry.alone <- struct{}{}:
			defer func() { <-r.core.inquiry.alone }() // till then nobody takes the room
		case <-r.ctx.Done():
			return nil, context.Cause(r.ctx)
		}
		r.reconnects = r.nc.Stats().Reconnects
		if !r.core.inquiry.room(r.ctx) {
			return nil, errFull(r.subject)
		}
		r.before = r.nc.LastError()
		r.room = errors.Is(r.before, nats.ErrMaxSubscriptionsExceeded) // else a new one is told
	}
	return subscribe(r.nc, r.subject, r.receive)
}

// inquire looks for a new error of the connection, and has all Runs asked about if there
// is one. It does not wait for that.
func (r *coreRun) inquire(ctx context.Context) {
	q := r.core.inquiry
	select {
	case q.alone <- struct{}{}:
	default:
		return // somebody asks: what is new is new at the next look, too
	}
	last := q.nc.LastError() // before it is known who is there
	if !q.news(last) {
		<-q.alone
		return
	}
	r.asking.Go(func() {
		defer func() { <-q.alone }()
		if q.settle(ctx, append(q.take(), r.core.questions()...)) {
			q.seen, q.same = last, 0
		}
	})
}
