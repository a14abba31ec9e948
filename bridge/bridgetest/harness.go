package bridgetest

import (
	"context"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
)

// Factory makes what a row of the suite runs against: a system of its own, or a
// part of one that nothing else uses, and a source that is connected to it. It
// is called once for each row, and leaves what is to be taken down to tb.Cleanup,
// which comes after everything that the row has started has ended.
type Factory func(tb testing.TB) *Harness

// Harness is a source under test, the system behind it, and what can be done to
// that system. Source and Publish are needed. A row that needs one of the others
// where it is nil is skipped, and says which one.
//
// The functions are called by one goroutine at a time, but Publish and
// Subscriptions, which may be called by several. They fail the test by tb, as
// the factory had it, where they cannot do what they are asked for.
type Harness struct {
	// Source is the source under test. Faults that are made below stand between it
	// and the system.
	Source bridge.Source

	// Publish gives the system one message, past the faults, and returns once the
	// system has it: a subscription that the system has confirmed before will be
	// sent it.
	Publish func(ctx context.Context, topic string, data []byte) error

	// Topic names the topic number n, from 0, and makes it where the system wants
	// that. It is its own pattern, and no other topic matches it. Without it, they
	// are "bridgetest.0" and so on.
	Topic func(n int) string

	// Again makes a source as the next process would that takes the place of the
	// one that Source is in: with WithAck they share the stable name. (Row 12.)
	Again func() bridge.Source

	// Subscriptions asks the system how many network subscriptions to topic it has
	// from all sources of this harness. (Rows 10 and 13; others use it too.)
	Subscriptions func(topic string) int

	// Acked asks the system how many messages of topic are acknowledged. (Row 12.)
	Acked func(topic string) uint64

	// SlowConsumers asks the system how often it has found a consumer slow. (Row 5.)
	SlowConsumers func() uint64

	// Restart kills the system, as kill -9 does, and starts it after down, on the
	// same address and with what it has on disk. It returns when the system takes
	// Publish again. (Row 1.)
	Restart func(down time.Duration)

	// Cut cuts every connection of the source, as a reset does. New ones are
	// taken. (Row 2; row 13 where there is no Refuse.)
	Cut func()

	// Blackhole has every connection of the source, old or new, swallow what is
	// sent either way while on is true, without closing. (Row 3.)
	Blackhole func(on bool)

	// Mute has the system accept what the source sends, connections included, and
	// never answer while on is true. (Row 4.)
	Mute func(on bool)

	// Refuse has new connections refused while on is true, and cuts the old ones
	// when that begins. (Row 13.)
	Refuse func(on bool)

	// Truncate has the system forget all messages of topic but the newest keep,
	// of those that were published. (Row 9, with Capabilities.Replay.)
	Truncate func(topic string, keep int)

	// Overrun says how many messages, of which size, are too much for the client or
	// the system while the source is held up in its Deliver: some are dropped. No
	// messages: that does not happen. (Row 6, not with Capabilities.Pausable.)
	Overrun Overrun

	// TooLarge is the size of a message that the system does not take: Publish
	// returns an error. 0: there is none. (Row 8.)
	TooLarge int

	// Less tells whether a stands before b in a topic, for positions of messages of
	// this source. Without it, positions are only compared for equality.
	Less func(a, b bridge.Position) bool

	// SlowJoiner says why the source cannot have its subscription confirmed, if it
	// cannot. Row 11 is skipped with it, and the other rows publish until something
	// arrives.
	SlowJoiner string

	// Unmarked says why the source cannot know that a message is delivered again, if
	// it cannot. Where it is empty, such messages are to be marked Redelivered.
	Unmarked string

	// KeepAlive is the time in which the source notices that nothing comes back: a
	// black hole is to be reported within twice that. Without it, 150 ms. (Row 3.)
	KeepAlive time.Duration

	// Heal is the time in which the source is to be live again when a fault is
	// over. Without it, 2 s.
	Heal time.Duration
}

// Overrun is a burst that is too much.
type Overrun struct {
	Messages int
	Size     int // of each, in bytes; 0: what the suite needs to tell them apart
}
