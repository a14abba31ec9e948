package natsbridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
		switch err := r.flush(); {
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
func (r *coreRun) flush() error {
	ctx, cancel := context.WithTimeout(r.ctx, flushFor)
	defer cancel()
	return r.nc.FlushWithContext(ctx)
}

// confirmed is called when the server has answered behind the subscription.
func (r *coreRun) confirmed() error {
	if err := r.denied(true); err != nil {
		return err
	}
	again := r.live
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

// denied tells whether the server has refused the subscription. It says so with an
// error that only the handler of the application is given, and which is the
// connection's last one until there is another. Where another one may have hidden it,
// the server is asked again, by one Run at a time.
func (r *coreRun) denied(confirming bool) error {
	clear, err := r.verdict(confirming)
	if clear {
		return err
	}
	select {
	case r.core.alone <- struct{}{}:
		defer func() { <-r.core.alone }()
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
	for range maxProbes {
		if err := r.probe(); err != nil {
			return err
		}
		if clear, err := r.verdict(confirming); clear {
			return err
		}
	}
	return nil
}

// maxProbes bounds how often the server is asked again in one go, for an application
// that makes such errors all the time.
const maxProbes = 10

// verdict tells what the last error of the connection says about the subscription,
// and whether that is clear.
func (r *coreRun) verdict(confirming bool) (clear bool, err error) {
	last, old := r.nc.LastError(), r.lastErr
	r.lastErr = last
	switch {
	case confirming && errors.Is(last, nats.ErrMaxSubscriptionsExceeded):
		return true, fmt.Errorf("natsbridge: subject %q: the last error of the connection is: %w", r.subject, last)
	case !errors.Is(last, nats.ErrPermissionViolation) || last == old: //nolint:errorlint // the same one
		return true, nil
	case strings.Contains(last.Error(), fmt.Sprintf("Subscription to %q", r.subject)):
		return true, bridge.Permanent(fmt.Errorf("natsbridge: subject %q: the user of the connection may not subscribe to it: %w", r.subject, last))
	}
	return !confirming && !strings.Contains(last.Error(), "Subscription to"), nil
}

// probe subscribes a second time, for as long as the server needs to answer.
func (r *coreRun) probe() error {
	s, err := subscribe(r.nc, r.subject, func(*nats.Msg) {})
	if err != nil {
		return err
	}
	defer s.end()
	if err := r.flush(); r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	} else if err != nil {
		return nil // the connection is down, or about to be: then it is confirmed again
	}
	return nil
}
