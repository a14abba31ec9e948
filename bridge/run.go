package bridge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"github.com/gobroadcast/broadcast"
)

// run is one Run of the source for a topic, and the sink that it is given. The
// methods of Sink are called by one goroutine at a time, which what is not guarded
// otherwise belongs to, and to the loop of the topic once done is closed.
type run[T any] struct {
	t      *topic[T]
	ctx    context.Context // the one that Run was called with, and lives as long
	cancel context.CancelFunc
	done   chan struct{} // closed when Run has returned
	acks   *acks[T]      // nil without WithAck

	err    error     // what Run returned; never nil once done is closed
	fatal  error     // the verdict that ends the topic
	liveAt time.Time // zero: it never was
	ended  time.Time
}

// run starts a Run.
func (t *topic[T]) run() *run[T] {
	r := &run[T]{t: t, done: make(chan struct{}), err: errExited}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if t.b.acker != nil {
		r.acks = startAcks(t)
	}
	from := t.resume()
	go func() {
		defer close(r.done)
		defer func() { r.ended = time.Now() }()
		if r.err = t.b.src.Run(r.ctx, t.pattern, from, r); r.err == nil {
			r.err = errReturned
		}
		t.sampleWarnings()
	}()
	return r
}

var (
	errExited   = errors.New("bridge: the goroutine of Source.Run has ended: runtime.Goexit was called")
	errReturned = errors.New("bridge: Source.Run returned nil before its context ended")
)

// upFor is how long it was live.
func (r *run[T]) upFor() time.Duration {
	if r.liveAt.IsZero() {
		return 0
	}
	return r.ended.Sub(r.liveAt)
}

// Live is told by the source that the network subscription is confirmed.
func (r *run[T]) Live() {
	t := r.t
	if r.liveAt.IsZero() {
		r.liveAt = time.Now()
	}
	if g := t.owed; g != nil {
		t.owed = nil
		_ = t.gap(*g) // an error: the bridge has closed
	}
	t.b.mu.Lock()
	again := t.everLive
	t.everLive = true
	select {
	case <-t.live:
	default:
		close(t.live)
	}
	t.b.mu.Unlock()
	give(t.kick)
	if again {
		for _, c := range t.counters() {
			c.reconnects.Add(1)
		}
	}
}

// Deliver takes a message: it is decoded and published, or it is poison.
func (r *run[T]) Deliver(ctx context.Context, m *Message) error {
	if err := r.admit(ctx); err != nil {
		return err
	}
	t := r.t
	size := len(m.Key) + len(m.Data)
	for _, c := range t.counters() {
		c.messages.Add(1)
		c.bytes.Add(uint64(size))
	}
	value, err := t.b.decodeOne(m, size)
	if err != nil {
		return r.poisoned(m, err)
	}
	published, err := t.publish(Event[T]{
		Topic: m.Topic, Partition: m.Partition, Value: value, Header: m.Header, Position: m.Position,
		Time: m.Time, Redelivered: m.Redelivered, Gaps: t.gaps,
	})
	if published {
		r.doneWith(m)
	}
	return r.refused(ctx, err)
}

// Gap puts a gap into the timeline.
func (r *run[T]) Gap(ctx context.Context, g Gap) error {
	if err := r.admit(ctx); err != nil {
		return err
	}
	err := r.t.gap(g)
	if err == nil && g.To != "" && r.acks == nil {
		r.t.at.note(g.Partition, g.To) // the next Run need not find it once more
	}
	return r.refused(ctx, err)
}

// decodeOne decodes m, or tells what makes it poison.
func (b *Bridge[T]) decodeOne(m *Message, size int) (value T, err error) {
	if size > b.maxBytes {
		return value, fmt.Errorf("%w: %d bytes, and the limit is %d", ErrTooLarge, size, b.maxBytes)
	}
	defer func() {
		if v := recover(); v != nil {
			err = &broadcast.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return b.decode(m)
}

// poisoned has m judged, which is poison because of cause.
func (r *run[T]) poisoned(m *Message, cause error) error {
	t := r.t
	for _, c := range t.counters() {
		c.poison.Add(1)
	}
	t.b.journal.note(notePoison, t.pattern, cause)
	if r.fatal = t.b.verdict(m, cause); r.fatal != nil {
		return r.fatal
	}
	r.doneWith(m)
	return nil
}

// verdict asks the handler of WithPoison.
func (b *Bridge[T]) verdict(m *Message, cause error) (err error) {
	if b.poison == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			err = &broadcast.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return b.poison(m, cause)
}

// doneWith takes note of a message that has been published or skipped.
func (r *run[T]) doneWith(m *Message) {
	if r.acks != nil {
		r.acks.delivered(r.t.seq)
		return
	}
	r.t.at.note(m.Partition, m.Position)
}

// admit waits until the topic may take a message, which without WithAck is at once.
func (r *run[T]) admit(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case r.fatal != nil:
		return r.fatal
	case r.acks == nil:
		return nil
	}
	return r.refused(ctx, r.acks.admit(ctx, r.ctx))
}

// refused is what a source is told when its message could not be published. With
// WithAck that is nothing before the Run ends: while the hub drains, the Run has to
// stay to acknowledge.
func (r *run[T]) refused(ctx context.Context, err error) error {
	if err == nil || r.acks == nil {
		return err
	}
	select {
	case <-r.ctx.Done():
	case <-ctx.Done():
	}
	return err
}

// publish publishes e, and tells whether that was done, be it in part. What waits for
// room when Shutdown begins has until the end of the draining to find it.
func (t *topic[T]) publish(e Event[T]) (published bool, err error) {
	err = t.hub.Publish(t.b.now, e)
	published = err == nil || errors.Is(err, broadcast.ErrPartial)
	if published {
		t.seq++
	}
	return published, err
}

// gap publishes g.
func (t *topic[T]) gap(g Gap) error {
	for _, c := range t.counters() {
		c.gap(g)
	}
	t.b.journal.note(noteGap, t.pattern, &gapError{g})
	t.gaps++
	_, err := t.publish(Event[T]{
		Topic: t.pattern, Partition: g.Partition, Time: time.Now(), Gaps: t.gaps, Gap: &g,
	})
	return err
}

// progress is where the next Run of a topic begins: base, and what has come since by
// partition. Positions are merged when they are asked for: a merged one is long.
type progress struct {
	merger Merger // nil: there are no partitions
	base   Position
	since  map[string]*Position

	partition string    // of last
	last      *Position // of the last message, which the next one is likely to follow
}

func (p *progress) note(partition string, at Position) {
	switch {
	case p.merger == nil:
		p.base = at
		return
	case p.last != nil && p.partition == partition:
	case p.since[partition] != nil:
		p.partition, p.last = partition, p.since[partition]
	default:
		if p.since == nil {
			p.since = map[string]*Position{}
		}
		p.partition, p.last = partition, new(Position)
		p.since[partition] = p.last
	}
	*p.last = at
}

func (p *progress) position() Position {
	for _, partition := range slices.Sorted(maps.Keys(p.since)) {
		p.base = p.merger.Merge(p.base, *p.since[partition])
	}
	p.since, p.last = nil, nil
	return p.base
}
