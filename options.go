package broadcast

import (
	"context"
	"log/slog"
	"math"
)

// Option configures a hub. Where an option is given twice, the last one counts.
type Option interface{ applyHub(*hubConfig) }

// SubscribeOption configures one subscription. Where an option is given twice,
// the last one counts.
type SubscribeOption interface{ applySubscription(*subscribeConfig) }

type hubConfig struct {
	interest func(active bool)
	onEject  func(SubscriptionStats)
	logger   *slog.Logger
	ring     int // capacity; 0: none from the start
}

// subscribeConfig lives for one call of Subscribe, the context in it included.
type subscribeConfig struct {
	buffer int // -1 for a reader: all of the ring
	policy Policy
	name   string
	ctx    context.Context
	keep   any // a func(T) bool for the hub's T, or nil

	replay  int // how many events and 1; 0: not asked for
	resumes bool
	after   uint64 // if it resumes
}

// with returns c changed by opts. What they change is on the heap, but that of a
// subscription without options is not.
func (c subscribeConfig) with(opts []SubscribeOption) subscribeConfig {
	for _, o := range opts {
		o.applySubscription(&c)
	}
	return c
}

type hubOption func(*hubConfig)

func (o hubOption) applyHub(c *hubConfig) { o(c) }

type subscribeOption func(*subscribeConfig)

func (o subscribeOption) applySubscription(c *subscribeConfig) { o(c) }

// WithInterest calls fn with true when the hub gets its first subscriber and
// with false after the last one has left, so that a source can be started and
// stopped with demand. Without it nothing is called.
//
// Every change is told, in order and never conflated, one call at a time, on a
// goroutine of the hub's that lives only while there is something to tell. fn
// may call any method of the hub; it may take its time, which holds up only
// other hooks and Shutdown. WithInterest panics if fn is nil.
func WithInterest(fn func(active bool)) Option {
	if fn == nil {
		panic("broadcast: WithInterest: nil function: pass one, or leave the option out")
	}
	return hubOption(func(c *hubConfig) { c.interest = fn })
}

// WithOnEject calls fn with the final counts of every subscription that its
// policy ejected. Without it nothing is called. fn runs as the hook of
// WithInterest does, in one order with it. While fn is so slow that 1,024
// ejects wait for it, further ones are not told to it; Stats counts them all.
// WithOnEject panics if fn is nil.
func WithOnEject(fn func(SubscriptionStats)) Option {
	if fn == nil {
		panic("broadcast: WithOnEject: nil function: pass one, or leave the option out")
	}
	return hubOption(func(c *hubConfig) { c.onEject = fn })
}

// WithLogger has the hub log what goes wrong to l: events dropped, subscribers
// ejected, a publish blocked for over a second, panics of handlers that Handle
// called, a slow Shutdown, at most one
// line per second and kind while the hub is open. nil, and a hub without the
// option, log nothing. A publish that finds room everywhere costs nothing more.
// The lines come from a goroutine of the hub's that ends a second after the last of
// them, when the hub closes mostly at once; so a handler that publishes to the same
// hub is safe. Shutdown waits for it.
func WithLogger(l *slog.Logger) Option {
	return hubOption(func(c *hubConfig) { c.logger = l })
}

// WithRing gives the hub a ring of exactly capacity events from the start, for its
// readers and for WithReplay. Without it, a ring of 1,024 events appears with the
// first reader. While there is a ring, a publish writes its event there too. That
// allocates at most one chunk for every 64 events, and nothing where the ring uses its
// memory again: while no reader leaves or is behind by all of the ring, and not more than 64
// have another policy than Block. One that has stopped costs one chunk, one that reads on at
// that distance up to one for every 64 events. It keeps the newest capacity events reachable,
// and at most 128 more. It panics if capacity is less than 1.
func WithRing(capacity int) Option {
	if capacity < 1 {
		panic("broadcast: WithRing: no capacity: pass 1 or more, or leave the option out")
	}
	return hubOption(func(c *hubConfig) { c.ring = capacity })
}

// WithBuffer gives the subscription a buffer of exactly n events; without it,
// it has the hub's. With 0 an event is handed over only while the subscriber is
// receiving. For a reader n is its window: how far it may be behind, from 1 to the
// capacity of the ring; without it, that capacity, whatever the hub's buffer is.
// WithBuffer panics if n is negative, and NewReader if it is no such window.
func WithBuffer(n int) SubscribeOption {
	checkBuffer("WithBuffer", n)
	return subscribeOption(func(c *subscribeConfig) { c.buffer = n })
}

// WithPolicy gives the subscription a policy of its own; without it, it has the
// hub's. A reader cannot keep its oldest events where the ring moves on: where the
// hub's policy is DropNewest, or one answers that, it does as DropOldest says, and
// NewReader panics if p is DropNewest. WithPolicy panics if p is nil or an unknown
// Action.
func WithPolicy(p Policy) SubscribeOption {
	checkPolicy("WithPolicy", p)
	return subscribeOption(func(c *subscribeConfig) { c.policy = p })
}

// WithName gives the subscription a name for Stats, metrics, logs and policies.
// Names need not be unique; in metrics, subscriptions of one name are summed up,
// and a bounded number of names has series of its own (see NewCollector), so
// name the few that matter. Without it, the name is empty.
func WithName(name string) SubscribeOption {
	return subscribeOption(func(c *subscribeConfig) { c.name = name })
}

// WithContext ends the subscription when ctx ends; Err is then the cause of
// ctx. It costs no goroutine while ctx lives, unless ctx is of a type of the
// user's own (see context.AfterFunc). With a ctx that is already done,
// Subscribe returns a subscription already ended. WithContext panics if ctx is
// nil.
func WithContext(ctx context.Context) SubscribeOption {
	checkContext("WithContext", ctx)
	return subscribeOption(func(c *subscribeConfig) { c.ctx = ctx })
}

// WithFilter gives the subscription only the events for which keep returns
// true; the others count as filtered and take no room. Without it, it gets all.
// Subscribe panics if T is not the hub's T; WithFilter panics if keep is nil.
//
// keep is called in the middle of a publish, by one goroutine at a time per
// hub, and holds up every publisher until it returns. It must not publish to
// the same hub nor call its Shutdown, which would wait for this publish;
// anything else is safe. If it panics, the event counts as dropped for this
// subscription alone, all others get it, and the panic goes on up through
// Publish; of several in one publish, the first does.
//
// For a reader, keep is called by the goroutine that reads, in Next or ReadBatch, and
// a panic goes up through these: it holds nobody up but the reader. For events that
// WithReplay brings, it is called in Subscribe, and holds up publishers as ever.
func WithFilter[T any](keep func(T) bool) SubscribeOption {
	if keep == nil {
		panic("broadcast: WithFilter: nil function: pass one, or leave the option out")
	}
	return subscribeOption(func(c *subscribeConfig) { c.keep = keep })
}

// WithReplay has the subscription start with the newest n events that the ring
// still has, so that it is offered these too: at most as many as its buffer holds, or
// for a reader its window, where the rest counts as dropped and as Missed at the first
// call. Events are counted before filtering. Without it, it starts with what is
// published next. It panics if n is negative, and Subscribe and NewReader do unless
// the hub was made WithRing, and if WithResumeAfter is given too.
func WithReplay(n int) SubscribeOption {
	if n < 0 {
		panic("broadcast: WithReplay: negative number: pass how many events it is to start with, at most")
	}
	n = min(n, math.MaxInt-1) // one more is kept
	return subscribeOption(func(c *subscribeConfig) { c.replay = n + 1 })
}

// WithResumeAfter has a reader start behind event seq, a number that Seq gave of the
// same hub (see Hub.Epoch), so that it is offered what came after it. What of that has
// left the ring or is more than a window ago counts as dropped, and as Missed at the
// first call. A seq in the future is that of another hub: the reader then starts with
// what is published next, as without this option. Subscribe panics with it, and
// NewReader if WithReplay is given too.
func WithResumeAfter(seq uint64) SubscribeOption {
	return subscribeOption(func(c *subscribeConfig) { c.resumes, c.after = true, seq })
}

func checkBuffer(fn string, n int) {
	if n < 0 {
		panic("broadcast: " + fn + ": negative buffer: pass 0 (hand-off only) or more")
	}
}

func checkContext(fn string, ctx context.Context) {
	if ctx == nil {
		panic("broadcast: " + fn + ": nil context: pass context.Background() if nothing ends it")
	}
}
