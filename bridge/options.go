package bridge

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gobroadcast/broadcast"
)

// The defaults, as the options document them.
const (
	defaultBuffer     = 1024
	defaultRing       = 4096
	defaultLinger     = 5 * time.Second
	defaultMaxBytes   = 1 << 20
	defaultMinBackoff = 100 * time.Millisecond
	defaultMaxBackoff = 30 * time.Second
)

// Option configures a bridge. Where an option is given twice, the last one counts.
type Option interface{ applyBridge(*config) }

type option func(*config)

func (o option) applyBridge(c *config) { o(c) }

type config struct {
	buffer   int
	policy   broadcast.Policy // nil: not asked for
	hub      []broadcast.Option
	linger   time.Duration
	from     func(pattern string) Position
	poison   func(m *Message, err error) error
	maxBytes int
	ack      bool
	min, max time.Duration // of the backoff
	logger   *slog.Logger
}

func newConfig(opts []Option) config {
	c := config{
		buffer: defaultBuffer, linger: defaultLinger, maxBytes: defaultMaxBytes,
		min: defaultMinBackoff, max: defaultMaxBackoff,
		hub: []broadcast.Option{broadcast.WithRing(defaultRing)},
	}
	for _, o := range opts {
		o.applyBridge(&c)
	}
	return c
}

// WithHub makes the hub of every topic as broadcast.New would. Without it, they
// have a buffer of 1,024 events, DropOldest (with WithAck: Block), and a ring of
// 4,096 for readers and replays.
//
// On a source that is not Pausable a subscriber must not block: the policy must be
// DropNewest, DropOldest or Eject, and New returns an error for Block, BlockFor and
// a policy of the user's own, which may answer Block. With WithAck it must be
// Block. A broadcast.WithInterest among opts is never called: the bridge has it.
// A broadcast.WithLogger takes the place of the bridge's for the hubs. WithHub
// panics where broadcast.New would.
func WithHub(buffer int, policy broadcast.Policy, opts ...broadcast.Option) Option {
	broadcast.New[struct{}](buffer, policy, opts...) // panics for a wrong program, here and not at the first Subscribe
	return option(func(c *config) { c.buffer, c.policy, c.hub = buffer, policy, opts })
}

// WithLinger has a topic outlive its last subscriber by d, so that who comes back
// in time costs no network call and misses nothing of the stream. Without it, that
// is 5 s. With 0 the topic stops at once. It panics if d is negative.
func WithLinger(d time.Duration) Option {
	if d < 0 {
		panic("bridge: WithLinger: negative duration: pass 0 (stop at once) or more")
	}
	return option(func(c *config) { c.linger = d })
}

// WithFrom has fn say where a topic starts when its first subscriber comes, also
// when it starts anew after its linger: a Position that an earlier Event had, or
// empty for from now on; where the source has partitions, what its Merge has made of
// those of several events. Without it, all start from now on. It is for sources with
// Capabilities.Replay; New returns an error for others. With WithAck the system
// keeps where a topic is, and fn counts only where it has nothing kept.
//
// fn is called once for each start, on a goroutine of the topic's, and may take its
// time, which Subscribe waits for. It must not call Close or Shutdown of the bridge.
// WithFrom panics if fn is nil.
func WithFrom(fn func(pattern string) Position) Option {
	if fn == nil {
		panic("bridge: WithFrom: nil function: pass one, or leave the option out")
	}
	return option(func(c *config) { c.from = fn })
}

// WithPoison has fn judge each message that decode refuses or panics at (err is
// then a *broadcast.PanicError), and those that are too large (err wraps
// ErrTooLarge). If it returns nil, the message is skipped, and acknowledged like
// any other; an error ends the topic, and Err of its subscribers wraps it. Without
// it, and with nil, such messages are counted, logged and skipped.
//
// m and its data are valid until fn returns, so a dead-letter queue copies them. fn
// is called by the goroutine that receives, and holds up the topic; a panic of it
// ends the topic. It must not call Close or Shutdown of the bridge.
func WithPoison(fn func(m *Message, err error) error) Option {
	return option(func(c *config) { c.poison = fn })
}

// WithMaxBytes has messages whose key and data together are larger than n bytes
// treated as poison, before decode sees them. Without it, that is 1 MiB. What the
// network client allocates before that is for the source to bound. It panics if n
// is less than 1.
func WithMaxBytes(n int) Option {
	if n < 1 {
		panic("bridge: WithMaxBytes: no size: pass 1 or more, or leave the option out")
	}
	return option(func(c *config) { c.maxBytes = n })
}

// WithAck has the bridge acknowledge to the system what every subscriber has
// released (see broadcast.Hub.Released), so that a crash or a Shutdown means that
// messages come again, marked Redelivered, and never that they are lost. Without
// it, nothing is acknowledged. New returns an error unless the source has
// Capabilities.Acks, is an Acker, and is Pausable.
//
// Subscribers are then readers with Block: Subscribe returns an error, and so does
// NewReader with another policy, except that BlockFor and a policy of the user's
// own cannot be told from Block and are taken for it. A reader starts behind what was
// acknowledged, and its window is the hub's ring, which is also how many messages the
// topic has in hand: WithReplay is an error, WithBuffer and WithResumeAfter have no
// effect.
// While there is no reader the intake pauses. What the last reader has not released
// is the next one's, and not marked unless the system had to deliver it again.
func WithAck() Option { return option(func(c *config) { c.ack = true }) }

// WithBackoff has a Run that failed after the topic was live run again after a
// random time of at most min, which doubles with each failure up to max, and begins
// anew when a Run has stayed up for as long as that. Without it, 100 ms and 30 s.
// It panics unless 0 < min <= max.
func WithBackoff(min, max time.Duration) Option {
	if min <= 0 || max < min {
		panic("bridge: WithBackoff: pass 0 < min <= max")
	}
	return option(func(c *config) { c.min, c.max = min, max })
}

// WithLogger has the bridge log to l what goes wrong: gaps, poison, a Run that
// failed, a topic that ended, acknowledgements that failed, at most one line per
// second and kind, from a goroutine that ends a second after the last of them. The
// hubs of its topics get it too, with the attribute pattern. nil, and a bridge
// without the option, log nothing. The handler of l must not call Close or Shutdown
// of the bridge.
func WithLogger(l *slog.Logger) Option { return option(func(c *config) { c.logger = l }) }

// check returns why src cannot be bridged as c says, or nil. It fills in the policy.
func (c *config) check(src Source) error {
	can := src.Capabilities()
	if c.from != nil && !can.Replay {
		return errors.New("bridge: New: WithFrom needs a source with Replay: leave the option out")
	}
	if c.ack {
		_, isAcker := src.(Acker)
		switch {
		case !can.Acks || !isAcker:
			return errors.New("bridge: New: WithAck needs a source that can acknowledge (Capabilities.Acks and Acker): leave the option out")
		case !can.Pausable:
			return errors.New("bridge: New: WithAck needs a source that is Pausable: readers with Block hold it up")
		case c.policy == nil:
			c.policy = broadcast.Block
		case c.policy != broadcast.Policy(broadcast.Block):
			return errors.New("bridge: New: WithAck needs Block: pass it to WithHub")
		}
	}
	if c.policy == nil {
		c.policy = broadcast.DropOldest
	}
	if !can.Pausable && mayBlock(c.policy) {
		return fmt.Errorf("bridge: New: policy %v may block, and the source is not Pausable: pass DropNewest, DropOldest or Eject to WithHub", name(c.policy))
	}
	return nil
}

// mayBlock tells whether a publisher may have to wait because of p.
func mayBlock(p broadcast.Policy) bool {
	action, known := p.(broadcast.Action)
	return !known || action == broadcast.Block
}

func name(p broadcast.Policy) string {
	if action, known := p.(broadcast.Action); known {
		return action.String()
	}
	return fmt.Sprintf("%T", p)
}
