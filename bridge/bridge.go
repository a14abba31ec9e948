package bridge

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast"
)

// Bridge joins the topics of one external system to hubs of this process: one
// network subscription and one hub for each pattern that somebody subscribes to,
// for as long as somebody does. Make one with New and close it; a Bridge must not
// be copied. All methods may be called by any number of goroutines at once, but
// Close and Shutdown not from what they wait for.
//
// A bridge without topics owns no goroutine. A topic owns two, and a third with
// WithAck, besides those of its source; a subscriber owns none.
type Bridge[T any] struct {
	src    Source                    // written once, by New
	merger Merger                    // src, or nil; written once, by New
	acker  Acker                     // src, or nil without WithAck; written once, by New
	decode func(*Message) (T, error) // written once, by New
	config                           // written once, by New
	since  time.Time                 // written once, by New
	probe  *probe[T]                 // nil: subscribers may have any policy; written once, by New

	ledger  ledger
	journal journal

	mu       sync.Mutex
	topics   map[string]*topic[T]   // by pattern; guarded by mu
	live     map[*topic[T]]struct{} // those whose loop runs, also when another one has taken their place; guarded by mu
	departed broadcast.Stats        // of the hubs of the others; guarded by mu
	closed   bool                   // guarded by mu
	undrain  error                  // the first topic that Shutdown could not drain; guarded by mu
	undrains int                    // how many there were; guarded by mu
	over     chan struct{}          // closed when closed and nothing runs

	intake   context.Context // ends when Close or Shutdown begins
	stop     context.CancelFunc
	now      context.Context // ends when Close begins, or Shutdown has run out of time
	stopNow  context.CancelCauseFunc
	ringSize int // of the hub of a topic; only with WithAck; written once, by New
}

// New makes a bridge from src, whose messages decode turns into values. It opens
// nothing: the first subscriber of a topic does.
//
// decode is called once for each message, by the goroutine that receives, and holds
// up its topic until it returns; those of different topics may run at once. It
// copies what it keeps of Key and Data. An error of it, or a panic, makes the
// message poison (see WithPoison).
//
// New returns an error if an option asks for what src cannot do. It panics if src
// or decode is nil.
func New[T any](src Source, decode func(*Message) (T, error), opts ...Option) (*Bridge[T], error) {
	if src == nil || decode == nil {
		panic("bridge: New: nil source or function: pass both")
	}
	c := newConfig(opts)
	if err := c.check(src); err != nil {
		return nil, err
	}
	b := &Bridge[T]{src: src, decode: decode, config: c, since: time.Now(), topics: map[string]*topic[T]{}, live: map[*topic[T]]struct{}{}, over: make(chan struct{})}
	b.merger, _ = src.(Merger)
	b.ledger.open()
	b.journal.logger = c.logger
	b.intake, b.stop = context.WithCancel(context.Background())
	b.now, b.stopNow = context.WithCancelCause(context.Background())
	if c.ack {
		b.acker, _ = src.(Acker)
		b.ringSize = b.newHub(nil, func(bool) {}).NewReader().Stats().Cap // as any reader's window
	}
	if c.ack || !src.Capabilities().Pausable {
		b.probe = newProbe[T](c.policy)
	}
	return b, nil
}

// Subscribe subscribes to the topic of pattern, whose syntax is that of the source,
// and waits until the system has confirmed the network subscription, which costs
// nothing where there is one already: what is published from then on reaches the
// subscription. opts are as for broadcast.Hub.Subscribe. While a source that failed
// is about to be run again, Subscribe waits for that.
//
// ctx bounds this wait and nothing else, not even the start, which others may wait
// for too; broadcast.WithContext bounds the life of the subscription. Subscribe
// returns the cause of ctx if that ended; an error that wraps that of the source if
// it failed; broadcast.ErrClosed on a closed bridge; and an error for a policy that
// may block if the source is not Pausable, and always with WithAck.
//
// The subscription ends with ErrClosed when the bridge closes, wrapping the reason
// too when its topic has ended by an error. A filter is asked about gaps as well, whose
// Value is zero: it lets them pass (e.Gap != nil || ...), or its subscriber only sees
// Gaps rise. One that panics does so in the goroutine that receives, as it would in
// any publisher. Subscribe panics if ctx is nil, and where broadcast.Hub.Subscribe does.
func (b *Bridge[T]) Subscribe(ctx context.Context, pattern string, opts ...broadcast.SubscribeOption) (*broadcast.Subscription[Event[T]], error) {
	checkContext("Subscribe", ctx)
	if b.acker != nil {
		return nil, fmt.Errorf("bridge: Subscribe %q: with WithAck only a reader knows what it has released: use NewReader", pattern)
	}
	if b.probe != nil && b.probe.subscriptionBlocks(opts) {
		return nil, fmt.Errorf("bridge: Subscribe %q: the policy may block, and the source is not Pausable: pass DropNewest, DropOldest or Eject to WithPolicy", pattern)
	}
	return join(ctx, b, pattern, func(h *broadcast.Hub[Event[T]]) *broadcast.Subscription[Event[T]] {
		return h.Subscribe(opts...)
	})
}

// NewReader is Subscribe for a reader of the ring of the topic's hub: see
// broadcast.Hub.NewReader for opts, and WithAck, which wants one with Block.
func (b *Bridge[T]) NewReader(ctx context.Context, pattern string, opts ...broadcast.SubscribeOption) (*broadcast.Reader[Event[T]], error) {
	checkContext("NewReader", ctx)
	switch {
	case b.acker != nil:
		if err := b.probe.checkAck(pattern, opts); err != nil {
			return nil, err
		}
	case b.probe != nil && b.probe.readerBlocks(opts):
		return nil, fmt.Errorf("bridge: NewReader %q: the policy may block, and the source is not Pausable: pass DropOldest or Eject to WithPolicy", pattern)
	}
	return join(ctx, b, pattern, func(h *broadcast.Hub[Event[T]]) *broadcast.Reader[Event[T]] {
		if b.acker == nil {
			return h.NewReader(opts...)
		}
		// What is not released may be in nobody's hands: it is this reader's then.
		own := []broadcast.SubscribeOption{
			broadcast.WithPolicy(broadcast.Block), broadcast.WithBuffer(b.ringSize), broadcast.WithResumeAfter(h.Released()),
		}
		return h.NewReader(append(opts[:len(opts):len(opts)], own...)...)
	})
}

// join subscribes to the hub of pattern and waits until it is live.
func join[T any, S interface{ Close() }](ctx context.Context, b *Bridge[T], pattern string, subscribe func(*broadcast.Hub[Event[T]]) S) (sub S, err error) {
	if ctx.Err() != nil {
		return sub, context.Cause(ctx)
	}
	t, err := b.acquire(pattern)
	if err != nil {
		return sub, err
	}
	defer t.release() // a wrong option panics
	s := subscribe(t.hub)
	give(t.joined)
	if err := t.awaitLive(ctx); err != nil {
		s.Close() // before the release, which looks who is left
		return sub, err
	}
	return s, nil
}

// acquire returns the topic of pattern, which does not stop before its release.
func (b *Bridge[T]) acquire(pattern string) (*topic[T], error) {
	var fresh *topic[T]
	for {
		b.mu.Lock()
		t := b.topics[pattern]
		switch {
		case b.closed:
			b.mu.Unlock()
			return nil, broadcast.ErrClosed
		case t != nil && !t.ending:
		case fresh != nil:
			if t != nil {
				fresh.prev = t.waitsForLocked()
			}
			t = fresh
			b.topics[pattern] = t
			b.live[t] = struct{}{}
			go t.loop()
		default:
			b.mu.Unlock()
			fresh = b.newTopic(pattern) // without the lock: the logger is the user's code
			continue
		}
		t.pending++
		t.visits++
		b.mu.Unlock()
		return t, nil
	}
}

// checkContext panics if ctx is nil.
func checkContext(fn string, ctx context.Context) {
	if ctx == nil {
		panic("bridge: " + fn + ": nil context: pass context.Background() if nothing ends it")
	}
}
