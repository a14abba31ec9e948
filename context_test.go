package broadcast_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// countedContext is a context of the user's own that knows who is registered
// with it.
type countedContext struct {
	context.Context // has neither end nor values

	done   chan struct{}
	onStop func() // called by each stop function; may be nil

	mu    sync.Mutex
	err   error
	fns   map[int]func()
	calls int
}

func newCountedContext() *countedContext {
	return &countedContext{Context: bg, done: make(chan struct{}), fns: map[int]func(){}}
}

func (c *countedContext) Done() <-chan struct{} { return c.done }

func (c *countedContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// AfterFunc is what context.AfterFunc calls if a context has it.
func (c *countedContext) AfterFunc(fn func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	id := c.calls
	c.fns[id] = fn
	return func() bool {
		if c.onStop != nil {
			c.onStop()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		_, there := c.fns[id]
		delete(c.fns, id)
		return there
	}
}

func (c *countedContext) registered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.fns)
}

func (c *countedContext) end(err error) {
	c.mu.Lock()
	c.err = err
	fns := c.fns
	c.fns = map[int]func(){}
	c.mu.Unlock()
	close(c.done)
	for _, fn := range fns {
		go fn()
	}
}

func TestWithContext(t *testing.T) {
	bubble(t, "ends with the context", func(t *testing.T) {
		a := newAudit(newHub[int](t, 3, broadcast.Block))
		ctx, cancel := context.WithCancelCause(bg)
		w := a.subscribe(broadcast.Block, 3, broadcast.WithContext(ctx))
		require.NoError(t, a.publish(bg, 1, 2))
		cancel(errTest)
		synctest.Wait()
		require.Equal(t, errTest, w.Err())
		require.Zero(t, a.hub.Len())
		require.NoError(t, a.publish(bg, 3))
		w.consume()
		require.Equal(t, []int{1, 2}, w.got)
		checkLaws(t, a)
	})
	bubble(t, "deadline", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block)
		ctx, cancel := context.WithTimeout(bg, time.Minute)
		defer cancel()
		w := hub.Subscribe(broadcast.WithContext(ctx))
		time.Sleep(time.Minute - 1)
		require.NoError(t, w.Err())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, context.DeadlineExceeded, w.Err())
	})
	bubble(t, "done before", func(t *testing.T) {
		a := newAudit(newHub[int](t, 2, broadcast.Block))
		ctx, cancel := context.WithCancelCause(bg)
		cancel(errTest)
		w := a.subscribe(broadcast.Block, 2, broadcast.WithContext(ctx), broadcast.WithName("late"))
		require.Equal(t, errTest, w.Err())
		require.Zero(t, a.hub.Len())
		w.consume() // ends: the channel is closed
		w.Close()
		require.Equal(t, broadcast.SubscriptionStats{Name: "late", Cap: 2}, w.Stats())
		require.NoError(t, a.publish(bg, 1))
		checkLaws(t, a)
		require.EqualValues(t, 1, a.hub.Subscribe().Stats().ID, "the ended one took no number")
	})
	bubble(t, "done before, hub closed", func(t *testing.T) {
		hub := newHub[int](t, 2, broadcast.Block)
		hub.Close()
		ctx, cancel := context.WithCancelCause(bg)
		cancel(errTest)
		require.Equal(t, errTest, hub.Subscribe(broadcast.WithContext(ctx)).Err())
	})
	bubble(t, "ends while it subscribes", func(t *testing.T) {
		for i := range 300 {
			a := newAudit(newHub[int](t, 1, broadcast.Block))
			ctx, cancel := context.WithCancelCause(bg)
			go cancel(errTest)
			if i%2 == 0 {
				go a.hub.Close()
			}
			w := a.subscribe(broadcast.Block, 1, broadcast.WithContext(ctx))
			w.consume() // ends: the channel is closed
			if err := w.Err(); err != broadcast.ErrClosed || i%2 == 1 {
				require.Equal(t, errTest, err)
			}
			synctest.Wait()
			require.Zero(t, a.hub.Len())
			checkLaws(t, a)
		}
	})
	bubble(t, "what never ends", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block)
		w := hub.Subscribe(broadcast.WithContext(context.WithoutCancel(bg)))
		require.NoError(t, w.Err())
		w.Close()
		require.Equal(t, broadcast.ErrClosed, w.Err())
	})
}

// Nothing stays registered with the context of a subscription that has ended,
// whatever ended it.
func TestWithContext_Released(t *testing.T) {
	ends := map[string]func(*countedContext, *audit[int], *witness[int]){
		"own close":  func(_ *countedContext, _ *audit[int], w *witness[int]) { w.Close() },
		"hub close":  func(_ *countedContext, a *audit[int], _ *witness[int]) { a.hub.Close() },
		"context":    func(c *countedContext, _ *audit[int], _ *witness[int]) { c.end(errTest) },
		"eject":      func(_ *countedContext, a *audit[int], _ *witness[int]) { _ = a.publish(bg, 2) },
		"batch":      func(_ *countedContext, a *audit[int], _ *witness[int]) { _, _ = a.hub.PublishBatch(bg, []int{2, 3}) },
		"late eject": func(_ *countedContext, a *audit[int], _ *witness[int]) { _ = a.publish(bg, 2) },
	}
	for name, end := range ends {
		bubble(t, name, func(t *testing.T) {
			a := newAudit(newHub[int](t, 1, broadcast.Eject))
			ctx := newCountedContext()
			var policy broadcast.Policy = broadcast.Eject
			if name == "late eject" {
				policy = broadcast.BlockFor(time.Second, broadcast.Eject)
			}
			w := a.subscribe(policy, 1, broadcast.WithContext(ctx))
			require.NoError(t, a.publish(bg, 1))
			require.Equal(t, 1, ctx.registered())
			end(ctx, a, w)
			synctest.Wait()
			require.Error(t, w.Err())
			require.Zero(t, ctx.registered())
		})
	}
}

// The context's own code runs outside every lock and after the turn was given
// back, so it may even publish.
func TestWithContext_StopMayCallTheHub(t *testing.T) {
	bubble(t, "eject", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Eject)
		ctx := newCountedContext()
		stops := 0
		ctx.onStop = func() {
			stops++
			hub.Subscribe().Close()
			if err := hub.Publish(bg, 7); err != nil {
				t.Errorf("Publish: %v", err)
			}
		}
		hub.Subscribe(broadcast.WithContext(ctx))
		hub.Subscribe(broadcast.WithContext(ctx), broadcast.WithFilter(func(int) bool { return true }))
		require.NoError(t, hub.Publish(bg, 1))
		require.NoError(t, hub.Publish(bg, 2))
		require.Equal(t, 2, stops)
		require.Zero(t, hub.Len())
	})
	bubble(t, "close", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block)
		ctx := newCountedContext()
		stops := 0
		ctx.onStop = func() { stops++; hub.Close(); hub.Subscribe().Close(); _ = hub.Stats() }
		one := hub.Subscribe(broadcast.WithContext(ctx))
		hub.Subscribe(broadcast.WithContext(ctx))
		one.Close()
		hub.Close()
		require.Equal(t, 2, stops)
		require.Zero(t, ctx.registered())
	})
}
