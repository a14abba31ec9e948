package natsbridge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/nats-io/nats.go"
)

// How long a Run waits for an answer, before it was live and after, and between two
// sessions.
const (
	patience    = 10 * time.Second
	impatience  = 2 * time.Second
	shortPause  = 20 * time.Millisecond
	longPause   = 2 * time.Second
	closingTime = 100 * time.Millisecond
)

// receive has one session after the other until ctx ends or it is of no use.
func (f *intake) receive(ctx context.Context) {
	f.status = f.nc.StatusChanged()
	defer f.nc.RemoveStatusListener(f.status)
	defer f.mode.close()
	for pause := shortPause; ; {
		if !f.everLive && !f.connected(ctx) {
			return
		}
		live, err := f.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if !f.everLive && !f.nc.IsClosed() && (f.replaced() || !f.nc.IsConnected()) {
			continue // as often as there is another connection
		}
		if f.nc.IsClosed() {
			err = bridge.Permanent(fmt.Errorf("natsbridge: %w", nats.ErrConnectionClosed))
		}
		if !f.everLive || bridge.IsPermanent(err) {
			f.queue.put(event{err: f.unanswered(err)})
			return
		}
		if pause = min(2*pause, longPause); live {
			pause = shortPause
		}
		if !f.pause(ctx, pause) {
			return
		}
	}
}

// connected waits until there is a connection, or will never be one. From then on the
// server has some time to answer.
func (f *intake) connected(ctx context.Context) bool {
	if !f.nc.IsConnected() && !f.nc.IsClosed() && !f.pause(ctx, longPause) {
		return false
	}
	f.until = time.Now().Add(patience)
	return true
}

var errUnanswered = errors.New("natsbridge: the server has not answered")

// unanswered is err, or says of one whose cause is the time that a Run waits whose time
// that was: not the caller's.
func (f *intake) unanswered(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w in %v: %v", errUnanswered, patience, err) //nolint:errorlint // it is another deadline
	}
	return err
}

// pause waits for about d, and then until there is a connection.
func (f *intake) pause(ctx context.Context, d time.Duration) bool {
	look := time.NewTimer(d/2 + rand.N(d/2))
	defer look.Stop()
	for {
		select {
		case <-f.status:
		case <-look.C:
			look.Reset(longPause) // the connection may have more to say than fits into status
		case <-ctx.Done():
			return false
		}
		if f.nc.IsConnected() || f.nc.IsClosed() {
			return true
		}
	}
}

// bounded bounds how long a request takes. It ends early if the connection is another
// one: an answer comes on the one that the request was sent on, or never.
func (f *intake) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	until := f.until
	if f.everLive {
		until = time.Now().Add(impatience)
	}
	short, cancel := context.WithDeadline(ctx, until)
	changes := f.nc.StatusChanged()
	var watching sync.WaitGroup
	watching.Go(func() {
		for more := true; more; _, more = <-changes {
			if f.replaced() {
				cancel()
			}
		}
	})
	return short, func() {
		f.nc.RemoveStatusListener(changes) // closes it
		watching.Wait()
		cancel()
	}
}

// replaced tells whether the connection is another one than when the session began.
func (f *intake) replaced() bool { return f.nc.Stats().Reconnects != f.reconnects }

// serve is one session: from a consumer that is there to the first doubt.
func (f *intake) serve(ctx context.Context) (live bool, err error) {
	for len(f.status) > 0 {
		<-f.status
	}
	f.reconnects = f.nc.Stats().Reconnects
	if err := f.open(ctx); err != nil {
		return false, err
	}
	if err := f.session.begin(f); err != nil {
		return false, err
	}
	defer f.leave()
	answer, err := f.greet(ctx)
	if err != nil {
		return false, err
	}
	if answer != nil && answer.Reply == "" {
		if err := f.heed(ctx, answer); err != nil {
			return false, err
		}
	}
	f.everLive, f.checked = true, 0
	f.queue.put(event{live: true})
	f.report()
	if answer != nil && answer.Reply != "" {
		if err := f.handle(ctx, answer); err != nil {
			return true, err
		}
	}
	return true, f.listen(ctx)
}

// open looks at the stream and opens the consumer.
func (f *intake) open(ctx context.Context) error {
	short, cancel := f.bounded(ctx)
	defer cancel()
	info, err := f.info(short)
	if err != nil {
		return err
	}
	if err := f.recognise(info); err != nil {
		return err
	}
	return f.mode.open(short, info)
}

// greet asks for one message, and returns the answer, which comes at once if there is
// none: so it is known that the consumer is there, and that it may be asked. It returns
// nil if there is no room for a message. A request that does not wait would not be
// answered while too many messages are not acknowledged.
func (f *intake) greet(ctx context.Context) (*nats.Msg, error) {
	s := &f.session
	if f.queue.len() >= s.batch {
		return nil, nil
	}
	short, cancel := f.bounded(ctx)
	defer cancel()
	before, subject := f.nc.LastError(), f.consumerSubject("MSG.NEXT", s.consumer)
	request := fmt.Appendf(nil, `{"batch":1,"expires":%d}`, min(time.Millisecond, s.expires))
	if err := f.nc.PublishRequest(subject, s.sub.Subject, request); err != nil {
		return nil, fmt.Errorf("natsbridge: asking for messages: %w", err)
	}
	s.outstanding = 1
	look := time.NewTicker(impatience / 10)
	defer look.Stop()
	for {
		select {
		case m := <-s.msgs:
			return m, nil
		case <-look.C: // the server tells of it only so
			last := f.nc.LastError()
			if last != before && errors.Is(last, nats.ErrPermissionViolation) && strings.Contains(last.Error(), fmt.Sprintf("Publish to %q", subject)) { //nolint:errorlint // the same one
				return nil, bridge.Permanent(fmt.Errorf("natsbridge: stream %q: the user of the connection may not ask for messages: %w", f.name, last))
			}
		case <-short.Done():
			if f.everLive && ctx.Err() == nil && !f.replaced() && !f.silent(ctx) {
				continue // select takes it sooner or later
			}
			return nil, fmt.Errorf("natsbridge: stream %q: asking consumer %q for messages: %w", f.name, s.consumer, short.Err())
		}
	}
}
