package broadcast_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
)

// logbook is a slog handler that keeps the lines and when they came.
type logbook struct {
	start time.Time
	hook  func() // called by each line; may be nil

	mu    sync.Mutex
	lines []logLine
}

type logLine struct {
	at    time.Duration
	msg   string
	attrs map[string]slog.Value
}

func (l logLine) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %s", l.at, strings.TrimPrefix(l.msg, "broadcast: "))
	for _, key := range []string{"subscriber", "dropped", "blocked", "suppressed", "holders"} {
		if v, ok := l.attrs[key]; ok {
			fmt.Fprintf(&b, " %s=%v", key, v)
		}
	}
	return b.String()
}

func newLogbook() *logbook { return &logbook{start: time.Now()} }

func (l *logbook) option() broadcast.Option { return broadcast.WithLogger(slog.New(l)) }

func (l *logbook) Enabled(context.Context, slog.Level) bool { return true }
func (l *logbook) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logbook) WithGroup(string) slog.Handler            { return l }

func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	line := logLine{time.Since(l.start), r.Message, map[string]slog.Value{}}
	r.Attrs(func(a slog.Attr) bool { line.attrs[a.Key] = a.Value; return true })
	if r.Level != slog.LevelWarn {
		line.msg = r.Level.String() + " " + line.msg
	}
	l.mu.Lock()
	l.lines = append(l.lines, line)
	l.mu.Unlock()
	if l.hook != nil {
		l.hook()
	}
	return nil
}

// take returns the lines so far.
func (l *logbook) take() (out []string) {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		out = append(out, line.String())
	}
	return out
}

// sum adds up what the lines with msg say was lost.
func (l *logbook) sum(msg, unit string) (sum uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if line.msg != "broadcast: "+msg {
			continue
		}
		sum++ // where the lines themselves are counted
		if unit != "" {
			sum += line.attrs[unit].Uint64() - 1
		}
		if v, ok := line.attrs["suppressed"]; ok {
			sum += v.Uint64()
		}
	}
	return sum
}
