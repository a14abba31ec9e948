package broadcast_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

func TestHandle(t *testing.T) {
	bubble(t, "one call for each event, in order", handleInOrder)
	bubble(t, "errors and panics are counted and skipped", handleSkips)
	bubble(t, "how it ends", handleEnds)
	bubble(t, "a stream that has ended is drained first", handleDrains)
	bubble(t, "a context that is done takes nothing", handleContextDone)
	bubble(t, "cancel while it waits", handleCanceledWaiting)
	bubble(t, "cancel under constant load", handleCanceledUnderLoad)
	bubble(t, "closes its stream", handleClosesStream)
	bubble(t, "runtime.Goexit in the handler", handleGoexit)
	bubble(t, "the handler may call anything", handleCallsAnything)
	bubble(t, "the handler closes the hub", handleClosesHub)
	bubble(t, "several calls on one stream", handleShared)
	bubble(t, "one of several calls fails", handleSharedFails)
	bubble(t, "several hubs count apart", handleCountsApart)
}

func TestHandle_StopOnError(t *testing.T) {
	bubble(t, "an error", stopAtError)
	bubble(t, "a panic", stopAtPanic)
	bubble(t, "no error", stopWithoutError)
	bubble(t, "an error like that of a closed hub", stopAtErrClosed)
}

func TestHandle_Shutdown(t *testing.T) {
	bubble(t, "waits for the handler", shutdownWaitsForHandler)
	bubble(t, "its error says what it waits for", shutdownNamesHandler)
	bubble(t, "waits for the buffered events", shutdownWaitsForEvents)
	bubble(t, "waits for none that was never called", shutdownWithoutHandle)
}

func TestHandle_Logged(t *testing.T) {
	bubble(t, "a panic, at once", logPanic)
	bubble(t, "one line a second", logPanicsOneLineASecond)
	bubble(t, "errors are not", logNoErrors)
}

// handling is a call of Handle on a goroutine of its own, that keeps what the
// handler was called with.
type handling[T any] struct {
	running[error]
	mu  sync.Mutex
	got []T
}

// handled calls Handle, and fn, which may be nil, for each event.
func handled[T any](ctx context.Context, src broadcast.Stream[T], fn func(context.Context, T) error, opts ...broadcast.HandleOption) *handling[T] {
	h := &handling[T]{}
	h.running = async(func() error {
		return broadcast.Handle(ctx, src, func(ctx context.Context, event T) error {
			h.mu.Lock()
			h.got = append(h.got, event)
			h.mu.Unlock()
			if fn == nil {
				return nil
			}
			return fn(ctx, event)
		}, opts...)
	})
	return h
}

// events is what the handler was called with so far.
func (h *handling[T]) events() []T {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.got)
}

func publishAll[T any](t testing.TB, hub *broadcast.Hub[T], events ...T) {
	t.Helper()
	for _, e := range events {
		require.NoError(t, hub.Publish(bg, e))
	}
}

func handleInOrder(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(bg, key{}, "its own")
	hub := newHub[int](t, 2, broadcast.Block)
	s := hub.Subscribe()
	h := handled(ctx, s, func(got context.Context, _ int) error {
		if got != ctx {
			t.Errorf("the handler got context %v, want that of Handle", got)
		}
		return nil
	})
	publishAll(t, hub, span(1, 100)...)
	require.Equal(t, span(1, 100), h.events())
	require.EqualValues(t, 100, s.Stats().Received)
	h.requireBlocked(t, "Handle of a live stream")
	hub.Close()
	require.NoError(t, h.returned(t, "Handle of a closed hub"))
	require.Zero(t, hub.Stats().HandlerErrors+hub.Stats().HandlerPanics)
}

func handleSkips(t *testing.T) {
	hub := newHub[int](t, 16, broadcast.Block)
	h := handled(bg, hub.Subscribe(), func(_ context.Context, e int) error {
		switch {
		case e%5 == 0:
			panic(e)
		case e == 9: // of another Handle, it is an error like any other
			return &broadcast.PanicError{Value: e}
		case e == 12:
			var none *broadcast.PanicError
			return none
		case e%3 == 0:
			return errTest
		}
		return nil
	})
	publishAll(t, hub, span(1, 15)...)
	require.Equal(t, span(1, 15), h.events())
	st := hub.Stats()
	require.EqualValues(t, 4, st.HandlerErrors)
	require.EqualValues(t, 3, st.HandlerPanics)
	require.Zero(t, st.Dropped, "a failed call is no lost delivery")
	hub.Close()
	require.NoError(t, h.returned(t, "Handle"))
	require.EqualValues(t, 4, hub.Stats().HandlerErrors, "after Close")
}

// What Handle returns for each way in which a stream ends.
func handleEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(bg)
	defer cancel(nil)
	for _, c := range []struct {
		name string
		opts []broadcast.SubscribeOption
		end  func(hub *broadcast.Hub[int], s *broadcast.Subscription[int])
		want []error // none: nil
	}{
		{name: "its Close", end: func(_ *broadcast.Hub[int], s *broadcast.Subscription[int]) { s.Close() }},
		{name: "the hub's Close", end: func(hub *broadcast.Hub[int], _ *broadcast.Subscription[int]) { hub.Close() }},
		{
			name: "the hub's Close with a reason",
			end:  func(hub *broadcast.Hub[int], _ *broadcast.Subscription[int]) { hub.CloseWithError(errTest) },
			want: []error{broadcast.ErrClosed, errTest},
		},
		{
			name: "an eject",
			opts: []broadcast.SubscribeOption{broadcast.WithPolicy(broadcast.Eject), broadcast.WithBuffer(0)},
			end: func(hub *broadcast.Hub[int], _ *broadcast.Subscription[int]) {
				// The handler has the first event in hand, and there is no buffer.
				_ = hub.Publish(bg, 1)
				_ = hub.Publish(bg, 2)
			},
			want: []error{broadcast.ErrEjected},
		},
		{
			name: "its context",
			opts: []broadcast.SubscribeOption{broadcast.WithContext(ctx)},
			end:  func(*broadcast.Hub[int], *broadcast.Subscription[int]) { cancel(errTest) },
			want: []error{errTest},
		},
	} {
		hub := newHub[int](t, 1, broadcast.Block)
		s := hub.Subscribe(c.opts...)
		h := handled(bg, s, func(context.Context, int) error { time.Sleep(time.Second); return nil })
		h.requireBlocked(t, c.name)
		c.end(hub, s)
		time.Sleep(time.Second)
		err := h.returned(t, c.name)
		if len(c.want) == 0 {
			require.NoError(t, err, c.name)
		}
		for _, want := range c.want {
			require.ErrorIs(t, err, want, c.name)
			require.Equal(t, s.Err(), err, c.name)
		}
	}
}

func handleDrains(t *testing.T) {
	hub := newHub[int](t, 3, broadcast.Eject)
	s := hub.Subscribe()
	publishAll(t, hub, 1, 2, 3, 4)
	h := handled(bg, s, nil)
	require.Equal(t, []int{1, 2, 3}, h.events())
	require.ErrorIs(t, h.returned(t, "Handle of an ejected stream"), broadcast.ErrEjected)

	hub.Close()
	require.NoError(t, handled(bg, hub.Subscribe(), nil).returned(t, "Handle of a stream that never was live"))
}

func handleContextDone(t *testing.T) {
	hub := newHub[int](t, 3, broadcast.Block)
	s := hub.Subscribe()
	publishAll(t, hub, 1, 2, 3)
	ctx, cancel := context.WithCancelCause(bg)
	cancel(errTest)
	h := handled(ctx, s, nil)
	require.Equal(t, errTest, h.returned(t, "Handle with a context that is done"))
	require.Empty(t, h.events())
	require.Equal(t, 3, s.Stats().Len, "nothing is taken")
	require.Equal(t, broadcast.ErrClosed, s.Err())
}

func handleCanceledWaiting(t *testing.T) {
	hub := newHub[int](t, 3, broadcast.Block)
	ctx, cancel := context.WithCancelCause(bg)
	s := hub.Subscribe()
	h := handled(ctx, s, nil)
	h.requireBlocked(t, "Handle without events")
	cancel(errTest)
	require.Equal(t, errTest, h.returned(t, "Handle whose context ended"))
	require.Equal(t, broadcast.ErrClosed, s.Err())
	require.Zero(t, hub.Len())
}

// An event is ready at every moment, and yet the first look after the cancel
// ends it.
func handleCanceledUnderLoad(t *testing.T) {
	hub := newHub[int](t, 4, broadcast.Block)
	ctx, cancel := context.WithCancelCause(bg)
	s := hub.Subscribe()
	load := async(func() error {
		for i := 0; s.Err() == nil; i++ {
			if err := hub.Publish(bg, i); err != nil {
				return err
			}
		}
		return nil
	})
	load.requireBlocked(t, "publisher ahead of its consumer")
	h := handled(ctx, s, func(_ context.Context, e int) error {
		time.Sleep(time.Nanosecond) // until the buffer is full again
		if e == 100 {
			cancel(errTest)
		}
		return nil
	})
	require.Equal(t, errTest, <-h.result)
	require.Equal(t, span(0, 100), h.events())
	require.NoError(t, load.returned(t, "publisher of a stream that has left"))
}

// However Handle ends, a hub with Block goes on.
func handleClosesStream(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	ctx, cancel := context.WithCancel(bg)
	s := hub.Subscribe()
	resume := make(chan struct{})
	h := handled(ctx, s, func(context.Context, int) error { <-resume; return nil })
	publishAll(t, hub, 1) // in hand
	synctest.Wait()
	publishAll(t, hub, 2) // buffered
	p := async(func() error { return hub.Publish(bg, 3) })
	p.requireBlocked(t, "publish to a full subscription")
	cancel()
	p.requireBlocked(t, "publish while the handler runs")
	close(resume)
	require.Equal(t, context.Canceled, h.returned(t, "Handle whose context ended"))
	require.NoError(t, p.returned(t, "publish after Handle has returned"))
	require.Equal(t, broadcast.ErrClosed, s.Err())
	require.Equal(t, broadcast.SubscriptionStats{ID: 1, Len: 1, Cap: 1, Offered: 3, Received: 1, Dropped: 1}, s.Stats())
}

// It ends the goroutine, as a failed test does, and Handle with it; nobody is
// held up by that.
func handleGoexit(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	s := hub.Subscribe()
	h := handled(bg, s, func(context.Context, int) error { runtime.Goexit(); return nil })
	publishAll(t, hub, 1, 2, 3)
	require.Equal(t, []int{1}, h.events())
	require.Equal(t, broadcast.ErrClosed, s.Err())
	require.Zero(t, hub.Stats().HandlerErrors+hub.Stats().HandlerPanics)
	s.Close()
	for range s.C() {
	}
	require.NoError(t, hub.Shutdown(bg))
}

func handleCallsAnything(t *testing.T) {
	hub := newHub[int](t, 4, broadcast.Block)
	a := newAudit(hub)
	s := a.subscribe(broadcast.Block, 4)
	h := handled(bg, s.Subscription, func(ctx context.Context, e int) error {
		if e == 3 {
			s.Close()
			return nil
		}
		a.subscribe(broadcast.DropNewest, 1)
		_ = hub.Stats()
		for range hub.Subscriptions() {
		}
		return a.publish(ctx, e+1)
	})
	a.timeline = append(a.timeline, 1)
	require.NoError(t, hub.Publish(bg, 1))
	require.NoError(t, h.returned(t, "Handle whose handler closed its stream"))
	require.Equal(t, []int{1, 2, 3}, h.events())
	require.Zero(t, hub.Stats().HandlerErrors)
	s.got = h.events()
	checkLaws(t, a)
}

// What was buffered is still handled: it was published.
func handleClosesHub(t *testing.T) {
	hub := newHub[int](t, 4, broadcast.Block)
	s := hub.Subscribe()
	publishAll(t, hub, 1, 2, 3)
	h := handled(bg, s, func(_ context.Context, e int) error { hub.CloseWithError(errTest); return nil })
	require.ErrorIs(t, h.returned(t, "Handle whose handler closed the hub"), errTest)
	require.Equal(t, []int{1, 2, 3}, h.events())
}

func handleShared(t *testing.T) {
	hub := newHub[int](t, 4, broadcast.Block)
	a := newAudit(hub)
	s := a.subscribe(broadcast.Block, 4)
	var calls []*handling[int]
	for range 4 {
		calls = append(calls, handled(bg, s.Subscription, func(context.Context, int) error {
			time.Sleep(time.Millisecond)
			return nil
		}))
	}
	start := time.Now()
	require.NoError(t, a.publish(bg, span(1, 400)...))
	hub.Close()
	time.Sleep(time.Second)
	for _, h := range calls {
		require.NoError(t, h.returned(t, "Handle of a closed hub"))
		require.True(t, slices.IsSorted(h.got), "each call has its events in order: %v", h.got)
		require.Len(t, h.got, 100, "all four work at once")
		s.got = append(s.got, h.got...)
	}
	require.Equal(t, time.Second+98*time.Millisecond, time.Since(start).Truncate(time.Millisecond))
	slices.Sort(s.got)
	checkLaws(t, a)
}

// It closes the stream for the others too, which end as for any other Close.
func handleSharedFails(t *testing.T) {
	hub := newHub[int](t, 4, broadcast.Block)
	s := hub.Subscribe()
	first := handled(bg, s, nil)
	first.requireBlocked(t, "Handle without events")
	second := handled(bg, s, func(context.Context, int) error { return errTest }, broadcast.StopOnError())
	for i := 0; s.Err() == nil; i++ {
		publishAll(t, hub, i)
		synctest.Wait()
	}
	require.Equal(t, errTest, second.returned(t, "Handle whose handler failed"))
	require.NoError(t, first.returned(t, "Handle of the same stream"))
}

func handleCountsApart(t *testing.T) {
	one, other := newHub[int](t, 4, broadcast.Block), newHub[int](t, 4, broadcast.Block)
	h := handled(bg, one.Subscribe(), func(context.Context, int) error { return errTest })
	publishAll(t, one, 1, 2)
	publishAll(t, other, 1)
	require.Len(t, h.events(), 2)
	require.EqualValues(t, 2, one.Stats().HandlerErrors)
	require.Zero(t, other.Stats().HandlerErrors)
}

func stopAtError(t *testing.T) {
	hub := newHub[int](t, 8, broadcast.Block)
	s := hub.Subscribe()
	publishAll(t, hub, span(1, 5)...)
	h := handled(bg, s, func(_ context.Context, e int) error {
		if e < 3 {
			return nil
		}
		return fmt.Errorf("event %d: %w", e, errTest)
	}, broadcast.StopOnError())
	err := h.returned(t, "Handle whose handler failed")
	require.EqualError(t, err, "event 3: "+errTest.Error(), "the first, as it is")
	require.ErrorIs(t, err, errTest)
	require.Equal(t, span(1, 3), h.events())
	require.Equal(t, broadcast.ErrClosed, s.Err())
	require.EqualValues(t, 1, hub.Stats().HandlerErrors)
	require.Equal(t, 2, s.Stats().Len, "the rest was not taken")
}

func stopAtPanic(t *testing.T) {
	for _, value := range []any{errTest, "text", 7, nil} {
		hub := newHub[int](t, 8, broadcast.Block)
		s := hub.Subscribe()
		publishAll(t, hub, 1, 2)
		h := handled(bg, s, func(context.Context, int) error { panicWith(value); return nil }, broadcast.StopOnError())
		err := h.returned(t, "Handle whose handler panicked")
		var p *broadcast.PanicError
		require.ErrorAs(t, err, &p)
		require.Contains(t, string(p.Stack), "broadcast_test.panicWith", "where it panicked")
		require.Contains(t, err.Error(), "broadcast: handler panicked: ")
		require.Contains(t, err.Error(), string(p.Stack))
		switch value {
		case nil:
			var none *runtime.PanicNilError
			require.ErrorAs(t, err, &none)
		case errTest:
			require.ErrorIs(t, err, errTest)
			require.Equal(t, errTest, p.Value)
		default:
			require.Equal(t, value, p.Value)
			require.NoError(t, errors.Unwrap(err))
			require.Contains(t, err.Error(), fmt.Sprint(value))
		}
		require.Equal(t, []int{1}, h.events())
		require.EqualValues(t, 1, hub.Stats().HandlerPanics)
		require.Zero(t, hub.Stats().HandlerErrors)
		require.Equal(t, broadcast.ErrClosed, s.Err())
	}
}

// panicWith is a frame to look for in the stack.
//
//go:noinline
func panicWith(value any) { panic(value) }

func stopWithoutError(t *testing.T) {
	hub := newHub[int](t, 8, broadcast.Block)
	h := handled(bg, hub.Subscribe(), nil, broadcast.StopOnError())
	publishAll(t, hub, 1, 2, 3)
	hub.Close()
	require.NoError(t, h.returned(t, "Handle of a closed hub"))
	require.Equal(t, span(1, 3), h.events())
}

// A handler that publishes to another hub may well return this.
func stopAtErrClosed(t *testing.T) {
	hub := newHub[int](t, 8, broadcast.Block)
	h := handled(bg, hub.Subscribe(), func(context.Context, int) error { return broadcast.ErrClosed }, broadcast.StopOnError())
	publishAll(t, hub, 1)
	require.Equal(t, broadcast.ErrClosed, h.returned(t, "Handle whose handler failed"))
}

func shutdownWaitsForHandler(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	resume := make(chan struct{})
	h := handled(bg, hub.Subscribe(), func(context.Context, int) error { <-resume; return nil })
	publishAll(t, hub, 1)
	synctest.Wait()
	down := async(func() error { return hub.Shutdown(bg) })
	time.Sleep(time.Minute)
	down.requireBlocked(t, "Shutdown while a handler runs")
	h.requireBlocked(t, "Handle")
	close(resume)
	require.NoError(t, h.returned(t, "Handle of a closed hub"))
	time.Sleep(time.Second)
	require.NoError(t, down.returned(t, "Shutdown after the handler has returned"))
}

func shutdownNamesHandler(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	resume := make(chan struct{})
	h := handled(bg, hub.Subscribe(broadcast.WithName("slow")), func(context.Context, int) error { <-resume; return nil })
	publishAll(t, hub, 1)
	synctest.Wait()
	ctx, cancel := context.WithTimeoutCause(bg, time.Second, errTest)
	defer cancel()
	err := hub.Shutdown(ctx)
	require.ErrorIs(t, err, errTest)
	require.ErrorContains(t, err, "handler")
	close(resume)
	require.NoError(t, h.returned(t, "Handle of a closed hub"))
	require.NoError(t, hub.Shutdown(bg), "later")
}

func shutdownWaitsForEvents(t *testing.T) {
	hub := newHub[int](t, 8, broadcast.Block)
	h := handled(bg, hub.Subscribe(), func(context.Context, int) error { time.Sleep(time.Second); return nil })
	publishAll(t, hub, span(1, 5)...)
	start := time.Now()
	require.NoError(t, hub.Shutdown(bg))
	require.GreaterOrEqual(t, time.Since(start), 5*time.Second)
	require.NoError(t, h.returned(t, "Handle of a closed hub"))
	require.Equal(t, span(1, 5), h.events())
}

func shutdownWithoutHandle(t *testing.T) {
	hub := newHub[int](t, 8, broadcast.Block)
	s := hub.Subscribe()
	h := handled(bg, s, func(context.Context, int) error { return errTest }, broadcast.StopOnError())
	publishAll(t, hub, 1)
	require.Equal(t, errTest, h.returned(t, "Handle whose handler failed"))
	start := time.Now()
	require.NoError(t, hub.Shutdown(bg))
	require.Equal(t, start, time.Now(), "at once")
}

func TestHandle_WrongPrograms(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	s := hub.Subscribe()
	fn := func(context.Context, int) error { return nil }
	require.PanicsWithValue(t, "broadcast: Handle: nil context: pass context.Background() if nothing ends it", func() {
		var none context.Context
		_ = broadcast.Handle(none, s, fn)
	})
	const nilArgument = "broadcast: Handle: nil stream or function: pass both"
	require.PanicsWithValue(t, nilArgument, func() { _ = broadcast.Handle(bg, nil, fn) })
	require.PanicsWithValue(t, nilArgument, func() { _ = broadcast.Handle(bg, s, nil) })
	require.NoError(t, s.Err(), "it was not begun")
	require.NoError(t, hub.Shutdown(bg))
}

// Publishers, handlers that fail, and subscriptions that come and go.
func TestHandle_ConcurrentSafe(t *testing.T) {
	hub := newHub[int](t, 4, broadcast.Block)
	const publishers, events, streams, each = 4, 250, 3, 2
	var handlers, others sync.WaitGroup
	var mu sync.Mutex
	calls, errs, panics := 0, 0, 0
	subs := make([]*broadcast.Subscription[int], streams)
	for i := range subs {
		subs[i] = hub.Subscribe()
		for range each {
			handlers.Go(func() {
				err := broadcast.Handle(bg, subs[i], func(_ context.Context, e int) error {
					mu.Lock()
					defer mu.Unlock()
					calls++
					switch e % 10 {
					case 3:
						errs++
						return errTest
					case 7:
						panics++
						panic(e)
					}
					return nil
				})
				if err != nil {
					t.Errorf("Handle = %v, want nil", err)
				}
			})
		}
	}
	for p := range publishers {
		others.Go(func() {
			for i := range events {
				if err := hub.Publish(bg, p*events+i); err != nil {
					t.Errorf("Publish = %v, want nil", err)
				}
			}
		})
	}
	for range 2 {
		others.Go(func() {
			for range 100 {
				ctx, cancel := context.WithCancelCause(bg)
				cancel(errTest)
				if err := broadcast.Handle(ctx, hub.Subscribe(), func(context.Context, int) error { return nil }); err != errTest {
					t.Errorf("Handle = %v, want %v", err, errTest)
				}
				_ = hub.Stats()
			}
		})
	}
	others.Wait()
	require.NoError(t, hub.Shutdown(bg))
	handlers.Wait()
	require.Equal(t, streams*publishers*events, calls)
	require.EqualValues(t, errs, hub.Stats().HandlerErrors)
	require.EqualValues(t, panics, hub.Stats().HandlerPanics)
}

func logPanic(t *testing.T) {
	l := newLogbook()
	hub := newHub[int](t, 8, broadcast.Block, l.option())
	handled(bg, hub.Subscribe(broadcast.WithName("mail")), func(_ context.Context, e int) error { panic(fmt.Errorf("event %d: %w", e, errTest)) })
	publishAll(t, hub, 1)
	require.Equal(t, []string{`0s ERROR broadcast: handler panicked subscriber=mail`}, l.take())
	line := l.lines[0]
	require.EqualValues(t, 1, line.attrs["panics"].Uint64())
	require.Equal(t, "event 1: "+errTest.Error(), line.attrs["panic"].String())
	time.Sleep(time.Hour)
	require.Len(t, l.take(), 1)
}

// The lines add up to all panics, name whose handler had most, and have the
// value of the latest.
func logPanicsOneLineASecond(t *testing.T) {
	l := newLogbook()
	hub := newHub[int](t, 1, broadcast.Block, l.option())
	handled(bg, hub.Subscribe(), func(_ context.Context, e int) error { panic(e) })
	handled(bg, hub.Subscribe(), func(_ context.Context, e int) error {
		if e%2 == 0 {
			panic(e)
		}
		return nil
	})
	for i := range 251 {
		publishAll(t, hub, i)
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(time.Minute)
	lines := l.take()
	require.Len(t, lines, 4, "%q", lines)
	var panics uint64
	for i, line := range l.lines {
		require.Equal(t, time.Duration(i)*time.Second, line.at)
		require.Equal(t, "ERROR broadcast: handler panicked", line.msg)
		if i > 0 { // at event 0 either may be first
			require.Equal(t, "#1", line.attrs["subscriber"].String())
		}
		panics += line.attrs["panics"].Uint64()
		if more, ok := line.attrs["suppressed"]; ok {
			panics += more.Uint64()
		}
	}
	require.EqualValues(t, 251+126, hub.Stats().HandlerPanics)
	require.EqualValues(t, 251+126, panics)
	require.Equal(t, "250", l.lines[3].attrs["panic"].String())
}

// The handler can do that better, and knows what its errors are worth.
func logNoErrors(t *testing.T) {
	l := newLogbook()
	hub := newHub[int](t, 8, broadcast.Block, l.option())
	h := handled(bg, hub.Subscribe(), func(context.Context, int) error { return errTest })
	publishAll(t, hub, 1, 2)
	require.Len(t, h.events(), 2)
	time.Sleep(time.Hour)
	require.Empty(t, l.take())
	require.EqualValues(t, 2, hub.Stats().HandlerErrors)
}
