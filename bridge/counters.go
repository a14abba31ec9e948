package bridge

import (
	"strings"
	"sync"
	"sync/atomic"
)

// counters count what comes from the network. They only grow.
type counters struct {
	messages, bytes, poison, failures, reconnects, lost, warnings, acked, ackErrors atomic.Uint64

	gaps [len(reasons) + 1]atomic.Uint64 // by Reason; the last one is for those that nobody knows
}

// reasons are the known ones.
var reasons = [...]Reason{Disconnected, Truncated, SourceDropped, Restarted}

func (c *counters) gap(g Gap) {
	i := int(g.Reason) - 1
	if i < 0 || i >= len(reasons) {
		i = len(reasons)
	}
	c.gaps[i].Add(1)
	c.lost.Add(g.Count)
}

// allGaps is how many gaps there were, of any reason.
func (c *counters) allGaps() (n uint64) {
	for i := range c.gaps {
		n += c.gaps[i].Load()
	}
	return n
}

// maxLabels is how many patterns have series of their own.
const maxLabels = 100

// otherLabel is the label of all the other patterns together.
const otherLabel = "other"

// ledger keeps the counters of patterns for longer than their topics live: those of
// the first maxLabels, each by itself, and those of all others in one.
type ledger struct {
	other counters

	mu    sync.Mutex
	known map[string]*counters // by label; guarded by mu
}

func (l *ledger) open() { l.known = map[string]*counters{} }

// of returns the counters of pattern.
func (l *ledger) of(pattern string) *counters {
	label := strings.ToValidUTF8(pattern, "\uFFFD") // else a registry refuses the whole scrape
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.known[label]
	switch {
	case c != nil:
		return c
	case label == otherLabel || len(l.known) == maxLabels:
		return &l.other
	}
	c = &counters{}
	l.known[label] = c
	return c
}

// counters are all those that count for t.
func (t *topic[T]) counters() [2]*counters { return [2]*counters{&t.own, t.all} }

// warnings add up what a Warner tells.
type warnings struct {
	free atomic.Bool // the topic has begun, and nobody asks
	last uint64      // what it told last; belongs to whoever asks
}

// beginWarnings has what was told before the topic not count for it.
func (t *topic[T]) beginWarnings() {
	if w, ok := t.b.src.(Warner); ok {
		t.warned.last = w.Warnings(t.pattern)
		t.warned.free.Store(true)
	}
}

// sampleWarnings asks the source how many warnings there were. If somebody else is
// at it, the answer is theirs to add.
func (t *topic[T]) sampleWarnings() {
	w, ok := t.b.src.(Warner)
	if !ok || !t.warned.free.CompareAndSwap(true, false) {
		return
	}
	defer t.warned.free.Store(true)
	n := w.Warnings(t.pattern)
	fresh := n
	if n >= t.warned.last { // else it has begun anew
		fresh -= t.warned.last
	}
	t.warned.last = n
	for _, c := range t.counters() {
		c.warnings.Add(fresh)
	}
}
