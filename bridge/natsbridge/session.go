package natsbridge

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/nats-io/nats.go"
)

// event is a call of the sink.
type event struct {
	err  error       // the end of the Run
	gap  *bridge.Gap // not nil: a gap
	live bool

	msg    *nats.Msg
	origin string
	seq    uint64
	time   time.Time
	again  bool
}

// queue is what has come and is not delivered. What it holds is bounded by what is
// asked for.
type queue struct {
	wake chan struct{} // one token: there is something

	mu       sync.Mutex
	events   []event // guarded by mu
	messages int     // among them and among those that were taken; guarded by mu
}

func (q *queue) put(e event) {
	q.mu.Lock()
	last := len(q.events) - 1
	if !e.live || last < 0 || !q.events[last].live { // one Live does for two
		q.events = append(q.events, e)
	}
	if e.msg != nil {
		q.messages++
	}
	q.mu.Unlock()
	give(q.wake)
}

// take returns all events, and keeps spare for those that follow.
func (q *queue) take(spare []event) []event {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.events
	q.events = spare[:0]
	return all
}

// done is told of each message that was delivered. It returns how many are left.
func (q *queue) done() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages--
	return q.messages
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.messages
}

// give puts a token into ch unless there is one.
func give(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// session is one consumer and the messages that it is asked for, which come to an inbox
// of the session's own. It belongs to the goroutine of the intake.
type session struct {
	consumer    string
	batch       int           // how many may be on the way or queued
	bytes       int           // for one request
	expires     time.Duration // of a request
	heartbeat   time.Duration
	outstanding int // asked for, and not come
	came        int // since the last request
	delivered   uint64

	sub  *nats.Subscription
	msgs chan *nats.Msg
}

// maxBytes is how much a request asks for at most. Together with what is queued, two of
// these are in memory.
const maxBytes = 8 << 20

// limits are how much is asked for at a time, before what a consumer allows.
func (s *session) limits(c *streamConfig) {
	s.batch, s.bytes, s.expires, s.heartbeat = c.batch, maxBytes, 6*c.heartbeat, c.heartbeat
}

// begin subscribes to a new inbox, which ends with the name of the consumer, and asks for the first messages. What the consumer
// sends to an earlier inbox is none of this session's.
func (s *session) begin(f *intake) (err error) {
	s.msgs = make(chan *nats.Msg, 4*s.batch+256) // what is asked for, and what the server says besides
	s.outstanding, s.came = 0, 0
	if s.sub, err = f.nc.ChanSubscribe(f.nc.NewInbox()+"."+s.consumer, s.msgs); err != nil {
		return fmt.Errorf("natsbridge: %w", err)
	}
	if err := s.ask(f); err != nil {
		_ = s.sub.Unsubscribe()
		return err
	}
	return nil
}

func (s *session) waiting() int { return len(s.msgs) }

// ask asks for messages if half of the batch is gone.
func (s *session) ask(f *intake) error {
	n := s.batch - s.outstanding - f.queue.len()
	if n < (s.batch+1)/2 {
		return nil
	}
	request := fmt.Appendf(nil, `{"expires":%d,"batch":%d,"max_bytes":%d,"idle_heartbeat":%d}`, s.expires, n, s.bytes, s.heartbeat)
	if err := f.nc.PublishRequest(f.pullSubject(s.consumer), s.sub.Subject, request); err != nil {
		return fmt.Errorf("natsbridge: asking for messages: %w", err)
	}
	s.outstanding, s.came = s.outstanding+n, 0
	return nil
}

// over takes what is left of a request off what is outstanding.
func (s *session) over(m *nats.Msg) {
	left, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
	if err != nil {
		left = s.outstanding
	}
	s.outstanding = max(0, s.outstanding-left)
}

// The doubts that end a session.
var (
	errSilence     = errors.New("natsbridge: the server says nothing, and no heartbeat has come")
	errReconnected = errors.New("natsbridge: the connection was lost")
	errSequence    = errors.New("natsbridge: a message of the consumer has not come")
)

// listen takes what comes, until something is wrong.
func (f *intake) listen(ctx context.Context) error {
	s := &f.session
	silence := time.NewTimer(time.Hour)
	defer silence.Stop()
	beat := time.NewTicker(s.heartbeat)
	defer beat.Stop()
	var pulse <-chan time.Time
	if d := f.mode.pulse(); d > 0 {
		t := time.NewTicker(d)
		defer t.Stop()
		pulse = t.C
	}
	for {
		if len(s.msgs) == 0 {
			silence.Reset(s.heartbeat * 5 / 2)
		}
		var err error
		select {
		case m := <-s.msgs:
			err = f.handle(ctx, m)
		case <-f.room:
		case <-f.status:
			if !f.nc.IsConnected() || f.nc.Stats().Reconnects != f.reconnects {
				return errReconnected
			}
		case <-pulse:
			f.mode.stillAlive()
		case <-beat.C:
			f.look(ctx)
			f.mode.beat(ctx)
		case <-silence.C:
			if len(s.msgs) == 0 && s.outstanding > 0 {
				return errSilence
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err == nil {
			err = s.ask(f)
		}
		if err != nil {
			return err
		}
	}
}

// look finds out how far behind the Run is while the server is not asked for messages,
// since then it does not say so.
func (f *intake) look(ctx context.Context) {
	if f.session.outstanding > 0 {
		return
	}
	short, cancel := context.WithTimeout(ctx, f.session.heartbeat)
	defer cancel()
	if c, err := f.js.Consumer(short, f.name, f.session.consumer); err == nil {
		f.pending.Store(c.CachedInfo().NumPending)
	}
}

// handle takes a message, or what the server says instead of one.
func (f *intake) handle(ctx context.Context, m *nats.Msg) error {
	f.checked = max(0, f.checked-1)
	if m.Reply == "" {
		return f.heed(ctx, m)
	}
	s := &f.session
	meta, err := m.Metadata()
	if err != nil {
		return errNotJetStream
	}
	s.outstanding, s.came = max(0, s.outstanding-1), s.came+1
	wanted, again, err := f.mode.accept(ctx, m, meta)
	if err != nil {
		return err
	}
	s.delivered = meta.Sequence.Consumer
	f.pending.Store(meta.NumPending)
	f.known.Store(true)
	f.report()
	if wanted {
		f.queue.put(event{msg: m, origin: f.origin, seq: meta.Sequence.Stream, time: meta.Timestamp, again: again})
	}
	return nil
}

// heed does what the server says.
func (f *intake) heed(ctx context.Context, m *nats.Msg) error {
	s := &f.session
	status, text := m.Header.Get("Status"), m.Header.Get("Description")
	switch {
	case status == "100":
		return f.heartbeat(ctx, m)
	case status == "404", status == "408", status == "409" && strings.Contains(text, "Batch Completed"):
		s.over(m)
		return nil
	case status == "409" && strings.Contains(text, "Exceeds MaxBytes"):
		if s.came == 0 { // not even one
			s.bytes = min(2*s.bytes, 1<<30)
		}
		s.over(m)
		return nil
	case status == "503":
		return fmt.Errorf("natsbridge: consumer %q: %w", s.consumer, nats.ErrNoResponders)
	}
	return fmt.Errorf("natsbridge: consumer %q: the server says %s %s", s.consumer, status, text)
}

// heartbeat says how far the server has looked through the stream. If all that it has
// delivered has come, nothing up to there is left.
func (f *intake) heartbeat(ctx context.Context, m *nats.Msg) error {
	delivered, err := strconv.ParseUint(m.Header.Get("Nats-Last-Consumer"), 10, 64)
	seq, err2 := strconv.ParseUint(m.Header.Get("Nats-Last-Stream"), 10, 64)
	if err != nil || err2 != nil || delivered != f.session.delivered || seq <= f.mark {
		return nil
	}
	if f.mode.held() == 0 { // else it may wait for acknowledgements
		f.pending.Store(0)
	}
	err = f.search(ctx, seq+1)
	f.report()
	return err
}

// leave ends the session.
func (f *intake) leave() {
	f.mode.settle()
	_ = f.session.sub.Unsubscribe()
	for len(f.session.msgs) > 0 {
		if m := <-f.session.msgs; m.Reply != "" {
			f.mode.late(m)
		}
	}
}
