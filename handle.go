package broadcast

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Stream is what Handle takes its events from: a *Subscription. It cannot be
// implemented outside of this package.
type Stream[T any] interface {
	Close()
	Err() error
	Stats() SubscriptionStats

	// take waits for the next event, and returns why there is none: the cause of
	// ctx, or Err.
	take(ctx context.Context) (T, error)
	board() *desk
	base() *member
}

// HandleOption configures one call of Handle.
type HandleOption interface{ applyHandle(*handleConfig) }

type handleConfig struct{ stopOnError bool }

type handleOption func(*handleConfig)

func (o handleOption) applyHandle(c *handleConfig) { o(c) }

// StopOnError has Handle end at the first call of the handler that fails, and
// return its error, a *PanicError if it panicked. Without it, failed calls are
// counted and skipped.
func StopOnError() HandleOption {
	return handleOption(func(c *handleConfig) { c.stopOnError = true })
}

// PanicError is a panic of a handler that Handle has recovered.
type PanicError struct {
	Value any    // what it panicked with
	Stack []byte // where, as of runtime/debug.Stack
}

// Error returns the value and the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("broadcast: handler panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the value if it is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Handle calls fn for every event of src, one after the other, on the caller's
// goroutine, until src or ctx ends. It closes src when it returns, so that a
// hub whose policy is Block is not held up by a handler that has left.
//
// Errors and panics of fn are counted (Stats, the collector) and the event is
// skipped, unless StopOnError is given; panics are logged too. Handle returns
// nil when src was closed without a reason; the cause of ctx when that ended,
// also under constant load; else the Err of src, or with StopOnError the error
// of fn. Several calls of Handle may share one src: each event goes to one of
// them. A hub's Shutdown waits for them. Handle panics if ctx, src or fn is nil.
func Handle[T any](ctx context.Context, src Stream[T], fn func(context.Context, T) error, opts ...HandleOption) error {
	checkContext("Handle", ctx)
	if src == nil || fn == nil {
		panic("broadcast: Handle: nil stream or function: pass both")
	}
	var c handleConfig
	for _, o := range opts {
		o.applyHandle(&c)
	}
	d := src.board()
	d.running.Add(1)
	defer d.running.Add(-1)
	defer src.Close()
	for {
		event, err := src.take(ctx)
		switch {
		case err == ErrClosed: //nolint:errorlint // with a reason it is wrapped, and returned
			return nil
		case err != nil:
			return err
		}
		if err := handleOne(ctx, d, src.base(), event, fn); err != nil && c.stopOnError {
			return err
		}
	}
}

// handleOne calls fn for one event and accounts for how that went.
func handleOne[T any](ctx context.Context, d *desk, m *member, event T, fn func(context.Context, T) error) error {
	meters := d.meters.Load()
	if meters == nil {
		err := call(ctx, event, fn)
		d.account(m, err)
		return err
	}
	start := time.Now()
	err := call(ctx, event, fn)
	took := time.Since(start)
	d.account(m, err)
	meters.handled(reflect.TypeOf(event), took, err)
	return err
}

// call turns a panic of fn into an error.
func call[T any](ctx context.Context, event T, fn func(context.Context, T) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return fn(ctx, event)
}

// desk is where a hub keeps what concerns handlers and meters.
type desk struct {
	running atomic.Int64  // calls of Handle
	errors  atomic.Uint64 // calls of a handler that returned one
	panics  atomic.Uint64 // calls of a handler that panicked
	meters  atomic.Pointer[meters]
	losses  *losses // nil unless there is a logger; written once, by New
}

// account counts a failed call of a handler, and logs a panic.
func (d *desk) account(m *member, err error) {
	if err == nil {
		return
	}
	if p, ok := err.(*PanicError); ok { //nolint:errorlint // one that fn returned is its error
		d.panics.Add(1)
		d.losses.notePanic(m, fmt.Sprint(p.Value))
		return
	}
	d.errors.Add(1)
}

// take is a receive that ctx can end.
func (s *Subscription[T]) take(ctx context.Context) (event T, err error) {
	if ctx.Err() != nil {
		return event, causeOf(ctx)
	}
	select {
	case event, ok := <-s.ch:
		if !ok {
			return event, s.Err()
		}
		return event, nil
	case <-ctx.Done():
		return event, causeOf(ctx)
	}
}

// measure switches m on.
func (d *desk) measure(m *meters) {
	for {
		m.next = d.meters.Load()
		if d.meters.CompareAndSwap(m.next, m) {
			return
		}
	}
}

func (s *Subscription[T]) board() *desk { return &s.hub.desk }
