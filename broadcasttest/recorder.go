package broadcasttest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast"
)

// Recorder is a subscriber that keeps what it receives, in order. Make one with
// Record, Slow, Stuck or RecordChan. All methods may be called by any number of
// goroutines at once.
type Recorder[T any] struct {
	src  broadcast.Stream[T] // nil for a channel
	stop context.CancelFunc
	done chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	events  []T           // guarded by mu
	pace    time.Duration // negative: stuck. Guarded by mu
	changed chan struct{} // closed when events or pace change, if anyone waits for that, else nil. Guarded by mu
	ended   bool          // nothing comes any more. Guarded by mu
	closed  bool          // the channel was closed. Guarded by mu
}

// stuck is the pace of a recorder that takes nothing.
const stuck = -1

// Record takes the events of src, such as a subscription, as they come, until
// src ends. It calls broadcast.Handle, so Shutdown of the hub waits for it.
func Record[T any](src broadcast.Stream[T]) *Recorder[T] { return Slow(src, 0) }

// Slow is Record with a pause after each event before the next one is taken. It
// panics if pace is negative.
func Slow[T any](src broadcast.Stream[T], pace time.Duration) *Recorder[T] {
	checkPace("Slow", pace)
	return record(src, pace)
}

// Stuck is a subscriber that takes nothing until Release or SetPace is called.
func Stuck[T any](src broadcast.Stream[T]) *Recorder[T] { return record(src, stuck) }

func record[T any](src broadcast.Stream[T], pace time.Duration) *Recorder[T] {
	return start(src, pace, func(ctx context.Context, r *Recorder[T]) {
		_ = broadcast.Handle(ctx, src, func(ctx context.Context, event T) error {
			r.add(event)
			r.pause(ctx, time.Now())
			return nil
		}) // Err of src tells as much
	})
}

// RecordChan takes what comes from ch until it is closed. With a channel there
// are no counts of a hub to compare with: give CheckConservation a Counted.
func RecordChan[T any](ch <-chan T) *Recorder[T] {
	return start(nil, 0, func(ctx context.Context, r *Recorder[T]) {
		for {
			select {
			case event, ok := <-ch:
				if !ok {
					r.mu.Lock()
					r.closed = true
					r.mu.Unlock()
					return
				}
				r.add(event)
				r.pause(ctx, time.Now())
			case <-ctx.Done():
				return
			}
		}
	})
}

func start[T any](src broadcast.Stream[T], pace time.Duration, run func(context.Context, *Recorder[T])) *Recorder[T] {
	ctx, stop := context.WithCancel(context.Background())
	r := &Recorder[T]{src: src, pace: pace, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		defer stop()
		if pace == stuck {
			r.pause(ctx, time.Now())
		}
		run(ctx, r)
		r.mu.Lock()
		r.ended = true
		r.changeLocked()
		r.mu.Unlock()
	}()
	return r
}

// Events returns what was received so far. It never blocks.
func (r *Recorder[T]) Events() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Count returns how many events were received so far. It never blocks.
func (r *Recorder[T]) Count() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return uint64(len(r.events))
}

// Wait waits until n events were received, and returns these n. If the stream or
// ctx ends before, it returns what was received, and an error that says how much
// that is and wraps Err or the cause of ctx.
func (r *Recorder[T]) Wait(ctx context.Context, n int) ([]T, error) {
	for {
		r.mu.Lock()
		got, ended, changed := len(r.events), r.ended, r.changeToComeLocked()
		r.mu.Unlock()
		switch {
		case got >= n:
			return r.Events()[:max(n, 0)], nil
		case ended:
			return r.Events(), fmt.Errorf("broadcasttest: %d of %d events, then the end: %w", got, n, r.Err())
		}
		select {
		case <-changed:
		case <-ctx.Done():
			events := r.Events()
			return events, fmt.Errorf("broadcasttest: %d of %d events: %w", len(events), n, context.Cause(ctx))
		}
	}
}

// WaitEnd waits until the stream has ended and the rest of it was received, or
// until Close, and returns all that was received. If ctx ends before, it returns
// what was received so far, and an error that wraps the cause of ctx.
func (r *Recorder[T]) WaitEnd(ctx context.Context) ([]T, error) {
	select {
	case <-r.done:
		return r.Events(), nil
	case <-ctx.Done():
		events := r.Events()
		return events, fmt.Errorf("broadcasttest: %d events and no end: %w", len(events), context.Cause(ctx))
	}
}

// SetPace sets the pause after each event. A pause that is going on is counted
// from its own beginning. It panics if pace is negative.
func (r *Recorder[T]) SetPace(pace time.Duration) {
	checkPace("SetPace", pace)
	r.setPace(pace)
}

// Stick stops the recorder from taking anything: one event may still come, if
// it is waiting for that already. Release undoes it.
func (r *Recorder[T]) Stick() { r.setPace(stuck) }

// Release has the recorder take events as they come from now on, be it stuck or
// slow.
func (r *Recorder[T]) Release() { r.setPace(0) }

// Close stops the recorder, however slow or stuck it is, and returns when its
// goroutine has ended. It closes the stream; what was buffered stays there. A
// channel is left alone.
func (r *Recorder[T]) Close() {
	r.stop()
	<-r.done
}

// Err returns that of the stream: nil while it is live, then why it ended. Of a
// channel it is ErrClosed once the channel or the recorder is closed.
func (r *Recorder[T]) Err() error {
	if r.src != nil {
		return r.src.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.ended {
		return broadcast.ErrClosed
	}
	return nil
}

// Stats returns what the hub knows of the subscription. For a channel it is
// only what was received.
func (r *Recorder[T]) Stats() broadcast.SubscriptionStats {
	if r.src != nil {
		return r.src.Stats()
	}
	n := r.Count()
	return broadcast.SubscriptionStats{Offered: n, Received: n}
}

func (r *Recorder[T]) add(event T) {
	r.mu.Lock()
	r.events = append(r.events, event)
	r.changeLocked()
	r.mu.Unlock()
}

func (r *Recorder[T]) setPace(pace time.Duration) {
	r.mu.Lock()
	r.pace = pace
	r.changeLocked()
	r.mu.Unlock()
}

// pause waits as long as the pace says, counted from start.
func (r *Recorder[T]) pause(ctx context.Context, start time.Time) {
	for {
		r.mu.Lock()
		pace := r.pace
		if pace == 0 {
			r.mu.Unlock()
			return
		}
		changed := r.changeToComeLocked()
		r.mu.Unlock()
		var over <-chan time.Time
		if pace != stuck {
			over = time.After(pace - time.Since(start))
		}
		select {
		case <-over:
			return
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (r *Recorder[T]) changeToComeLocked() <-chan struct{} {
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.changed
}

func (r *Recorder[T]) changeLocked() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

func checkPace(fn string, pace time.Duration) {
	if pace < 0 {
		panic("broadcasttest: " + fn + ": negative pace: pass 0 (as they come) or more")
	}
}
