package bridge

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast"
)

// flushTime bounds the last acknowledgement of a Run: what it does not reach is
// delivered once more.
const flushTime = 100 * time.Millisecond

// acks tells the source what of one Run is done. A message that was published is
// done when its event is released, one that was skipped when the event before it is.
type acks[T any] struct {
	t      *topic[T]
	cancel context.CancelFunc
	ended  chan struct{} // closed when the goroutine has
	more   chan struct{} // one token: there is a mark

	acked uint64 // of the Run; belongs to the goroutine, then to the loop of the topic

	mu    sync.Mutex
	n     uint64 // messages of the Run so far; guarded by mu
	marks []mark // oldest first, both numbers rising; guarded by mu
	due   uint64 // messages that are done, of marks that are gone; guarded by mu
}

// mark says that the first upTo messages of the Run are done once event seq is
// released. There are at most twice as many as the ring has events.
type mark struct{ seq, upTo uint64 }

func startAcks[T any](t *topic[T]) *acks[T] {
	ctx, cancel := context.WithCancel(context.Background())
	a := &acks[T]{t: t, cancel: cancel, ended: make(chan struct{}), more: make(chan struct{}, 1)}
	go a.loop(ctx)
	return a
}

// delivered takes note of one more message, which is done with event seq.
func (a *acks[T]) delivered(seq uint64) {
	a.mu.Lock()
	a.n++
	if last := len(a.marks) - 1; last >= 0 && a.marks[last].seq == seq {
		a.marks[last].upTo = a.n
	} else {
		a.marks = append(a.marks, mark{seq, a.n})
	}
	a.mu.Unlock()
	give(a.more)
}

// oldest is the event that is waited for, if there is one. due is true if something
// is to be acknowledged before that: the sink takes marks away too.
func (a *acks[T]) oldest() (seq uint64, some, due bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.marks) > 0 {
		seq, some = a.marks[0].seq, true
	}
	return seq, some, a.due > a.acked
}

// upTo is how many messages are done now that the events up to seq are released.
func (a *acks[T]) upTo(seq uint64) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := 0
	for ; i < len(a.marks) && a.marks[i].seq <= seq; i++ {
		a.due = a.marks[i].upTo
	}
	a.marks = a.marks[i:]
	return a.due
}

// loop acknowledges until ctx ends or nothing more can be released.
func (a *acks[T]) loop(ctx context.Context) {
	defer close(a.ended)
	for {
		for !a.acknowledge(ctx, a.upTo(a.t.hub.Released())) {
			if !sleep(ctx, a.t.b.config.min) {
				return
			}
		}
		switch seq, some, due := a.oldest(); {
		case due:
		case some:
			if a.t.hub.WaitReleased(ctx, seq) != nil {
				return
			}
		default:
			select {
			case <-a.more:
			case <-ctx.Done():
				return
			}
		}
	}
}

// acknowledge tells the source that n messages are done, and tells whether it could.
func (a *acks[T]) acknowledge(ctx context.Context, n uint64) bool {
	t := a.t
	if n <= a.acked {
		return true
	}
	if err := t.b.acker.Ack(ctx, t.pattern, n); err != nil {
		if ctx.Err() == nil {
			for _, c := range t.counters() {
				c.ackErrors.Add(1)
			}
			t.b.journal.note(noteAck, t.pattern, err)
		}
		return false
	}
	for _, c := range t.counters() {
		c.acked.Add(n - a.acked)
	}
	a.acked = n
	return true
}

// settleAcks ends the acknowledging of r with what is released by now, unless the
// bridge was closed. It is called while Run still runs or soon after.
func (r *run[T]) settleAcks() {
	a, now := r.acks, r.t.b.now
	if a == nil {
		return
	}
	a.cancel()
	<-a.ended
	if now.Err() != nil {
		if errors.Is(context.Cause(now), broadcast.ErrClosed) {
			return
		}
		now = context.Background() // Shutdown has run out of time, but for this
	}
	ctx, cancel := context.WithTimeout(now, flushTime)
	defer cancel()
	a.acknowledge(ctx, a.upTo(a.t.hub.Released()))
}

// admit waits until there is a reader, and room for one more event in what the topic
// may have in hand: all of that must still be in the ring when the last reader leaves
// and another one comes.
func (a *acks[T]) admit(ctx, run context.Context) error {
	t := a.t
	for !t.active.Load() {
		select {
		case <-t.reader:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-run.Done():
			return context.Cause(run)
		}
	}
	if t.seq < t.credit {
		return nil
	}
	ring := uint64(t.b.ringSize)
	if err := t.hub.WaitReleased(run, t.seq+1-ring); err != nil {
		return err
	}
	released := t.hub.Released()
	t.credit = released + ring
	a.upTo(released) // the marks do not pile up while the system takes its time
	give(a.more)     // they may have been all
	return nil
}

// sleep waits for d, and tells whether ctx has let it.
func sleep(ctx context.Context, d time.Duration) bool {
	pause := time.NewTimer(d)
	defer pause.Stop()
	select {
	case <-pause.C:
		return true
	case <-ctx.Done():
		return false
	}
}
