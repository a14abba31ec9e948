package bridge

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/gobroadcast/broadcast"
)

// probe finds out whether options ask for a policy for which publishers wait. They
// are opaque, so it makes a reader with them of a hub of its own, and looks whether
// that reader counts for Released, which those that gate do. No code of the user's
// runs: a reader asks neither filter nor policy before something is read or
// overflows, and its context is replaced.
type probe[T any] struct {
	mu  sync.Mutex
	hub *broadcast.Hub[Event[T]] // guarded by mu
}

func newProbe[T any](policy broadcast.Policy) *probe[T] {
	return &probe[T]{hub: broadcast.New[Event[T]](0, policy, broadcast.WithRing(1))}
}

// readerBlocks tells whether publishers would wait for a reader with opts. It
// panics where NewReader would.
func (p *probe[T]) readerBlocks(opts []broadcast.SubscribeOption) bool {
	if len(opts) == 0 {
		return false // the hub's policy, which New has looked at
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// The ring holds one event, so the reader starts behind the first of these two
	// at least, and no reader before it has got so far.
	start := p.hub.Stats().Published + 1
	_, _ = p.hub.PublishBatch(context.Background(), make([]Event[T], 2)) // nobody is there to wait for
	own := []broadcast.SubscribeOption{
		broadcast.WithBuffer(1), broadcast.WithContext(context.Background()),
	}
	r := p.hub.NewReader(append(opts[:len(opts):len(opts)], own...)...)
	defer r.Close()
	return p.hub.Released() >= start
}

// subscriptionBlocks is readerBlocks for a subscription: what a reader cannot have
// does not block, or is wrong for a subscription too, which then says so itself.
func (p *probe[T]) subscriptionBlocks(opts []broadcast.SubscribeOption) (blocks bool) {
	defer func() {
		if recover() != nil {
			blocks = false
		}
	}()
	return p.readerBlocks(opts)
}

// checkAck returns why a reader with opts cannot be one with WithAck, or nil. It
// panics where NewReader would.
func (p *probe[T]) checkAck(pattern string, opts []broadcast.SubscribeOption) error {
	if len(opts) == 0 {
		return nil
	}
	if !p.readerBlocks(opts) {
		return fmt.Errorf("bridge: NewReader %q: with WithAck a reader must not lose events: leave WithPolicy out, or pass Block", pattern)
	}
	if p.replays(opts) {
		return fmt.Errorf("bridge: NewReader %q: with WithAck a reader starts behind what was acknowledged: leave WithReplay out", pattern)
	}
	return nil
}

// replays tells whether WithReplay is among opts, with which NewReader is fine: it
// does not go together with WithResumeAfter.
func (p *probe[T]) replays(opts []broadcast.SubscribeOption) (replays bool) {
	defer func() {
		if recover() != nil {
			replays = true
		}
	}()
	p.readerBlocks(append(opts[:len(opts):len(opts)], broadcast.WithResumeAfter(math.MaxUint64)))
	return false
}
