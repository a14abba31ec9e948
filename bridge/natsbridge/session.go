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
	outstanding int  // asked for, and not come
	came        int  // since the last request
	large       bool // the next message is larger than a request may ask for
	delivered   uint64

	sub     *nats.Subscription
	msgs    chan *nats.Msg
	silence *time.Timer // since the server was asked, or has said something
}

// maxBytes is how much a request asks for at most, or one message if that is larger.
const maxBytes = 8 << 20

// limits are how much is asked for at a time, before what a consumer allows.
func (s *session) limits(c *streamConfig) {
	s.batch, s.bytes, s.expires, s.heartbeat = c.batch, maxBytes, 6*c.heartbeat, c.heartbeat
}

// begin subscribes to a new inbox, which ends with the name of the consumer. What the
// consumer sends to an earlier inbox is none of this session's.
func (s *session) begin(f *intake) (err error) {
	s.msgs = make(chan *nats.Msg, 4*s.batch+256) // what is asked for, and what the server says besides
	s.outstanding, s.came, s.large = 0, 0, false
	if s.sub, err = f.nc.ChanSubscribe(f.nc.NewInbox()+"."+s.consumer, s.msgs); err != nil {
		return fmt.Errorf("natsbridge: %w", err)
	}
	s.silence = time.NewTimer(s.patience())
	return nil
}

// patience is how long the server may be silent while it is asked for messages.
func (s *session) patience() time.Duration { return s.heartbeat * 5 / 2 }

func (s *session) waiting() int { return len(s.msgs) }

// ask asks for messages if half of the batch is gone.
func (s *session) ask(f *intake) error {
	n, bytes := s.batch-s.outstanding-f.queue.len(), s.bytes
	if n < (s.batch+1)/2 {
		return nil
	}
	if s.large {
		n, bytes, s.large = 1, 0, false
	}
	request := fmt.Appendf(nil, `{"expires":%d,"batch":%d,"max_bytes":%d,"idle_heartbeat":%d}`, s.expires, n, bytes, s.heartbeat)
	if err := f.nc.PublishRequest(f.consumerSubject("MSG.NEXT", s.consumer), s.sub.Subject, request); err != nil {
		return fmt.Errorf("natsbridge: asking for messages: %w", err)
	}
	s.outstanding, s.came = s.outstanding+n, 0
	s.silence.Reset(s.patience())
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
	if err := s.ask(f); err != nil {
		return err
	}
	beat := time.NewTicker(s.heartbeat)
	defer beat.Stop()
	var pulse <-chan time.Time
	if d := f.mode.pulse(); d > 0 {
		t := time.NewTicker(d)
		defer t.Stop()
		pulse = t.C
	}
	for {
		var err error
		select {
		case m := <-s.msgs:
			err = f.handle(ctx, m)
			s.silence.Reset(s.patience())
		case <-f.room:
		case <-f.status:
			if !f.nc.IsConnected() || f.replaced() {
				return errReconnected
			}
		case <-pulse:
			f.mode.stillAlive()
		case <-beat.C:
			f.look(ctx)
			f.mode.beat(ctx)
		case <-s.silence.C: // else it begins again with the next message or request
			if s.outstanding > 0 && f.silent(ctx) {
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

// silent tells whether nothing is on the way here, not even a large message that takes its
// time: what the server has sent comes before its answer to a PING.
func (f *intake) silent(ctx context.Context) bool {
	if len(f.session.msgs) == 0 {
		short, cancel := context.WithTimeout(ctx, max(impatience, f.session.patience()))
		defer cancel()
		_ = f.nc.FlushWithContext(short) // without an answer there is a doubt, too
	}
	return len(f.session.msgs) == 0
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
			s.large = true
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
	if err != nil || err2 != nil {
		return nil
	}
	if delivered != f.session.delivered {
		return f.mode.elsewhere()
	}
	if seq <= f.mark {
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
	f.session.silence.Stop()
	f.mode.settle()
	_ = f.session.sub.Unsubscribe()
	for len(f.session.msgs) > 0 {
		if m := <-f.session.msgs; m.Reply != "" {
			f.mode.late(m)
		}
	}
}
