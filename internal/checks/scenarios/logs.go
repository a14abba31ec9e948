package scenarios

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

// logbook is a handler of log lines that adds up what they say was dropped or blocked.
type logbook struct{ dropped, blocked uint64 }

// logged is a world whose hub logs.
func logged(x *sched.X) (*world, *logbook) {
	l := &logbook{}
	w := newWorld(x, broadcast.WithLogger(slog.New(l)))
	x.Check(func() {
		if got := w.hub.Stats().Dropped; l.dropped != got {
			x.Errorf("the lines tell of %d lost, and %d were", l.dropped, got)
		}
	})
	return w, l
}

func (l *logbook) Enabled(context.Context, slog.Level) bool { return true }
func (l *logbook) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logbook) WithGroup(string) slog.Handler            { return l }

func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	sched.Touch("log line")
	r.Attrs(func(a slog.Attr) bool {
		switch {
		case strings.HasSuffix(r.Message, "events dropped") && (a.Key == "dropped" || a.Key == "suppressed"):
			l.dropped += a.Value.Uint64()
		case a.Key == "blocked":
			l.blocked += a.Value.Uint64()
		}
		return true
	})
	return nil
}

func logNote(x *sched.X) {
	w, _ := logged(x)
	w.subscribe(broadcast.DropNewest, 1)
	w.publishes("publisher A", bg, 1, 2)
	w.Go("publisher B", func() {
		sched.Recv(time.After(time.Second), "until the goroutine finds nothing new")
		w.publish(bg, 3)
	})
}

func logClose(x *sched.X) {
	w, _ := logged(x)
	w.closing = true
	w.subscribe(broadcast.DropNewest, 1)
	w.publishes("publisher A", bg, 1, 2)
	w.publishes("publisher B", bg, 3)
	w.Go("closer", w.hub.Close)
}

func logBlocked(x *sched.X) {
	w, l := logged(x)
	s := w.subscribe(broadcast.Block, 1)
	w.fill(1)
	w.publishes("publisher A", bg, 2)
	w.publishes("publisher B", bg, 3)
	w.Go("consumer", func() {
		sched.Recv(time.After(1500*time.Millisecond), "rest")
		s.take(2)
	})
	x.Check(func() {
		if l.blocked != 1 {
			x.Errorf("the lines tell of %d that were blocked for long, and one was", l.blocked)
		}
	})
}

func timed(x *sched.X) {
	w := newWorld(x)
	broadcast.NewCollector("timed", w.hub, broadcast.WithPublishSampling(1))
	s := w.subscribe(broadcast.Block, 1)
	w.publishes("publisher A", bg, 1, 2)
	w.publishes("publisher B", bg, 11)
	w.receives("consumer", s, 2)
}

func timedGate(x *sched.X) {
	w := newWorld(x)
	broadcast.NewCollector("timed", w.hub, broadcast.WithPublishSampling(1))
	r := w.follow(broadcast.Block, 1)
	w.publishes("publisher", bg, 1, 2)
	w.reads("reader", r, bg, 2)
}

// statsReceived asks for the stats of subscriptions at any moment. What these say of
// Received is more than was taken by at most the event in flight, and with DropOldest
// by that which it has taken out and not counted yet; and less by at most what was
// published during the call.
func statsReceived(x *sched.X) {
	w := newWorld(x)
	a := w.subscribe(broadcast.DropOldest, 1)
	b := w.subscribe(broadcast.DropNewest, 1)
	w.publishes("publisher", bg, 1, 2)
	w.receives("consumer", a, 1)
	w.Go("watcher", func() {
		for _, s := range []*witness{a, b} {
			got, published := len(s.got), w.published
			st := s.Stats()
			most, least := len(s.got)+1, got-(w.begun-published)
			if s.taking {
				most++
			}
			if s.policy == broadcast.DropOldest {
				most++
			}
			if int64(st.Received) > int64(most) || int64(st.Received) < int64(least) {
				x.Errorf("law 2: %v: Received = %d, want %d to %d: %+v", s.policy, st.Received, least, most, st)
			}
		}
	})
}
