package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobroadcast/broadcast"
)

// measured is a load and what it costs here.
type measured struct {
	load
	n         int // subscribers that it was measured with; the rest is scaled
	held      int // and whose memory was measured
	size      int // of the events that it was measured with
	cores     int
	goroutine float64 // bytes of an idle goroutine
	costs     [kinds]cost
}

// cost is what one kind of subscriber costs.
type cost struct {
	publish time.Duration // for how long a publish occupies its caller, all parked
	rate    float64       // events a second at most, without loss
	each    float64       // bytes per subscriber, goroutine included
}

// The bounds of what is measured. What is beyond them is scaled.
const (
	mostMeasured = 20_000
	mostBytes    = 512 << 20 // of all buffers
)

// scene is what one measurement is made with.
type scene struct {
	n, buffer int
	round     time.Duration // that a measurement is to take
}

// measureAll measures each kind, and tells what it is at. The error is that of ctx.
func measureAll(ctx context.Context, l load, round time.Duration, tell func(string)) (measured, error) {
	m := measured{load: l, cores: runtime.GOMAXPROCS(0)}
	of := sizes()[len(sizes())-1]
	for _, s := range slices.Backward(sizes()) {
		if s.bytes >= l.slot() {
			of = s
		}
	}
	m.size = of.bytes
	m.n = min(l.subscribers, mostMeasured, max(1, mostBytes/(l.buffer*m.size)))
	const each = 3
	step := 0
	at := func(what string) {
		step++
		tell(fmt.Sprintf("measuring %d of %d: %s, %d subscribers", step, 1+each*kinds, what, m.n))
	}
	// What the runtime has for all is shared out among them, so there are not few.
	m.held = max(m.n, min(1000, mostBytes/(l.buffer*m.size)), 1)
	if err := m.measureMemory(ctx, of, at); err != nil {
		return m, err
	}
	for k := range kinds {
		c := &m.costs[k]
		var err error
		at(k.String() + ", a publish")
		if c.publish, err = of.parked(ctx, k, scene{m.n, l.buffer, round}); err != nil {
			return m, err
		}
		at(k.String() + ", highest rate")
		if c.rate, err = of.flatOut(ctx, k, scene{m.n, l.buffer, round}); err != nil {
			return m, err
		}
		// Both are a send or a wake-up for each subscriber.
		beyond := float64(l.subscribers) / float64(m.n)
		c.rate /= beyond
		if k == channels {
			c.publish = time.Duration(float64(c.publish) * beyond)
		}
	}
	return m, nil
}

// measureMemory measures what a subscriber of each kind holds. All of them stay until the
// last one was measured: what one gave back, the next would have for nothing.
func (m *measured) measureMemory(ctx context.Context, of sized, at func(string)) error {
	at("idle goroutines")
	each, end := goroutineBytes(m.held)
	defer end()
	m.goroutine = each
	for k := range kinds {
		at(k.String() + ", memory")
		each, end, err := of.held(ctx, k, scene{n: m.held, buffer: m.buffer})
		defer end()
		if err != nil {
			return err
		}
		m.costs[k].each = each
	}
	return nil
}

// sized are the measurements with events of one size.
type sized struct {
	bytes   int
	held    func(ctx context.Context, k kind, s scene) (each float64, end func(), err error)
	parked  func(ctx context.Context, k kind, s scene) (time.Duration, error)
	flatOut func(ctx context.Context, k kind, s scene) (float64, error)
}

func of[T any](bytes int) sized { return sized{bytes, held[T], parked[T], flatOut[T]} }

// sizes are those that can be measured: the type of an event is decided when a program is
// compiled.
func sizes() []sized {
	return []sized{
		of[[8]byte](8), of[[16]byte](16), of[[32]byte](32), of[[64]byte](64), of[[128]byte](128), of[[256]byte](256),
		of[[512]byte](512), of[[1024]byte](1 << 10), of[[2048]byte](2 << 10), of[[4096]byte](4 << 10),
		of[[8192]byte](8 << 10), of[[16384]byte](16 << 10), of[[32768]byte](largest),
	}
}

// crowd is a hub with subscribers that run.
type crowd[T any] struct {
	hub     *broadcast.Hub[T]
	running sync.WaitGroup
}

// newCrowd has n subscribers of a kind; for each of them, each is called once, and what it
// returns is called for each event.
func newCrowd[T any](k kind, n, buffer int, each func() (got func())) *crowd[T] {
	c := &crowd[T]{}
	if k == channels {
		c.hub = broadcast.New[T](buffer, broadcast.Block)
	} else {
		c.hub = broadcast.New[T](buffer, broadcast.Block, broadcast.WithRing(buffer))
	}
	for range n {
		got := each()
		switch k {
		case channels:
			sub := c.hub.Subscribe()
			c.running.Go(func() {
				for range sub.C() {
					got()
				}
			})
		case next:
			r := c.hub.NewReader()
			c.running.Go(func() {
				for range r.All(context.Background()) {
					got()
				}
			})
		default:
			r := c.hub.NewReader()
			c.running.Go(func() { readBatches(r, got) })
		}
	}
	return c
}

func readBatches[T any](r *broadcast.Reader[T], got func()) {
	events := make([]T, batchEvents)
	for {
		n, err := r.ReadBatch(context.Background(), events)
		if err != nil {
			return
		}
		for range events[:n] {
			got()
		}
	}
}

// close ends the hub and waits until all have taken everything.
func (c *crowd[T]) close() {
	c.hub.Close()
	c.running.Wait()
}

// held is how many bytes an idle subscriber needs with its goroutine, after its first
// event. They live until end is called.
func held[T any](ctx context.Context, k kind, s scene) (each float64, end func(), err error) {
	before := memory()
	c := newCrowd[T](k, s.n, s.buffer, func() func() { return func() {} })
	var event T
	if err := c.hub.Publish(ctx, event); err != nil {
		return 0, c.close, err
	}
	settle()
	return max(0, memory()-before) / float64(s.n), c.close, nil
}

// parked is for how long a publish occupies its caller, where all subscribers wait for an
// event: the median of some.
func parked[T any](ctx context.Context, k kind, s scene) (time.Duration, error) {
	const fewest, most = 5, 100
	var left atomic.Int64
	all := make(chan struct{}, 1)
	got := func() {
		if left.Add(-1) == 0 {
			all <- struct{}{}
		}
	}
	c := newCrowd[T](k, s.n, s.buffer, func() func() { return got })
	defer c.close()
	var took []time.Duration
	for end := time.Now().Add(s.round); len(took) < fewest || len(took) < most && time.Now().Before(end); {
		settle()
		left.Store(int64(s.n))
		var event T
		began := time.Now()
		if err := c.hub.Publish(ctx, event); err != nil {
			return 0, err
		}
		took = append(took, time.Since(began))
		<-all
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// flatOut publishes as fast as it goes, and returns how many events a second all
// subscribers got. Rounds grow until one is long enough and has filled the buffers twice,
// unless this takes seconds; then one more counts, which pays for nothing that it is the
// first to need.
func flatOut[T any](ctx context.Context, k kind, s scene) (float64, error) {
	var goal, left atomic.Int64
	all := make(chan struct{}, 1)
	c := newCrowd[T](k, s.n, s.buffer, func() func() {
		var has int64
		return func() {
			if has++; has == goal.Load() && left.Add(-1) == 0 {
				all <- struct{}{}
			}
		}
	})
	defer c.close()
	run := func(events int) (time.Duration, error) {
		left.Store(int64(s.n))
		goal.Add(int64(events))
		var event T
		began := time.Now()
		for range events {
			if err := c.hub.Publish(ctx, event); err != nil {
				return 0, err
			}
		}
		<-all
		return time.Since(began), nil
	}
	for events := max(8, 4096/s.n); ; {
		took, err := run(events)
		if err != nil {
			return 0, err
		}
		if took >= s.round/2 && (events >= 2*s.buffer || took >= 3*s.round) {
			took, err = run(events)
			return float64(events) / took.Seconds(), err
		}
		want := int(float64(events) * float64(s.round) / float64(max(took, 1)))
		events = max(2*events, min(max(want, 2*s.buffer), 8*events))
	}
}

// goroutineBytes is what n goroutines cost each that wait on a channel. They live until
// end is called.
func goroutineBytes(n int) (each float64, end func()) {
	over := make(chan struct{})
	var running sync.WaitGroup
	before := memory()
	for range n {
		running.Go(func() { <-over })
	}
	settle()
	return max(0, memory()-before) / float64(n), func() {
		close(over)
		running.Wait()
	}
}

// memory is how much the heap and the stacks use.
func memory() float64 {
	runtime.GC()
	runtime.GC() // the first one has let go of the stacks of goroutines that ended
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// settle waits until no goroutine but the caller's runs or could run, as the scheduler
// sees it, or for some milliseconds where one never rests.
func settle() {
	sample := []metrics.Sample{
		{Name: "/sched/goroutines/runnable:goroutines"},
		{Name: "/sched/goroutines/running:goroutines"},
	}
	for looks, idle := 0, 0; looks < 400 && idle < 2; looks++ {
		time.Sleep(50 * time.Microsecond)
		metrics.Read(sample)
		if sample[0].Value.Uint64() == 0 && sample[1].Value.Uint64() <= 1 {
			idle++
		} else {
			idle = 0
		}
	}
}
