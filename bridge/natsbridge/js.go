package natsbridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// streamConfig is what options say of sources over JetStream.
type streamConfig struct {
	heartbeat  time.Duration
	batch      int
	domain     string
	ackWait    time.Duration
	ackPending int
	err        error // the first option that is wrong
}

func newStreamConfig() streamConfig {
	return streamConfig{heartbeat: 5 * time.Second, batch: 256, ackWait: 30 * time.Second}
}

func (c *streamConfig) check(ok bool, format string, args ...any) {
	if !ok && c.err == nil {
		c.err = fmt.Errorf("natsbridge: "+format, args...)
	}
}

func streamOption(name string, k kind, set func(c *streamConfig)) Option {
	return option{name, k, func(c *config) { set(&c.streams) }}
}

// WithHeartbeat is for NewStream and NewDurable: how often the server is to say that it is there while it has
// nothing to send: after two and a half of these in silence the source begins again
// where it is. Without it, 5 s. It is at least 50 ms and at most 1 min.
func WithHeartbeat(d time.Duration) Option {
	return streamOption("WithHeartbeat", forStream|forDurable, func(c *streamConfig) {
		c.check(d >= 50*time.Millisecond && d <= time.Minute, "WithHeartbeat(%v): want 50ms to 1m", d)
		c.heartbeat = d
	})
}

// WithBatch is for NewStream and NewDurable: how many messages a Run asks for and keeps beyond the one that it
// delivers. It asks for at most 8 MiB at a time, or for one message if that is larger, and
// again when half of the number has been delivered. Without it, 256. It is at least 1
// and at most 10,000.
func WithBatch(n int) Option {
	return streamOption("WithBatch", forStream|forDurable, func(c *streamConfig) {
		c.check(n >= 1 && n <= 10_000, "WithBatch(%d): want 1 to 10000", n)
		c.batch = n
	})
}

// WithDomain is for NewStream and NewDurable: the JetStream domain that the stream is in. Without it, the one of the
// server that the connection leads to.
func WithDomain(domain string) Option {
	return streamOption("WithDomain", forStream|forDurable, func(c *streamConfig) { c.domain = domain })
}

// WithAckWait is for NewDurable, and is of durables that it makes: after that time
// without a sign of life of a process the server gives its messages to another one. A
// process that lives gives such signs at half of it. Without it, 30 s. It is at least
// 100 ms.
func WithAckWait(d time.Duration) Option {
	return streamOption("WithAckWait", forDurable, func(c *streamConfig) {
		c.check(d >= 100*time.Millisecond, "WithAckWait(%v): want at least 100ms", d)
		c.ackWait = d
	})
}

// WithMaxAckPending is for NewDurable: how many messages may be delivered and not
// acknowledged. That is at least the ring of the bridge's hubs and the batch, or the
// topic stands still. Without it, 4096 and the batch.
func WithMaxAckPending(n int) Option {
	return streamOption("WithMaxAckPending", forDurable, func(c *streamConfig) {
		c.check(n >= 1, "WithMaxAckPending(%d): want at least 1", n)
		c.ackPending = n
	})
}

// stream is what both sources have in common: a stream, and the connection to it.
type stream struct {
	streamConfig
	nc   *nats.Conn
	js   jetstream.JetStream
	name string

	mu   sync.Mutex
	runs map[string]*intake // that are going on, by pattern; guarded by mu
}

func newStream(k kind, nc *nats.Conn, name string, opts []Option) (*stream, error) {
	c := newConfig(k, opts)
	if c.foreign != nil {
		return nil, c.foreign
	}
	s := &stream{streamConfig: c.streams, nc: nc, name: name, runs: map[string]*intake{}}
	s.check(nc != nil, "no connection")
	s.check(name != "", "no name of a stream")
	if s.err != nil {
		return nil, s.err
	}
	if s.ackPending == 0 {
		s.ackPending = 4096 + s.batch
	}
	var err error
	if s.domain != "" {
		s.js, err = jetstream.NewWithDomain(nc, s.domain)
	} else {
		s.js, err = jetstream.New(nc)
	}
	if err != nil {
		return nil, fmt.Errorf("natsbridge: %w", err)
	}
	return s, nil
}

// consumerSubject is where the server is asked to do something with a consumer.
func (s *stream) consumerSubject(what, consumer string) string {
	prefix := "$JS.API."
	if s.domain != "" {
		prefix = "$JS." + s.domain + ".API."
	}
	return prefix + "CONSUMER." + what + "." + s.name + "." + consumer
}

// info asks what the stream is like.
func (s *stream) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	found, err := s.js.Stream(ctx, s.name)
	if err != nil {
		return nil, s.judge("stream", err)
	}
	return found.CachedInfo(), nil
}

// judge adds to an error of the server what was asked for, and that it is of no use to
// ask again where that is so.
func (s *stream) judge(what string, err error) error {
	wrapped := fmt.Errorf("natsbridge: %s %q: %w", what, s.name, err)
	var api jetstream.JetStreamError
	switch {
	case errors.Is(err, jetstream.ErrInvalidStreamName), errors.Is(err, jetstream.ErrNotPullConsumer), errors.Is(err, nats.ErrConnectionClosed):
		return bridge.Permanent(wrapped)
	case !errors.As(err, &api) || api.APIError() == nil:
		return wrapped
	case api.APIError().ErrorCode == jetstream.JSErrCodeMaximumConsumersLimit:
		return wrapped // somebody may leave
	case api.APIError().Code == 400, errors.Is(err, jetstream.ErrStreamNotFound):
		return bridge.Permanent(wrapped)
	}
	return wrapped
}

// Lag returns how many messages of pattern were not delivered yet, as the server said
// last: with the last message, or at a heartbeat while subscribers hold the topic up.
// It implements bridge.Lagger.
func (s *stream) Lag(pattern string) (n uint64, ok bool) {
	s.mu.Lock()
	f := s.runs[pattern]
	s.mu.Unlock()
	if f == nil {
		return 0, false
	}
	return f.lag()
}

// begin and end frame a Run of pattern.
func (s *stream) begin(f *intake) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[f.pattern] = f
}

func (s *stream) end(f *intake) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs[f.pattern] == f {
		delete(s.runs, f.pattern)
	}
}
