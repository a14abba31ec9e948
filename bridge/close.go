package bridge

import (
	"context"
	"errors"
	"fmt"

	"github.com/gobroadcast/broadcast"
)

// Close ends the bridge at once: every network subscription and every topic, whose
// subscribers keep what is buffered; those who wait in Subscribe get
// broadcast.ErrClosed. Nothing more is acknowledged. It returns when nothing of the
// bridge runs any more, which takes as long as the source's Run and decode take to
// return. Close is idempotent and may be called in every state, also while Shutdown
// waits, which it cuts short; but not by what it waits for: decode, the functions
// of WithPoison, WithFrom and WithLogger, filters, policies and the source.
func (b *Bridge[T]) Close() {
	b.stopIntake()
	b.stopNow(broadcast.ErrClosed)
	<-b.over
	b.journal.close()
}

// Shutdown stops the intake, waits until the subscribers have drained what was
// published to them, with WithAck acknowledges what they have released, and then
// closes the bridge. It returns nil then, and also if nothing was left to be drained
// though ctx had ended. When ctx ends before, it closes the bridge as it is,
// acknowledges what was released by then, and returns an error that wraps the cause of
// ctx. Without an end of ctx it returns an error too if what a
// subscriber has left behind will never be taken (see broadcast.Hub.Shutdown).
//
// Like Close, it returns when nothing of the bridge runs any more, is idempotent,
// and must not be called by what it waits for, which are subscribers, their handlers
// and hooks of the hubs too. It panics if ctx is nil.
func (b *Bridge[T]) Shutdown(ctx context.Context) error {
	checkContext("Shutdown", ctx)
	b.stopIntake()
	select {
	case <-b.over:
	case <-ctx.Done():
		b.stopNow(context.Cause(ctx))
		<-b.over
	}
	b.journal.close()
	return b.undrained()
}

// undrained is why Shutdown was not what it was to be, or nil.
func (b *Bridge[T]) undrained() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.undrains > 1 {
		return fmt.Errorf("%w (and %d topics more)", b.undrain, b.undrains-1)
	}
	return b.undrain
}

// stopIntake begins the end.
func (b *Bridge[T]) stopIntake() {
	b.mu.Lock()
	b.closed = true
	b.closeOverLocked()
	b.mu.Unlock()
	b.stop()
}

// closeOverLocked closes over if nothing runs and nothing will.
func (b *Bridge[T]) closeOverLocked() {
	if !b.closed || len(b.live) > 0 {
		return
	}
	select {
	case <-b.over:
	default:
		close(b.over)
	}
}

// end ends r, because nobody is there or the bridge closes.
func (t *topic[T]) end(r *run[T]) {
	if t.b.intake.Err() != nil && r.acks != nil {
		t.drain() // while Run is there to acknowledge
	}
	r.settleAcks()
	r.cancel()
	select {
	case <-r.done:
	case <-t.b.now.Done():
		t.drain() // its subscribers do not wait for the source
		<-r.done
	}
}

// closeHub closes the hub, and if the bridge shuts down waits until it is drained.
func (t *topic[T]) closeHub() {
	switch {
	case t.reason != nil:
		t.hub.CloseWithError(t.reason)
	case t.b.intake.Err() == nil:
		t.hub.Close()
	default:
		t.drain()
	}
}

// drain closes the hub and waits until its subscribers have taken, and with WithAck
// released, what is theirs.
func (t *topic[T]) drain() {
	if t.drained {
		return
	}
	t.drained = true
	err := t.drainHub()
	if err == nil {
		return
	}
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	t.b.undrains++
	if t.b.undrain == nil {
		t.b.undrain = fmt.Errorf("bridge: shutdown: topic %q: %w", t.pattern, err)
	}
}

func (t *topic[T]) drainHub() error {
	now := t.b.now
	if now.Err() != nil {
		left := t.left()
		t.hub.Close()
		if left > 0 {
			return fmt.Errorf("%d deliveries were left: %w", left, context.Cause(now))
		}
		return nil
	}
	if err := t.hub.Shutdown(now); err != nil || t.b.acker == nil {
		return err
	}
	err := t.hub.WaitReleased(now, t.hub.Stats().Published)
	if errors.Is(err, broadcast.ErrClosed) && now.Err() == nil {
		return nil // a reader has left before: what it had will come again
	}
	return err
}

// left is how many deliveries are not done: not taken, or with WithAck not released.
func (t *topic[T]) left() (n uint64) {
	subscribers := 0
	for s := range t.hub.Subscriptions() {
		subscribers++
		n += uint64(s.Len)
	}
	if t.b.acker != nil && subscribers > 0 {
		n = t.hub.Stats().Published - t.hub.Released()
	}
	return n
}
