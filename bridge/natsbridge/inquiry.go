package natsbridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/nats-io/nats.go"
)

// inquiry asks the server what it permits, for all Runs of a Core together.
//
// A server that refuses a subscription, or withdraws it, says so with an error that only
// the handler of the application is given, and that is the connection's last one until
// there is another. So where the last error is a new one it may hide another: then every
// subject is subscribed to once more, for a moment, and all with one PING. Who asks does
// so for all who wait, and a Run that is live does not wait.
type inquiry struct {
	nc    *nats.Conn
	looks *time.Ticker // any one Run is to look whether there is a new error; without Runs it costs nothing

	alone chan struct{} // a token while somebody asks; whoever has it may use the next two
	seen  error         // the last one when all Runs were asked about
	same  int           // looks since that found the same one

	mu      sync.Mutex
	waiting []question // guarded by mu
}

// question is whether a subject is permitted.
type question struct {
	subject string
	// tell is called once, and waits for nothing: nil, a bridge.Permanent error, or
	// errAskAgain.
	tell func(error)
}

var errAskAgain = errors.New("natsbridge: who asked has ended")

const (
	// lookEvery is how often the last error is looked at, since nobody is told of it.
	lookEvery = 5 * time.Second
	// sameFor is at how many looks one error that is the same each time, such as
	// nats.ErrSlowConsumer, is taken for a new one: it may have been away.
	sameFor = 12
	// maxProbes bounds how often the server is asked in one go, for an application
	// that makes errors all the time.
	maxProbes = 10
)

func newInquiry(nc *nats.Conn) *inquiry {
	return &inquiry{nc: nc, looks: time.NewTicker(lookEvery), alone: make(chan struct{}, 1)}
}

// ask returns when it is known whether subject is permitted, with an error if it is not.
func (q *inquiry) ask(ctx context.Context, subject string) error {
	answer := make(chan error, 1)
	for {
		q.mu.Lock()
		q.waiting = append(q.waiting, question{subject, func(err error) { answer <- err }})
		q.mu.Unlock()
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err = <-answer:
		case q.alone <- struct{}{}:
			q.settle(ctx, q.take())
			<-q.alone
			err = <-answer // by now, or before
		}
		if err != errAskAgain { //nolint:errorlint // that very one
			return err
		}
	}
}

func (q *inquiry) take() []question {
	q.mu.Lock()
	defer q.mu.Unlock()
	open := q.waiting
	q.waiting = nil
	return open
}

// news tells whether last, the last error of the connection, may hide another one that
// nobody has seen. The caller has the token.
//
// One of too many subscriptions is none: where the server has withdrawn one there is
// room, and at the limit each question is one more such error for the application.
func (q *inquiry) news(last error) bool {
	switch {
	case last == nil: // none since the connection was made
		q.seen = nil
		return false
	case errors.Is(last, nats.ErrMaxSubscriptionsExceeded):
		return false
	case q.seen == nil || !errors.Is(last, q.seen):
		return true
	case errors.Is(last, nats.ErrPermissionViolation): // each is a value of its own
		return false
	}
	q.same++
	return q.same >= sameFor
}

// settle has all open questions answered, and tells whether that is certain. The caller
// has the token.
func (q *inquiry) settle(ctx context.Context, open []question) bool {
	for tries := 0; len(open) > 0; {
		old := q.nc.LastError()
		if err := q.probe(ctx, open); err != nil {
			tellAll(open, ctx.Err())
			return false
		}
		last := q.nc.LastError()
		full := errors.Is(last, nats.ErrMaxSubscriptionsExceeded)
		switch {
		case full && len(open) > 1: // that of the last one hides those of the others
			certain := true
			for i := range open {
				certain = q.settle(ctx, open[i:i+1]) && certain
			}
			return certain
		case full, last == nil, old != nil && errors.Is(last, old):
			tellAll(open, nil)
			return true
		}
		n := len(open)
		open = slices.DeleteFunc(open, func(o question) bool { return o.refusedWith(last) })
		if len(open) < n {
			continue // others may be behind it
		}
		if tries++; tries == maxProbes {
			tellAll(open, nil)
			return false
		}
	}
	return true
}

// refusedWith tells who asks that err is the answer, if it is.
func (o question) refusedWith(err error) bool {
	if !refuses(err, o.subject) {
		return false
	}
	o.tell(errRefused(o.subject, err))
	return true
}

// tellAll answers that nothing is known against the subjects. If who asked has ended the
// others are to ask themselves.
func tellAll(open []question, ended error) {
	var err error
	if ended != nil {
		err = errAskAgain
	}
	for _, o := range open {
		o.tell(err)
	}
}

// probe subscribes to all subjects, each for a moment, and returns when the server has
// answered to that. An error is no answer: the connection is down, or about to be, and
// who needs it has it confirmed again.
func (q *inquiry) probe(ctx context.Context, open []question) error {
	for _, o := range open {
		s, err := subscribe(q.nc, o.subject, func(*nats.Msg) {})
		if err != nil {
			return err
		}
		s.end()
	}
	return flush(ctx, q.nc)
}

// room tells whether a connection that was over its limit of subscriptions has room for
// one more. The error of the server is the same each time, so while it is the last one it
// tells nothing; a message to an inbox that is the one more does. The caller has the
// token. Where nothing can be asked it is true: then the subscription itself fails.
func (q *inquiry) room(ctx context.Context) bool {
	came := make(chan *nats.Msg, 1)
	inbox := q.nc.NewInbox()
	s, err := q.nc.ChanSubscribe(inbox, came)
	if err != nil {
		return true
	}
	defer func() { _ = s.Unsubscribe() }() // an error: it is gone
	if q.nc.Publish(inbox, nil) != nil || flush(ctx, q.nc) != nil {
		return true
	}
	return len(came) > 0 || !errors.Is(q.nc.LastError(), nats.ErrMaxSubscriptionsExceeded)
}

// refuses tells whether err says that subject may not be subscribed to. What is said of a
// queue group is not said of others.
func refuses(err error, subject string) bool {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return false
	}
	_, behind, found := strings.Cut(err.Error(), fmt.Sprintf("Subscription to %q", subject))
	return found && !strings.HasPrefix(behind, " using queue")
}

func errRefused(subject string, err error) error {
	return bridge.Permanent(fmt.Errorf("natsbridge: subject %q: the user of the connection may not subscribe to it: %w", subject, err))
}

func errFull(subject string) error {
	return fmt.Errorf("natsbridge: subject %q: the server takes no more subscriptions of the connection: %w", subject, nats.ErrMaxSubscriptionsExceeded)
}
