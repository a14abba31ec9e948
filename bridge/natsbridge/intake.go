package natsbridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// mode is what the two sources over JetStream do differently in a Run.
type mode interface {
	// open finds or makes the consumer, and sets what of the intake says where it is.
	open(ctx context.Context, info *jetstream.StreamInfo) error
	// accept tells whether a message is to be delivered, and if it comes again. An
	// error means that the session is over.
	accept(ctx context.Context, m *nats.Msg, meta *nats.MsgMetadata) (wanted, again bool, err error)
	// delivering is told of each message before the sink is. All else is called by
	// the goroutine of the intake.
	delivering(seq uint64)
	// held is how many messages are accepted and not acknowledged.
	held() int
	// pulse is how often stillAlive is to be called; 0: never.
	pulse() time.Duration
	stillAlive()
	// settle waits, if that is of use, for what the server has sent.
	settle()
	// late is told of each message that has come and is not accepted, since the
	// session is over.
	late(m *nats.Msg)
	// elsewhere says what it means that the server has delivered what has not come.
	elsewhere() error
	// beat is called at each heartbeat's time.
	beat(ctx context.Context)
	// close gives back what the Run has at the server, without waiting for long.
	close()
}

// intake is one Run. A goroutine of its own receives into a queue, so that it is there
// for the server while Deliver waits for subscribers. It does not use Consume or
// Messages of the jetstream package: these leave goroutines behind that nobody can wait
// for, and an ordered consumer deletes its predecessor in one for up to 10 s.
type intake struct {
	*stream
	pattern string
	mode    mode

	queue   queue
	room    chan struct{} // one token: some of the queue was taken
	pending atomic.Uint64 // at the server behind the last message that came
	known   atomic.Bool   // pending is

	// These belong to the goroutine of the intake.
	status     chan nats.Status
	reconnects uint64    // when the session began
	until      time.Time // a Run that was never live is to be by then, on this connection
	everLive   bool
	session    session
	origin     string // of positions
	born       time.Time
	whole      bool   // pattern matches all that the stream takes
	mark       uint64 // up to here all is delivered, or not of the pattern
	first      uint64 // the oldest of the stream when it was asked last
	checked    int    // messages that had come by then
	gaps       []bridge.Gap
}

// run is bridge.Source.Run.
func (f *intake) run(ctx context.Context, sink bridge.Sink) error {
	f.queue.wake, f.room = make(chan struct{}, 1), make(chan struct{}, 1)
	f.begin(f)
	defer f.forget()
	defer f.end(f)
	inner, stop := context.WithCancel(ctx)
	var receiving sync.WaitGroup
	defer receiving.Wait()
	defer stop()
	receiving.Go(func() { f.receive(inner) })
	return f.deliver(ctx, sink)
}

// forget drops what only a Run that goes on needs: a Durable keeps those that have ended
// for a while.
func (f *intake) forget() {
	f.queue.take(nil)
	f.session, f.gaps = session{}, nil
}

// deliver hands the queue to the sink.
func (f *intake) deliver(ctx context.Context, sink bridge.Sink) error {
	var events []event
	for {
		if events = f.queue.take(events); len(events) == 0 {
			select {
			case <-f.queue.wake:
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		for i := range events {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := f.hand(ctx, sink, &events[i]); err != nil {
				return err
			}
			events[i] = event{}
		}
	}
}

func (f *intake) hand(ctx context.Context, sink bridge.Sink, ev *event) error {
	switch {
	case ev.err != nil:
		return ev.err
	case ev.live:
		sink.Live()
		return nil
	case ev.gap != nil:
		return sink.Gap(ctx, *ev.gap)
	}
	f.mode.delivering(ev.seq)
	err := sink.Deliver(ctx, &bridge.Message{
		Topic: ev.msg.Subject, Data: ev.msg.Data, Header: bridge.Header(ev.msg.Header),
		Position: at(ev.origin, ev.seq), Time: ev.time, Redelivered: ev.again,
	})
	if n := f.queue.done(); n == 0 || n == f.batch/2 {
		give(f.room)
	}
	return err
}

// lag is called by anyone.
func (f *intake) lag() (uint64, bool) {
	return f.pending.Load() + uint64(max(f.queue.len(), f.mode.held())), f.known.Load()
}

// recognise finds out whether this is the stream that it was.
func (f *intake) recognise(info *jetstream.StreamInfo) error {
	switch {
	case f.born.IsZero():
		f.born, f.origin = info.Created, origin(f.name, info.Created)
	case !f.born.Equal(info.Created):
		return bridge.Permanent(fmt.Errorf("natsbridge: stream %q was deleted and made anew at %v: it is not the one that was made at %v", f.name, info.Created, f.born))
	}
	c := info.Config
	f.whole = f.pattern == ">" || len(c.Subjects) > 0 && len(c.Sources) == 0 && c.SubjectTransform == nil
	taken := c.Mirror != nil || len(c.Sources) > 0 || c.SubjectTransform != nil
	for _, s := range c.Subjects {
		f.whole = f.whole && covers(f.pattern, s)
		taken = taken || meets(f.pattern, s)
	}
	if !taken {
		return bridge.Permanent(fmt.Errorf("natsbridge: stream %q takes %q, and %q is not among that", f.name, c.Subjects, f.pattern))
	}
	return nil
}

// missing notes what the stream no longer has behind mark.
func (f *intake) missing(info *jetstream.StreamInfo) {
	if last := info.State.LastSeq; last < f.mark {
		f.gaps = append(f.gaps, bridge.Gap{Reason: bridge.Truncated, Err: fmt.Errorf(
			"natsbridge: stream %q ends at %d, and has ended at %d before: it has lost its end", f.name, last, f.mark)})
		f.mark = last
	}
	f.first = info.State.FirstSeq
	f.truncated(f.first, f.whole)
}

// truncated notes that all between mark and next is gone, if there is anything. exact
// says that every number was one of the pattern.
func (f *intake) truncated(next uint64, exact bool) {
	if next <= f.mark+1 {
		return
	}
	g := bridge.Gap{Reason: bridge.Truncated, From: at(f.origin, f.mark+1), To: at(f.origin, next-1)}
	if exact {
		g.Count = next - 1 - f.mark
	}
	f.gaps = append(f.gaps, g)
	f.mark = next - 1
}

func (f *intake) report() {
	for i := range f.gaps {
		f.queue.put(event{gap: &f.gaps[i]})
	}
	f.gaps = nil
}

// search moves mark to the number before next, which is that of a message, or behind
// what the server has looked through. If numbers lie between, the stream is asked
// whether it still had them: if its oldest message is behind mark, some may be lost. One
// answer does for all messages that have come before it was asked for.
func (f *intake) search(ctx context.Context, next uint64) error {
	if next <= f.mark+1 {
		return nil
	}
	if f.checked == 0 {
		come := f.session.waiting()
		short, cancel := f.bounded(ctx)
		defer cancel()
		info, err := f.info(short)
		if err != nil {
			return err
		}
		if err := f.recognise(info); err != nil {
			return err
		}
		f.first, f.checked = info.State.FirstSeq, come+1
	}
	f.truncated(min(f.first, next), f.whole)
	f.mark = next - 1
	return nil
}

// pass is search, and takes message seq as delivered.
func (f *intake) pass(ctx context.Context, seq uint64) error {
	if err := f.search(ctx, seq); err != nil {
		return err
	}
	f.mark = max(f.mark, seq)
	return nil
}

var errNotJetStream = errors.New("natsbridge: a message that is not of a stream has come to the inbox of a Run")
