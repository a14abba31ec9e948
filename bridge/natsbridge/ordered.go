package natsbridge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Stream is a bridge.Source over a stream of JetStream, for broadcast: every process
// that has a Run of a pattern receives every message of the stream that matches it, in
// order and once, through faults of the network and of the server. Make one with
// NewStream. Its methods may be called by any number of goroutines at once.
//
// A pattern is a subject, wildcards included. A position holds the name of the stream,
// when it was made, and the number of the message in it. One of another stream, also of
// one that had the same name before, ends the topic with an error, and so does a stream
// that is not there or does not take the pattern.
//
// What the stream has forgotten before it was delivered is a gap, Truncated, with the
// positions that it reaches from and to. Where the pattern matches all subjects that the
// stream takes, its Count is how many numbers these are, those of messages that were
// deleted before among them; elsewhere it is 0, since nobody knows how many of these
// numbers were of the pattern, if any, and the gap says that some may be missing. What
// was deleted between messages that are still there (DeleteMsg, a purge of one subject,
// MaxMsgsPerSubject) is no gap: the stream is meant to be without.
//
// Where the pattern matches only part of the stream, the server is asked for the oldest
// message of the stream when numbers are skipped, once for all messages that have come
// by then, and at a heartbeat if the stream has grown. If the stream forgets all that it
// has between two of these, there is a gap each time, also if nothing was of the pattern:
// that cannot be told apart. A stream that keeps its messages for clearly longer than
// WithHeartbeat has no such gaps while subscribers keep up.
//
// A Run costs the server one consumer, which is gone with it, or 10 seconds after the
// process if that had no time. In the process it costs two goroutines and, beside what
// the bridge keeps, the messages that WithBatch allows.
type Stream struct {
	*stream

	left sync.Mutex
	// consumers that may still be there, by pattern; guarded by left
	behind map[string]string
}

// NewStream makes a source over the stream of that name, on a connection that stays the
// application's. It returns an error if an option is wrong. It does not ask the server:
// whether there is such a stream a Run finds out. A Run waits for a connection as long as
// its context lives, and ends if a server that is connected does not answer within 10 s.
func NewStream(nc *nats.Conn, stream string, opts ...Option) (*Stream, error) {
	base, err := newStream(forStream, nc, stream, opts)
	if err != nil {
		return nil, err
	}
	return &Stream{stream: base, behind: map[string]string{}}, nil
}

// Capabilities implements bridge.Source. ExactGaps is not among them: see Stream.
func (*Stream) Capabilities() bridge.Capabilities {
	return bridge.Capabilities{Wildcards: true, Replay: true, Pausable: true}
}

// Run implements bridge.Source.
func (s *Stream) Run(ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
	if err := checkSubject(pattern); err != nil {
		return err
	}
	f := &intake{stream: s.stream, pattern: pattern}
	o := &ordered{s: s, f: f, fresh: true}
	f.mode = o
	if from != "" {
		p, err := parsePosition(from)
		if err == nil && p.stream != s.name {
			err = fmt.Errorf("it is one of stream %q", p.stream)
		}
		if err != nil {
			return bridge.Permanent(fmt.Errorf("natsbridge: stream %q: position %q: %w", s.name, from, err))
		}
		o.fresh, f.mark, f.born = false, p.seq, time.Unix(0, p.born)
		f.origin = origin(s.name, f.born)
	}
	o.name = s.recall(pattern)
	return f.run(ctx, sink)
}

// remember and recall keep the consumer of a Run whose end the server has not confirmed
// for the next Run of the pattern, which deletes it first.
func (s *Stream) remember(pattern, consumer string) {
	s.left.Lock()
	defer s.left.Unlock()
	if len(s.behind) < 1000 { // the server forgets those that nobody asks
		s.behind[pattern] = consumer
	}
}

func (s *Stream) recall(pattern string) string {
	s.left.Lock()
	defer s.left.Unlock()
	consumer := s.behind[pattern]
	delete(s.behind, pattern)
	return consumer
}

// ordered is a Run of a Stream: a consumer without acknowledgements, in memory, that is
// made anew behind the last message whenever there is a doubt.
type ordered struct {
	s     *Stream
	f     *intake
	fresh bool   // it begins where the stream ends
	name  string // of the consumer that may be there
	doubt bool   // the server has not said whether it has made it, and may be about to
}

// inactive is after what time the server forgets a consumer that nobody asks: that of
// a process that has died, or of a Run that waits for its subscribers, which makes
// another one.
const inactive = 10 * time.Second

func (o *ordered) open(ctx context.Context, info *jetstream.StreamInfo) error {
	f := o.f
	if err := o.delete(ctx); err != nil {
		return err
	}
	if o.fresh {
		o.fresh, f.mark = false, info.State.LastSeq
	}
	f.missing(info)
	o.name = "broadcast-" + rand.Text()
	patient, end := outlive(ctx)
	defer end()
	made, err := f.js.CreateConsumer(patient, f.name, jetstream.ConsumerConfig{
		Name: o.name, Description: "one process, for its subscribers", FilterSubject: f.pattern,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: f.mark + 1,
		AckPolicy: jetstream.AckNonePolicy, MaxDeliver: 1,
		InactiveThreshold: inactive, MemoryStorage: true, Replicas: 1,
	})
	var api jetstream.JetStreamError
	o.doubt = err != nil && !errors.As(err, &api)
	if err != nil {
		return f.judge("a consumer of stream", err)
	}
	f.pending.Store(made.CachedInfo().NumPending)
	f.known.Store(true)
	f.session.limits(&f.streamConfig)
	f.session.consumer, f.session.delivered = o.name, 0
	return nil
}

// outlive is ctx for a while longer: the server may do what it is asked for last before
// what it was asked for first, and a consumer would be deleted before it is made. ctx
// has a deadline: without one the client would take its own.
func outlive(ctx context.Context) (context.Context, func()) {
	until, _ := ctx.Deadline()
	longer, cancel := context.WithDeadline(context.WithoutCancel(ctx), until.Add(closingTime))
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		defer cancel()
		select {
		case <-longer.Done():
		case <-time.After(closingTime):
		}
	})
	return longer, func() {
		cancel()
		if !stop() {
			<-done
		}
	}
}

func (o *ordered) delete(ctx context.Context) error {
	if o.name == "" {
		return nil
	}
	err := o.f.js.DeleteConsumer(ctx, o.f.name, o.name)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return o.f.judge("the last consumer of stream", err)
	}
	o.doubt = o.doubt && err != nil // one that is not there may be made yet
	o.name = ""
	return nil
}

// accept sees by the consumer's own count whether a message is missing.
func (o *ordered) accept(ctx context.Context, _ *nats.Msg, meta *nats.MsgMetadata) (wanted, again bool, err error) {
	if meta.Sequence.Consumer != o.f.session.delivered+1 {
		return false, false, errSequence
	}
	return true, false, o.f.pass(ctx, meta.Sequence.Stream)
}

func (*ordered) elsewhere() error     { return errSequence }
func (*ordered) delivering(uint64)    {}
func (*ordered) held() int            { return 0 }
func (*ordered) pulse() time.Duration { return 0 }
func (*ordered) stillAlive()          {}
func (*ordered) settle()              {}
func (*ordered) late(*nats.Msg)       {} // the next consumer begins with it
func (*ordered) beat(context.Context) {}

// close deletes the consumer. If that is not sure the server is asked once more and no
// answer awaited: on a busy machine the time may be over before it is asked at all.
func (o *ordered) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closingTime)
	defer cancel()
	name := o.name
	if err := o.delete(ctx); name != "" && (err != nil || o.doubt) {
		o.s.remember(o.f.pattern, name)
		_ = o.f.nc.Publish(o.f.consumerSubject("DELETE", name), nil) // else the server forgets it by itself
	}
}
