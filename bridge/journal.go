package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// logEvery is the shortest time between two lines of one kind.
const logEvery = time.Second

// noteKind is a kind of log line.
type noteKind uint8

const (
	notePoison noteKind = iota
	noteGap
	noteRestart
	noteEnded
	noteAck
	noteKinds
)

// noteLines are the constant parts of the lines.
var noteLines = [noteKinds]struct {
	msg   string
	level slog.Level
}{
	notePoison:  {"bridge: message refused", slog.LevelWarn},
	noteGap:     {"bridge: messages lost", slog.LevelWarn},
	noteRestart: {"bridge: source failed, to be run again", slog.LevelWarn},
	noteEnded:   {"bridge: topic ended", slog.LevelError},
	noteAck:     {"bridge: acknowledging failed", slog.LevelWarn},
}

// journal logs what goes wrong, at most one line per second and kind, from a
// goroutine that ends a second after the last note, or at once when the bridge
// closes: who receives never waits for the logger. A line has the latest of its
// kind, and in "suppressed" how many more there were since the last line. Without a
// logger it logs nothing.
type journal struct {
	logger *slog.Logger // written once, by New

	mu     sync.Mutex
	since  [noteKinds]notes // the last lines; guarded by mu
	closed bool             // guarded by mu
	hurry  chan struct{}    // closed with closed; not nil while the goroutine lives. Guarded by mu
	done   chan struct{}    // closed when the goroutine has ended; nil: it was never started. Guarded by mu
}

// notes are those of one kind.
type notes struct {
	n       uint64
	pattern string // of the latest
	err     error  // the latest
}

// note has it logged that err happened to pattern. It never waits for the logger.
func (j *journal) note(kind noteKind, pattern string, err error) {
	if j.logger == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	of := &j.since[kind]
	of.n++
	of.pattern, of.err = pattern, err
	if j.hurry == nil && !j.closed {
		j.hurry, j.done = make(chan struct{}), make(chan struct{})
		go j.run(j.hurry, j.done)
	}
}

func (j *journal) run(hurry <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	finished := false
	defer func() {
		if !finished { // the logger's handler called runtime.Goexit
			j.mu.Lock()
			j.hurry = nil
			j.mu.Unlock()
		}
	}()
	for j.flush() {
		pause := time.NewTimer(logEvery)
		select {
		case <-pause.C:
		case <-hurry:
		}
		pause.Stop()
	}
	finished = true
}

// flush logs what has come since the last call, and tells whether that was anything.
// If it was not, the next note starts a goroutine.
func (j *journal) flush() (some bool) {
	j.mu.Lock()
	since := j.since
	j.since = [noteKinds]notes{}
	for _, of := range since {
		some = some || of.n > 0
	}
	if !some {
		j.hurry = nil
	}
	j.mu.Unlock()
	for kind, of := range since {
		if of.n > 0 {
			j.line(noteKind(kind), of)
		}
	}
	return some
}

func (j *journal) line(kind noteKind, of notes) {
	attrs := []slog.Attr{slog.String("pattern", of.pattern), slog.String("error", text(of.err))}
	if of.n > 1 {
		attrs = append(attrs, slog.Uint64("suppressed", of.n-1))
	}
	j.logger.LogAttrs(context.Background(), noteLines[kind].level, noteLines[kind].msg, attrs...)
}

// close has what is left logged at once, and waits until it is. Nothing is noted
// any more.
func (j *journal) close() {
	j.mu.Lock()
	done := j.done
	if !j.closed && j.hurry != nil {
		close(j.hurry)
	}
	j.closed = true
	j.mu.Unlock()
	if done != nil {
		<-done
	}
}

// text returns what err says of itself, cut short, also if that panics.
func text(err error) (s string) {
	defer func() {
		if recover() != nil {
			s = fmt.Sprintf("%T", err)
		}
	}()
	const longest = 256
	s = err.Error()
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "..."
	}
	return s
}

// gapError is a gap as an error, for the log.
type gapError struct{ g Gap }

func (e *gapError) Error() string {
	s := fmt.Sprintf("%v, count %d", e.g.Reason, e.g.Count)
	if e.g.Partition != "" {
		s += fmt.Sprintf(", partition %s", e.g.Partition)
	}
	if e.g.From != "" || e.g.To != "" {
		s += fmt.Sprintf(", from %s to %s", e.g.From, e.g.To)
	}
	if e.g.Err != nil {
		s += ": " + e.g.Err.Error()
	}
	return s
}
