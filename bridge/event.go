package bridge

import (
	"errors"
	"time"
)

// Event is what the subscribers of a topic get: a message that was decoded, or a
// gap, which has no value. It is shared by all of them, so nobody changes what it
// refers to.
type Event[T any] struct {
	Topic, Partition string // of the message; of a gap, the pattern of the topic and what the source says
	Value            T
	Header           Header
	Position         Position  // of the message; empty for a gap
	Time             time.Time // of the message; of a gap, when the bridge heard of it
	Redelivered      bool      // the system has delivered it before, maybe to another process

	// Gaps is how many gaps the topic has had so far, with this one: where it rises
	// by more than the markers seen, the subscriber has lost a marker too.
	Gaps uint64
	// Gap is not nil if messages are missing from here on up to the next event.
	// Reason, range and count are those of the source.
	Gap *Gap
}

// ErrTooLarge is the error with which the handler of WithPoison is given a message
// that is larger than WithMaxBytes allows.
var ErrTooLarge = errors.New("bridge: message larger than WithMaxBytes allows")
