package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Source is an external system that a bridge receives from. Package bridgetest
// has the suite that every implementation passes.
type Source interface {
	// Run opens one network subscription for pattern and delivers to sink until
	// ctx ends. It calls sink.Live once the system has confirmed the
	// subscription, and again after every reconnect, which it does by itself. It
	// calls the sink from one goroutine at a time, returns an error of Deliver or
	// Gap unchanged, and returns only after every goroutine that it started has
	// ended. A bridge has at most one Run of a pattern at a time.
	//
	// from is where to begin, as an earlier message of this source had it, or
	// empty for from now on. A source without Capabilities.Replay gets no other.
	Run(ctx context.Context, pattern string, from Position, sink Sink) error

	// Capabilities says what the source can do. It is the same at each call.
	Capabilities() Capabilities
}

// Capabilities is what a source can do.
type Capabilities struct {
	Wildcards bool // a pattern can match more than one topic
	Replay    bool // Run can begin at a Position of the past
	Pausable  bool // Deliver may block: the system keeps what is not fetched
	Acks      bool // the source is an Acker
	ExactGaps bool // the Count of each of its gaps is known
}

// Sink takes what a source receives. Its methods are called by one goroutine at
// a time.
type Sink interface {
	// Live says that the network subscription is confirmed.
	Live()
	// Deliver takes a message, which is the sink's until it returns. It blocks
	// only where Capabilities.Pausable. After an error Run returns it.
	Deliver(ctx context.Context, m *Message) error
	// Gap reports that messages were lost before the next that is delivered. The
	// rules are those of Deliver.
	Gap(ctx context.Context, g Gap) error
}

// Acker is a source that can acknowledge. The source keeps its own queue of what
// the current Run has delivered, and may acknowledge in batches.
type Acker interface {
	// Ack says that the first n messages which the current Run of pattern
	// delivered are done. n never falls. It may be called from any goroutine,
	// also while Run delivers, and shortly after it has returned (then it does
	// what still can be done).
	Ack(ctx context.Context, pattern string, n uint64) error
}

// Merger is a source whose topics have partitions. Merge folds the position of
// one message into that of the whole topic. base is empty at first.
type Merger interface {
	Merge(base, next Position) Position
}

// Position says where in a source a message stands. It is opaque and printable;
// empty is from now on. In a source with partitions it is that of one of them.
type Position string

// Header is what stands beside the data of a message; nil where nothing does. It
// belongs to the message and is not changed by anyone.
type Header map[string][]string

// Message is what a source delivers. Key and Data are valid until decode returns.
type Message struct {
	Topic, Partition string
	Key, Data        []byte
	Header           Header
	Position         Position
	Time             time.Time
	Redelivered      bool
}

// Gap says that messages are missing from a topic at this point of its timeline.
type Gap struct {
	Reason    Reason
	Partition string
	From, To  Position // the first and the last that are missing, where the source knows
	Count     uint64   // how many; 0: unknown
	Err       error    // what the source knows about it
}

// Reason is why there is a gap.
type Reason uint8

const (
	// Disconnected: the connection was down, and the system keeps nothing.
	Disconnected Reason = iota + 1
	// Truncated: the system no longer has what was asked for.
	Truncated
	// SourceDropped: the client or the system dropped messages, since they came
	// faster than they were taken.
	SourceDropped
	// Restarted: the source failed and was run again, from now on. The gap stands
	// where it is live again, so who reloads there has everything.
	Restarted
)

// String is the reason as logs and metrics name it.
func (r Reason) String() string {
	switch r {
	case Disconnected:
		return "disconnected"
	case Truncated:
		return "truncated"
	case SourceDropped:
		return "source_dropped"
	case Restarted:
		return "restarted"
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Permanent wraps an error with which Run ends the topic, instead of being run
// again. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanent{err}
}

type permanent struct{ err error }

func (p *permanent) Error() string { return p.err.Error() }
func (p *permanent) Unwrap() error { return p.err }

// IsPermanent says whether err was made by Permanent, or wraps such an error.
func IsPermanent(err error) bool {
	var p *permanent
	return errors.As(err, &p)
}
