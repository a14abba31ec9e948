package bridgetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
)

// Row 13: Close and Shutdown in each state, twice.
func testClosing(e *env) {
	ends := map[string]func(b *numbers) error{
		"Close": func(b *numbers) error { b.Close(); return nil },
		"Shutdown": func(b *numbers) error {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			return b.Shutdown(ctx)
		},
	}
	for name, end := range ends {
		for _, s := range closingStates {
			if what := s.lacks(e); what != "" {
				e.Logf("row 13: %s %s: not run: %s", name, s.name, what)
				continue
			}
			b, w := e.bridge(e.h.Source, number, e.plain(bridge.WithLinger(time.Hour), bridge.WithBackoff(time.Hour, time.Hour))...)
			leave := e.once(s.enter(e, b, w))
			since := e.stopwatch()
			err := end(b)
			took := since()
			again := end(b)
			if took > e.prompt() || err != nil || again != nil {
				e.Errorf("%s %s took %v and returned %v, the second one %v: want at most %v and nil", name, s.name, took, err, again, e.prompt())
			}
			leave()
			if e.h.Subscriptions != nil {
				e.eventually(patience, fmt.Sprintf("no subscription after %s %s", name, s.name), func() bool {
					return e.h.Subscriptions(e.h.Topic(0)) == 0
				})
			}
		}
	}
}

// closingState is a state to close in.
type closingState struct {
	name  string
	lacks func(e *env) string
	// enter brings b there; what it returns undoes what was done to the system.
	enter func(e *env, b *numbers, w *watch) (leave func())
}

func needNothing(*env) string { return "" }

var closingStates = []closingState{
	{"idle", needNothing, func(*env, *numbers, *watch) func() { return func() {} }},
	{"starting", needMute, func(e *env, b *numbers, _ *watch) func() {
		e.h.Mute(true)
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = b.NewReader(ctx, e.h.Topic(0)) })
		e.inState(b, bridge.Starting, bridge.Live) // a slow joiner is live at once
		return func() { cancel(); wg.Wait(); e.h.Mute(false) }
	}},
	{"live", needNothing, func(e *env, b *numbers, _ *watch) func() {
		e.reader(b, e.h.Topic(0))
		return func() {}
	}},
	{"lingering", needNothing, func(e *env, b *numbers, _ *watch) func() {
		e.openReader(b, e.h.Topic(0)).Close()
		e.inState(b, bridge.Lingering)
		return func() {}
	}},
	{"in its backoff", needNothing, func(e *env, b *numbers, w *watch) func() {
		r := e.openReader(b, e.h.Topic(0))
		w.fail()
		e.inState(b, bridge.Restarting)
		r.Close() // what it has not taken would hold up Shutdown
		return func() {}
	}},
	{"while the source connects again", func(e *env) string { return need(e.h.Refuse != nil, "the harness has no Refuse") }, func(e *env, b *numbers, _ *watch) func() {
		e.openReader(b, e.h.Topic(0)).Close() // what it has not taken would hold up Shutdown
		e.h.Refuse(true)
		pause(50 * time.Millisecond)
		return func() { e.h.Refuse(false) }
	}},
}

func (e *env) inState(b *numbers, want ...bridge.State) {
	e.Helper()
	e.eventually(patience, fmt.Sprint("state ", want), func() bool {
		for s := range b.Topics() {
			if slices.Contains(want, s.State) {
				return true
			}
		}
		return false
	})
}
