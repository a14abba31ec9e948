package broadcast

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// logEvery is the shortest time between two lines of one kind, and how long a
// publish is blocked before that is worth a line.
const logEvery = time.Second

// maxLogNames bounds the members that one line is chosen from.
const maxLogNames = 1024

// lossKind is a kind of log line.
type lossKind uint8

const (
	lossDropped  lossKind = iota // counts events
	lossEjected                  // counts subscriptions
	lossBlocked                  // counts publishes
	lossPanicked                 // counts calls of a handler
	lossKinds
)

// lossLines are the constant parts of the lines: the message, and what the line
// counts.
var lossLines = [lossKinds]struct {
	msg, unit string
	level     slog.Level
}{
	lossDropped:  {"broadcast: events dropped", "dropped", slog.LevelWarn},
	lossEjected:  {"broadcast: subscriber ejected", "ejected", slog.LevelWarn},
	lossBlocked:  {"broadcast: publish blocked for over a second", "blocked", slog.LevelWarn},
	lossPanicked: {"broadcast: handler panicked", "panics", slog.LevelError},
}

// losses logs what goes wrong, at most one line per second and kind, from a
// goroutine that ends a second after the last loss, and when the hub closes mostly
// at once: what is lost while the closing itself is being logged may take that
// second. Close and Shutdown may bring lines forward. A line names the subscriber
// with the greatest loss since the last line; what the others lost is in
// "suppressed". So the lines add up to everything. A nil *losses logs nothing.
type losses struct {
	logger *slog.Logger
	hurry  chan struct{} // one token: do not wait until the next line is due

	mu      sync.Mutex
	since   [lossKinds]tally // the last line; guarded by mu
	slow    string           // who holds up a slow Shutdown; guarded by mu
	noted   bool             // something is to be logged; guarded by mu
	last    time.Time        // when lines were logged; guarded by mu
	closed  bool             // the hub is; guarded by mu
	free    int              // lines that need not keep their distance; guarded by mu
	running bool             // the goroutine lives; guarded by mu
}

// tally is who lost how much.
type tally struct {
	by     map[*member]uint64
	others uint64 // of those whom maxLogNames kept out of by
	panic  string // the latest, of a handler
}

func newLosses(l *slog.Logger) *losses {
	if l == nil {
		return nil
	}
	return &losses{logger: l, hurry: make(chan struct{}, 1)}
}

// note counts one loss of m. It never waits for the logger.
func (l *losses) note(kind lossKind, m *member) { l.noteMany(kind, m, 1) }

// noteMany counts n losses of m at once.
func (l *losses) noteMany(kind lossKind, m *member, n uint64) {
	if l == nil || n == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noteLocked(kind, m, n)
}

// notePanic counts one panic of a handler of m.
func (l *losses) notePanic(m *member, v any) {
	if l == nil {
		return
	}
	value := text(v) // the user's code: before the lock
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noteLocked(lossPanicked, m, 1)
	l.since[lossPanicked].panic = value
}

func (l *losses) noteLocked(kind lossKind, m *member, n uint64) {
	t := &l.since[kind]
	if t.by == nil {
		t.by = map[*member]uint64{}
	}
	if _, known := t.by[m]; known || len(t.by) < maxLogNames {
		t.by[m] += n
	} else {
		t.others += n
	}
	l.startLocked()
}

// noteShutdown has it logged that a Shutdown waits for holders.
func (l *losses) noteShutdown(holders string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slow = holders
	l.startLocked()
}

func (l *losses) startLocked() {
	l.noted = true
	if !l.running {
		l.running = true
		go l.run()
	}
}

func (l *losses) run() {
	finished := false
	defer func() {
		if !finished { // the logger's handler called runtime.Goexit
			go l.run()
		}
	}()
	for more := true; more; {
		l.await()
		more = l.flush()
	}
	finished = true
}

// await waits until the next lines are due.
func (l *losses) await() {
	l.mu.Lock()
	due, free := time.Until(l.last.Add(logEvery)), l.free > 0
	l.mu.Unlock()
	if due <= 0 || free {
		return
	}
	pause := time.NewTimer(due)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-l.hurry:
	}
}

// flush logs what has come since the last call. It ends the goroutine if that
// was nothing, and after Close also if nothing has come meanwhile.
func (l *losses) flush() (more bool) {
	l.mu.Lock()
	since, slow, some := l.since, l.slow, l.noted
	l.since, l.slow, l.noted = [lossKinds]tally{}, "", false
	if some {
		l.last = time.Now()
		l.free = max(0, l.free-1)
	}
	l.mu.Unlock()
	for kind, t := range since {
		if t.by != nil {
			l.line(lossKind(kind), t)
		}
	}
	if slow != "" {
		l.logger.LogAttrs(context.Background(), slog.LevelWarn, "broadcast: shutdown is slow", slog.String("holders", slow))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = l.noted || some && !l.closed
	return l.running
}

func (l *losses) line(kind lossKind, t tally) {
	var worst *member
	all := t.others
	for m, n := range t.by {
		all += n
		if worst == nil || n > t.by[worst] || n == t.by[worst] && m.id < worst.id {
			worst = m
		}
	}
	attrs := []slog.Attr{
		slog.String("subscriber", worst.label()),
		slog.Uint64(lossLines[kind].unit, t.by[worst]),
	}
	if kind == lossEjected {
		attrs[1] = slog.Uint64("dropped", worst.dropped.Load())
	}
	if rest := all - t.by[worst]; rest > 0 {
		attrs = append(attrs, slog.Uint64("suppressed", rest))
	}
	if t.panic != "" {
		attrs = append(attrs, slog.String("panic", t.panic))
	}
	l.logger.LogAttrs(context.Background(), lossLines[kind].level, lossLines[kind].msg, attrs...)
}

// close has what is left logged at once, and then what the closing itself loses,
// so that the goroutine ends with the hub unless more goes wrong.
func (l *losses) close() {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.closed, l.free = true, 2
	l.mu.Unlock()
	l.hasten()
}

// hasten has what is left logged at once.
func (l *losses) hasten() {
	if l == nil {
		return
	}
	select {
	case l.hurry <- struct{}{}:
	default:
	}
}

// idle tells whether everything has been logged.
func (l *losses) idle() bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.running
}

// text returns what v says of itself, cut short, also if that panics.
func text(v any) (s string) {
	defer func() {
		if recover() != nil {
			s = fmt.Sprintf("%T", v)
		}
	}()
	const longest = 256
	s = fmt.Sprint(v)
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "..."
	}
	return s
}
