package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/gobroadcast/broadcast"
)

// topic is one pattern, its hub, and the loop that owns its life: the one Run
// there is at a time, the linger, the backoff. Whoever changes what the loop looks
// at gives it a token (kick), and it looks again.
type topic[T any] struct {
	b       *Bridge[T]
	pattern string
	hub     *broadcast.Hub[Event[T]]
	kick    chan struct{} // one token: the loop is to look again
	joined  chan struct{} // one token: somebody is in the hub, so that nothing of a replay is lost
	reader  chan struct{} // one token: there is a subscriber; only with WithAck
	active  atomic.Bool   // the hub has told that somebody is subscribed
	done    chan struct{} // closed when nothing of it runs any more

	own    counters  // of this topic
	all    *counters // of its pattern since the bridge was made; written once
	warned warnings

	// These belong to whoever publishes: the sink of the Run, the loop between two.
	at     progress // where the next Run begins
	gaps   uint64   // published so far
	owed   *Gap     // to be published when the topic is live again, or nil
	seq    uint64   // of the event that was published last
	credit uint64   // up to here events may be published; only with WithAck

	// These belong to the loop.
	linger    *time.Timer // nil: not armed
	lingerFor uint64      // visits when it was armed
	reason    error       // why the topic has ended; nil: nobody needs it, or the bridge closes
	drained   bool        // its hub has been, as far as it could

	// These are guarded by b.mu.
	pending  int           // calls of Subscribe and NewReader that are at it
	visits   uint64        // how many there ever were
	ending   bool          // it has been decided that it stops: a new topic takes its place
	prev     *topic[T]     // the one before it, whose end it waits for; nil: none, or it has come to run
	everLive bool          // it was live once
	live     chan struct{} // closed while it is live
	gone     chan struct{} // closed when it has ended
	err      error         // why, for those who wait; written before gone is closed
}

func (b *Bridge[T]) newTopic(pattern string) *topic[T] {
	t := &topic[T]{
		b: b, pattern: pattern,
		kick: make(chan struct{}, 1), joined: make(chan struct{}, 1), reader: make(chan struct{}, 1), done: make(chan struct{}),
		live: make(chan struct{}), gone: make(chan struct{}),
		credit: uint64(b.ringSize),
	}
	t.at.merger = b.merger
	t.all = b.ledger.of(pattern)
	t.hub = b.newHub(b.loggerOf(pattern), t.interest)
	return t
}

// newHub makes a hub as WithHub says.
func (b *Bridge[T]) newHub(l *slog.Logger, interest func(bool)) *broadcast.Hub[Event[T]] {
	opts := []broadcast.Option{broadcast.WithLogger(l)}
	opts = append(append(opts, b.hub...), broadcast.WithInterest(interest))
	return broadcast.New[Event[T]](b.buffer, b.policy, opts...)
}

func (b *Bridge[T]) loggerOf(pattern string) *slog.Logger {
	if b.logger == nil {
		return nil
	}
	return b.logger.With(slog.String("pattern", pattern))
}

// interest is told by the hub when its first subscriber came or its last one left.
func (t *topic[T]) interest(active bool) {
	t.active.Store(active)
	if active {
		give(t.reader)
	} else {
		give(t.kick)
	}
}

// give puts a token into ch unless there is one.
func give(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// release ends what acquire began.
func (t *topic[T]) release() {
	t.b.mu.Lock()
	t.pending--
	last := t.pending == 0
	t.b.mu.Unlock()
	if last {
		give(t.kick)
	}
}

// awaitLive waits until the topic is live, and returns why it will not be.
func (t *topic[T]) awaitLive(ctx context.Context) error {
	t.b.mu.Lock()
	live := t.live
	t.b.mu.Unlock()
	select {
	case <-live:
	case <-t.gone:
	case <-t.b.intake.Done():
		return broadcast.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-t.gone:
		return t.err
	default:
		return nil
	}
}

// loop is the life of the topic.
func (t *topic[T]) loop() {
	defer t.over() // also when the function of WithFrom calls runtime.Goexit
	t.reason = errors.New("bridge: the topic's goroutine has ended before its time: runtime.Goexit was called")
	if !t.await(t.joined, nil) || !t.awaitTurn() {
		t.reason = nil
		return
	}
	t.reason = t.serve()
}

// awaitTurn waits until the topic before it is over.
func (t *topic[T]) awaitTurn() bool {
	t.b.mu.Lock()
	prev := t.prev
	t.b.mu.Unlock()
	if prev != nil && !t.await(prev.done, nil) {
		return false
	}
	t.b.mu.Lock()
	t.prev = nil
	t.b.mu.Unlock()
	return true
}

// serve runs the source again and again, until the topic is to end, and returns why
// if somebody is to know.
func (t *topic[T]) serve() error {
	t.beginWarnings()
	t.at.base = t.b.startOf(t.pattern)
	for bound := time.Duration(0); ; {
		r := t.run()
		if !t.await(r.done, nil) {
			t.end(r)
			return nil
		}
		r.settleAcks()
		r.cancel()
		for _, c := range t.counters() {
			c.failures.Add(1)
		}
		if err := t.judge(r); err != nil {
			return err
		}
		if r.upFor() >= bound {
			bound = t.b.min
		} else {
			bound = min(2*bound, t.b.max)
		}
		t.restarting(r)
		pause := time.NewTimer(rand.N(bound) + 1)
		if !t.await(nil, pause.C) {
			pause.Stop()
			return nil
		}
	}
}

// startOf is where a topic starts.
func (b *Bridge[T]) startOf(pattern string) Position {
	if b.from == nil {
		return ""
	}
	return b.from(pattern)
}

// judge returns why the topic ends now that r has, or nil if it is run again.
func (t *topic[T]) judge(r *run[T]) error {
	t.b.mu.Lock()
	everLive := t.everLive
	t.b.mu.Unlock()
	switch {
	case r.fatal != nil:
		return fmt.Errorf("bridge: topic %q: %w", t.pattern, r.fatal)
	case !everLive:
		return fmt.Errorf("bridge: start of topic %q: %w", t.pattern, r.err)
	case IsPermanent(r.err):
		return fmt.Errorf("bridge: topic %q: %w", t.pattern, r.err)
	}
	return nil
}

// restarting has the topic wait for a Run that is live again, which marks the loss if
// it does not begin where r ended: who reloads at the marker has everything then. A Run
// that was not live had no more to lose.
func (t *topic[T]) restarting(r *run[T]) {
	t.b.journal.note(noteRestart, t.pattern, r.err)
	if r.liveAt.IsZero() {
		return
	}
	t.b.mu.Lock()
	t.live = make(chan struct{})
	t.b.mu.Unlock()
	if t.b.acker == nil && t.resume() == "" {
		t.owed = &Gap{Reason: Restarted, Err: r.err}
	}
}

// resume is where the next Run begins. With WithAck that is where the topic started:
// the system delivers again what is not acknowledged.
func (t *topic[T]) resume() Position {
	if !t.b.src.Capabilities().Replay {
		return ""
	}
	return t.at.position()
}

// await waits for ready or alarm. It returns false when the topic is to end
// instead, because nobody is there or the bridge closes.
func (t *topic[T]) await(ready <-chan struct{}, alarm <-chan time.Time) bool {
	for {
		if !t.needed() {
			return false
		}
		var lingered <-chan time.Time
		if t.linger != nil {
			lingered = t.linger.C
		}
		select {
		case <-ready:
			return true
		case <-alarm:
			return true
		case <-t.kick:
			t.sampleWarnings() // a new Run is seen before it has as many as the last one
		case <-lingered:
			t.linger = nil
			if !t.neededStill() {
				return false
			}
		case <-t.b.intake.Done():
			return false
		}
	}
}

// needed arms and disarms the linger, and tells whether the topic goes on: one that
// was never live ends with the last who waits, and any does without a linger.
func (t *topic[T]) needed() bool {
	t.b.mu.Lock()
	idle, visits := t.idleLocked(), t.visits
	t.ending = t.ending || idle && (!t.everLive || t.b.config.linger == 0)
	ending := t.ending
	t.b.mu.Unlock()
	if t.linger != nil && (!idle || ending || visits != t.lingerFor) {
		t.linger.Stop()
		t.linger = nil
	}
	if idle && !ending && t.linger == nil {
		t.linger, t.lingerFor = time.NewTimer(t.b.config.linger), visits
	}
	return !ending
}

// neededStill tells whether somebody has come when the linger is over.
func (t *topic[T]) neededStill() bool {
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	t.ending = t.idleLocked() && t.visits == t.lingerFor
	return !t.ending
}

// idleLocked tells whether nobody is subscribed, nor about to be.
func (t *topic[T]) idleLocked() bool { return t.pending == 0 && t.hub.Len() == 0 }

// over is the end of the topic, when no Run is left.
func (t *topic[T]) over() {
	b := t.b
	if t.linger != nil {
		t.linger.Stop()
	}
	b.mu.Lock()
	t.ending = true
	t.err = t.reason
	if t.reason != nil && t.everLive { // else it is returned to those who wait
		b.journal.note(noteEnded, t.pattern, t.reason)
	}
	if t.err == nil {
		t.err = broadcast.ErrClosed // the bridge closes: who waited otherwise was pending
	}
	b.mu.Unlock()
	close(t.gone)
	t.closeHub()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.topics[t.pattern] == t {
		t.handBackLocked()
	}
	close(t.done)
	add(&b.departed, t.hub.Stats())
	delete(b.live, t)
	b.closeOverLocked()
}

// handBackLocked leaves the place of t to the topic before it if that still ends,
// since t was given up before it ran: the next one must wait for that one.
func (t *topic[T]) handBackLocked() {
	if before := t.waitsForLocked(); before != t {
		t.b.topics[t.pattern] = before
		return
	}
	delete(t.b.topics, t.pattern)
}

// waitsForLocked is the topic that whoever comes behind t, which is ending, has to
// wait for: t, unless it has not begun. So topics that are given up do not pile up
// behind a Run that takes its time to end.
func (t *topic[T]) waitsForLocked() *topic[T] {
	if t.prev == nil {
		return t
	}
	select {
	case <-t.prev.done:
		return t
	default:
		return t.prev
	}
}
