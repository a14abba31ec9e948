package broadcast

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Stream is what Handle takes its events from: a *Subscription or a *Reader. It cannot
// be implemented outside of this package.
type Stream[T any] interface {
	Close()
	Err() error
	Stats() SubscriptionStats

	// take waits for the next event. Without one, it tells whether the stream has
	// ended; else ctx has.
	take(ctx context.Context) (event T, ok, ended bool)
	// forsake tells the hub, when it is closed, not to wait until what is left has
	// been read.
	forsake()
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
// of fn. Several calls of Handle may share one src, unless it is a reader: each event goes to one of
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
	d.begin(src.base())
	defer func() {
		src.Close()
		if d.end(src.base()) {
			src.forsake()
		}
		d.running.Add(-1) // last: Shutdown waits for this
	}()
	for {
		event, ok, ended := src.take(ctx)
		switch {
		case ended && src.Err() == ErrClosed: //nolint:errorlint // with a reason it is wrapped, and returned
			return nil
		case ended:
			return src.Err()
		case !ok:
			return causeOf(ctx)
		}
		if err := handleOne(ctx, d, src.base(), event, fn); err != nil && c.stopOnError {
			return err
		}
	}
}

// handleOne calls fn for one event and accounts for how that went.
func handleOne[T any](ctx context.Context, d *desk, m *member, event T, fn func(context.Context, T) error) error {
	meters := d.meters.Load()
	var start time.Time
	if meters != nil {
		start = time.Now()
	}
	panicked, err := call(ctx, event, fn)
	if meters != nil {
		meters.handled(reflect.TypeOf(event), time.Since(start), panicked, err)
	}
	switch {
	case panicked != nil:
		d.panics.Add(1)
		d.losses.notePanic(m, panicked.Value)
		return panicked
	case err != nil:
		d.errors.Add(1)
	}
	return err
}

// call tells a panic of fn from an error that it returned.
func call[T any](ctx context.Context, event T, fn func(context.Context, T) error) (panicked *PanicError, err error) {
	defer func() {
		if v := recover(); v != nil {
			panicked = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return nil, fn(ctx, event)
}

// desk is where a hub keeps what concerns handlers and meters.
type desk struct {
	running atomic.Int64  // calls of Handle
	errors  atomic.Uint64 // calls of a handler that returned one
	panics  atomic.Uint64 // calls of a handler that panicked
	meters  atomic.Pointer[meters]
	losses  *losses // nil unless there is a logger; written once, by New

	mu     sync.Mutex
	takers map[*member]int // calls of Handle by what they take from; guarded by mu
}

// begin and end count the calls of Handle that take from m; end tells whether
// that was the last one.
func (d *desk) begin(m *member) {
	d.running.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.takers == nil {
		d.takers = map[*member]int{}
	}
	d.takers[m]++
}

func (d *desk) end(m *member) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.takers[m]--
	if d.takers[m] > 0 {
		return false
	}
	delete(d.takers, m)
	return true
}

// take is a receive that ctx can end, first of all.
func (s *Subscription[T]) take(ctx context.Context) (event T, ok, ended bool) {
	if ctx.Err() != nil {
		return event, false, false
	}
	select {
	case event, ok = <-s.ch:
		return event, ok, !ok
	case <-ctx.Done():
		return event, false, false
	}
}

// forsaken is the place of a subscription that nobody takes from any more.
const forsaken = -2

func (s *Subscription[T]) forsake() {
	h := s.hub
	h.turn.mu.Lock()
	defer h.turn.mu.Unlock()
	if h.closed != nil {
		s.at = forsaken
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
