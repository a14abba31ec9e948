package bridgetest

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
)

// watch is a source that checks how the one under test treats its sink, and can make
// its Runs fail.
type watch struct {
	e   *env
	src bridge.Source

	mu   sync.Mutex
	runs map[*watchedSink]context.CancelCauseFunc // guarded by mu
	most map[string]int                           // Runs of a pattern at once; guarded by mu
}

// source is w with as much as the source under test has.
func (w *watch) source() bridge.Source {
	acker, acks := w.src.(bridge.Acker)
	merger, merges := w.src.(bridge.Merger)
	switch {
	case acks && merges:
		return struct {
			*watch
			bridge.Acker
			bridge.Merger
		}{w, acker, merger}
	case acks:
		return struct {
			*watch
			bridge.Acker
		}{w, acker}
	case merges:
		return struct {
			*watch
			bridge.Merger
		}{w, merger}
	}
	return w
}

func (w *watch) Capabilities() bridge.Capabilities { return w.src.Capabilities() }

// errFailed is why a Run fails that fail has ended.
var errFailed = errors.New("bridgetest: the suite has this Run fail")

// fail has every Run that is going on fail, as if by itself.
func (w *watch) fail() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, cancel := range w.runs {
		cancel(errFailed)
	}
}

func (w *watch) begin(s *watchedSink, cancel context.CancelCauseFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.runs == nil {
		w.runs, w.most = map[*watchedSink]context.CancelCauseFunc{}, map[string]int{}
	}
	w.runs[s] = cancel
	n := 0
	for other := range w.runs {
		if other.pattern == s.pattern {
			n++
		}
	}
	w.most[s.pattern] = max(w.most[s.pattern], n)
}

func (w *watch) end(s *watchedSink) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.runs, s)
}

func (w *watch) Run(ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &watchedSink{e: w.e, pattern: pattern, sink: sink}
	w.begin(s, cancel)
	defer w.end(s)
	var ended atomic.Pointer[func() time.Duration]
	stop := context.AfterFunc(inner, func() { took := w.e.stopwatch(); ended.Store(&took) })
	defer stop()
	err := w.src.Run(inner, pattern, from, s)
	s.over.Store(true)
	if since := ended.Load(); since != nil {
		if took := (*since)(); took > w.e.prompt() {
			w.e.Errorf("Run of %q returned %v after its context had ended: want at most %v", pattern, took, w.e.prompt())
		}
	}
	if refused := s.refused.Load(); refused != nil && err != *refused && inner.Err() == nil { //nolint:errorlint // unchanged is what is asked for
		w.e.Errorf("Run of %q returned %v: want the error of the sink unchanged: %v", pattern, err, *refused)
	}
	if err == nil && inner.Err() == nil {
		w.e.Errorf("Run of %q returned nil, and its context has not ended", pattern)
	}
	if errors.Is(context.Cause(inner), errFailed) && ctx.Err() == nil {
		return errFailed
	}
	return err
}

// watchedSink checks the calls of one Run.
type watchedSink struct {
	e       *env
	pattern string
	sink    bridge.Sink

	busy    atomic.Bool
	live    atomic.Bool
	over    atomic.Bool
	refused atomic.Pointer[error]
}

// enter checks what holds for all calls.
func (s *watchedSink) enter(call string) (leave func()) {
	if s.over.Load() {
		s.e.Errorf("%s of %q was called after Run had returned", call, s.pattern)
	}
	if !s.busy.CompareAndSwap(false, true) {
		s.e.Errorf("%s of %q was called while another call of the sink was going on", call, s.pattern)
		return func() {}
	}
	runtime.Gosched() // whoever else calls now is seen
	return func() { s.busy.Store(false) }
}

func (s *watchedSink) Live() {
	defer s.enter("Live")()
	s.live.Store(true)
	s.sink.Live()
}

func (s *watchedSink) Deliver(ctx context.Context, m *bridge.Message) error {
	defer s.enter("Deliver")()
	s.checkLive("Deliver")
	return s.note(s.sink.Deliver(ctx, m))
}

func (s *watchedSink) Gap(ctx context.Context, g bridge.Gap) error {
	defer s.enter("Gap")()
	s.checkLive("Gap")
	if g.Reason < bridge.Disconnected || g.Reason > bridge.SourceDropped {
		s.e.Errorf("Gap of %q with %v: not a reason of a source", s.pattern, g.Reason)
	}
	return s.note(s.sink.Gap(ctx, g))
}

func (s *watchedSink) checkLive(call string) {
	if !s.live.Load() {
		s.e.Errorf("%s of %q was called before Live", call, s.pattern)
	}
	if s.refused.Load() != nil {
		s.e.Errorf("%s of %q was called after the sink had returned an error", call, s.pattern)
	}
}

func (s *watchedSink) note(err error) error {
	if err != nil {
		s.refused.CompareAndSwap(nil, &err)
	}
	return err
}
