package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/stretchr/testify/require"
)

// counted is a source that counts the Runs of each pattern, and how many there were
// at once.
type counted struct {
	*bridgetest.Memory
	leave func() // called at the end of each Run

	mu   sync.Mutex
	now  map[string]int
	most int
}

func newCounted(can bridge.Capabilities, leave func()) *counted {
	return &counted{Memory: bridgetest.NewMemory(can), leave: leave, now: map[string]int{}}
}

func (c *counted) Run(ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
	c.count(pattern, 1)
	defer c.count(pattern, -1)
	defer c.leave()
	return c.Memory.Run(ctx, pattern, from, sink)
}

func (c *counted) count(pattern string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now[pattern] += n
	c.most = max(c.most, c.now[pattern])
}

func (c *counted) running() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.now {
		n += k
	}
	return n
}

const (
	churners = 1000
	patterns = 50
)

// churn has many goroutines subscribe to few patterns and leave, with Runs that fail
// now and then.
func churn(t *testing.T, c *counted, b *bridge.Bridge[string], rounds int, pause func(*rand.Rand)) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, churners)
	for i := range churners {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 7))
			for range rounds {
				errs[i] = churnOnce(c, b, rnd, pause)
				if errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

// churnOnce subscribes, publishes, and leaves; or changes its mind.
func churnOnce(c *counted, b *bridge.Bridge[string], rnd *rand.Rand, pause func(*rand.Rand)) error {
	pattern := fmt.Sprint("topic.", rnd.IntN(patterns))
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	if rnd.IntN(4) == 0 {
		go cancel()
	}
	var s broadcast.Stream[bridge.Event[string]]
	var err error
	if rnd.IntN(2) == 0 {
		s, err = b.Subscribe(ctx, pattern)
	} else {
		s, err = b.NewReader(ctx, pattern)
	}
	if ctx.Err() != nil {
		if err == nil {
			s.Close()
		}
		return nil
	}
	switch {
	case errors.Is(err, errBad): // another one has made this start fail
		return nil
	case err != nil:
		return err
	}
	defer s.Close()
	publish(c.Memory, pattern, "x")
	if rnd.IntN(200) == 0 {
		c.Fail(pattern, errBad)
	}
	pause(rnd)
	return nil
}

// At most one Run for each pattern, whoever comes and goes, and none behind the
// linger.
func TestChurn_OneRunPerPattern(t *testing.T) {
	for _, linger := range []time.Duration{0, time.Millisecond, time.Second} {
		bubble(t, fmt.Sprint("linger=", linger), func(t *testing.T) {
			c := newCounted(radio, func() { time.Sleep(100 * time.Microsecond) })
			b := newBridge(t, c, bridge.WithLinger(linger), bridge.WithHub(1, broadcast.DropOldest), bridge.WithBackoff(1, time.Millisecond))
			churn(t, c, b, 4, func(rnd *rand.Rand) { time.Sleep(time.Duration(rnd.IntN(3_000_000))) })
			time.Sleep(linger + time.Second)
			synctest.Wait()
			require.Zero(t, c.running())
			require.Equal(t, 1, c.most)
			require.Empty(t, states(b))
		})
	}
}

// The same in real time, where goroutines run at once.
func TestChurn_ConcurrentSafe(t *testing.T) {
	for _, linger := range []time.Duration{0, time.Microsecond, 100 * time.Microsecond} {
		c := newCounted(radio, func() {
			for range 100 {
				runtime.Gosched()
			}
		})
		b := newBridge(t, c, bridge.WithLinger(linger), bridge.WithHub(1, broadcast.DropOldest), bridge.WithBackoff(1, time.Millisecond))
		churn(t, c, b, 4, func(*rand.Rand) {})
		b.Close()
		require.Zero(t, c.running())
		require.Equal(t, 1, c.most)
	}
}
