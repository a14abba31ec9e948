package bridge_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/stretchr/testify/require"
)

// logbook is a logger whose lines can be looked at.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// lines are those since the last call.
func (l *logbook) lines() []string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.TrimSpace(l.buf.String())
	l.buf.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// What goes wrong is logged, at most one line per second and kind, and the lines add
// up to everything.
func TestLog_OneLinePerSecondAndKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l logbook
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m, bridge.WithLogger(l.logger()), bridge.WithBackoff(time.Minute, time.Minute))
		s := subscribe(t, b, "a")
		publish(m, "a", "1", "bad")
		require.Equal(t, []string{`level=WARN msg="bridge: message refused" pattern=a error="bad message"`}, l.lines())
		publish(m, "a", "bad", "bad", "panic")
		time.Sleep(time.Second - time.Nanosecond)
		require.Empty(t, l.lines())
		time.Sleep(time.Nanosecond)
		lines := l.lines()
		require.Len(t, lines, 1)
		require.Contains(t, lines[0], "poison")
		require.Contains(t, lines[0], "suppressed=2")

		time.Sleep(time.Second)
		m.Report("a", bridge.Gap{Reason: bridge.SourceDropped, Count: 7, Partition: "p", From: "x", To: "y", Err: errBad})
		require.Equal(t, []string{
			`level=WARN msg="bridge: messages lost" pattern=a error="source_dropped, count 7, partition p, from x to y: bad message"`,
		}, l.lines())
		time.Sleep(time.Second)
		m.Fail("a", errBad)
		time.Sleep(time.Minute + 2*time.Second) // the backoff
		require.Equal(t, []string{
			`level=WARN msg="bridge: source failed, to be run again" pattern=a error="bad message"`,
			`level=WARN msg="bridge: messages lost" pattern=a error="restarted, count 0: bad message"`,
		}, l.lines())
		m.Fail("a", bridge.Permanent(errBad))
		require.Equal(t, []string{
			`level=ERROR msg="bridge: topic ended" pattern=a error="bridge: topic \"a\": bad message"`,
		}, l.lines())
		require.Len(t, taken(s), 4)
	})
}

// The hubs of the topics log too, and their lines name the pattern.
func TestLog_Hubs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l logbook
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m, bridge.WithLogger(l.logger()), bridge.WithHub(1, broadcast.DropOldest))
		subscribe(t, b, "a")
		publish(m, "a", "1", "2")
		require.Equal(t, []string{`level=WARN msg="broadcast: events dropped" pattern=a subscriber=#1 dropped=1`}, l.lines())
	})
}

// Close has what is left logged before it returns, and a failed acknowledgement is
// told too.
func TestLog_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l logbook
		m := &failingAcks{Memory: bridgetest.NewMemory(queue)}
		m.fail.Store(true)
		b := newAckBridge(t, m, bridge.WithLogger(l.logger()))
		r := newReader(t, b, "a")
		publish(m.Memory, "a", "bad", "bad")
		synctest.Wait()
		time.Sleep(time.Second) // it is tried again, and fails
		require.Contains(t, strings.Join(l.lines(), "\n"), "acknowledging failed")
		publish(m.Memory, "a", "bad", "bad", "bad", "1")
		next(t, r, 1)
		begin := time.Now()
		b.Close()
		require.Zero(t, time.Since(begin))
		text := strings.Join(l.lines(), "\n")
		require.Contains(t, text, "message refused")
		require.Contains(t, text, "suppressed=2")
	})
}

// A start that fails is returned to those who wait for it, and not logged.
func TestLog_NotWhatIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l logbook
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m, bridge.WithLogger(l.logger()))
		m.Refuse(errBad)
		_, err := b.Subscribe(bg, "a")
		require.ErrorIs(t, err, errBad)
		require.Empty(t, l.lines())
	})
}

// rude is a logger's handler that does not come back as it should.
type rude struct {
	slog.Handler
	calls chan struct{}
}

func (h rude) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h rude) Handle(context.Context, slog.Record) error {
	h.calls <- struct{}{}
	runtime.Goexit()
	return nil
}

// sick is an error that cannot say what it is.
type sick struct{}

func (sick) Error() string { panic("sick") }

// A logger and errors of the user's that misbehave harm nobody.
func TestLog_Misbehaviour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := rude{slog.NewTextHandler(&logbook{}, nil), make(chan struct{}, 100)}
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m, bridge.WithLogger(slog.New(h)))
		s := subscribe(t, b, "a")
		for range 3 {
			publish(m, "a", "bad", "1")
			time.Sleep(2 * time.Second)
		}
		require.Len(t, taken(s), 3)
		require.Len(t, h.calls, 3)
	})
	synctest.Test(t, func(t *testing.T) {
		var l logbook
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m, bridge.WithLogger(l.logger()))
		subscribe(t, b, "a")
		m.Fail("a", sick{})
		text := strings.Join(l.lines(), "\n")
		require.Contains(t, text, "bridge_test.sick")
	})
	synctest.Test(t, func(t *testing.T) {
		var l logbook
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m, bridge.WithLogger(l.logger()), bridge.WithMaxBytes(1<<21))
		subscribe(t, b, "a")
		m.Report("a", bridge.Gap{Reason: bridge.Truncated, From: bridge.Position(strings.Repeat("x", 1000))})
		require.Less(t, len(l.lines()[0]), 400)
	})
}
