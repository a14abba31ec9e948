package bridgetest

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
)

func need(has bool, what string) string {
	if has {
		return ""
	}
	return what
}

func needRestart(e *env) string { return need(e.h.Restart != nil, "the harness has no Restart") }
func needCut(e *env) string     { return need(e.h.Cut != nil, "the harness has no Cut") }
func needMute(e *env) string    { return need(e.h.Mute != nil, "the harness has no Mute") }

func needBlackhole(e *env) string { return need(e.h.Blackhole != nil, "the harness has no Blackhole") }

func needOverrun(e *env) string {
	return need(e.h.Overrun.Messages > 0, "the harness has no Overrun")
}

func needTruncate(e *env) string {
	if !e.can.Replay || e.can.Acks {
		return "the source does not start from positions"
	}
	return need(e.h.Truncate != nil, "the harness has no Truncate")
}

// Row 1: live again in time; a gap before the next event, or nothing lost.
func testRestart(e *env) {
	b, _ := e.bridge(e.h.Source, number, e.plain()...)
	f := e.reader(b, e.h.Topic(0))
	f.exchange(20)
	gaps := len(f.gaps)
	e.restarted = true
	e.h.Restart(time.Second)
	f.healed(gaps)
}

// Row 2: the same after each of many cuts, with messages on the way.
func testCuts(e *env) {
	cuts := 50
	if testing.Short() {
		cuts = 10
	}
	b, _ := e.bridge(e.h.Source, number, e.plain()...)
	f := e.reader(b, e.h.Topic(0))
	f.exchange(20)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range cuts {
		gaps := len(f.gaps)
		for range rnd.IntN(30) {
			e.publish(f.topic, 0)
		}
		pause(time.Duration(rnd.IntN(3000)) * time.Microsecond)
		e.h.Cut()
		f.healed(gaps)
	}
}

// Row 3: a link that swallows everything is noticed, and heals.
func testBlackhole(e *env) {
	b, _ := e.bridge(e.h.Source, number, e.plain()...)
	f := e.reader(b, e.h.Topic(0))
	f.exchange(20)
	const dark = 3 * time.Second
	gaps := len(f.gaps)
	heal := e.once(func() { e.h.Blackhole(false) })
	e.h.Blackhole(true)
	end := time.Now().Add(dark)
	e.publish(f.topic, 0)
	if !e.keeps() {
		if bound := e.within(2 * e.h.KeepAlive); f.next(bound) == nil || len(f.gaps) == gaps {
			e.Errorf("topic %q: no gap within %v of a black hole", f.topic, bound)
		}
	}
	pause(time.Until(end))
	heal()
	f.healed(gaps)
}

// Row 4: a start that is never answered ends with its ctx, and with Close.
func testMute(e *env) {
	b, _ := e.bridge(e.h.Source, number, e.plain()...)
	e.once(func() { e.h.Mute(false) })
	e.h.Mute(true)
	gone := context.Canceled
	ctx, cancel := context.WithTimeoutCause(context.Background(), 300*time.Millisecond, gone)
	defer cancel()
	since := e.stopwatch()
	_, err := b.NewReader(ctx, e.h.Topic(0))
	if err != gone { //nolint:errorlint // it is to be returned as it is
		e.Errorf("NewReader of a system that never answers returned %v: want the cause of its ctx", err)
	}
	if took := since(); took > 300*time.Millisecond+e.prompt() {
		e.Errorf("NewReader of a system that never answers returned after %v: its ctx was for 300ms", took)
	}
	waiting := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := b.NewReader(context.Background(), e.h.Topic(1))
		waiting <- err
	})
	e.eventually(patience, "the second start", func() bool {
		for s := range b.Topics() {
			if s.Pattern == e.h.Topic(1) && s.State == bridge.Starting {
				return true
			}
		}
		return false
	})
	since = e.stopwatch()
	b.Close()
	if took, bound := since(), e.within(100*time.Millisecond); took > bound {
		e.Errorf("Close took %v while a start is never answered: want at most %v", took, bound)
	}
	wg.Wait()
	if err := <-waiting; err != broadcast.ErrClosed { //nolint:errorlint // it is to be returned as it is
		e.Errorf("NewReader returned %v after Close: want ErrClosed", err)
	}
}

// Row 6: what the client or the system drops is a gap before the next event, exact
// where the source says so.
func testOverrun(e *env) {
	gate := make(chan struct{})
	held := make(chan struct{}, 1)
	b, _ := e.bridge(e.h.Source, func(m *bridge.Message) (int, error) {
		select {
		case held <- struct{}{}:
		default:
		}
		<-gate
		return number(m)
	}, e.plain(bridge.WithMaxBytes(1<<26), bridge.WithHub(1, broadcast.DropOldest, broadcast.WithRing(e.h.Overrun.Messages+1024)))...)
	open := e.once(func() { close(gate) })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := b.NewReader(ctx, e.h.Topic(0))
	if err != nil {
		e.Fatalf("NewReader: %v", err)
	}
	f := e.follow(r, e.h.Topic(0))
	if e.h.SlowJoiner != "" {
		f.last = -1
	}
	e.eventually(patience, "the first message", func() bool {
		e.publish(f.topic, e.h.Overrun.Size)
		select {
		case <-held:
			return true
		default:
			return false
		}
	})
	for range e.h.Overrun.Messages {
		e.publish(f.topic, e.h.Overrun.Size)
	}
	open()
	f.catchUp(patience)
	if len(f.gaps) == 0 {
		e.Errorf("topic %q: %d messages were too many, and there is no gap", f.topic, e.h.Overrun.Messages)
	}
	f.exchange(20)
}

// Row 9: what the system has forgotten is a gap with the exact range, at a start from
// there and under a subscriber that holds the source up.
func testTruncation(e *env) {
	topic := e.h.Topic(0)
	b, _ := e.bridge(e.h.Source, number, e.plain()...)
	f := e.reader(b, topic)
	at := map[int]bridge.Position{}
	for range 10 {
		n := e.publish(topic, 0)
		f.until(n, patience)
		at[n] = f.position
	}
	b.Close()
	first := f.last - 9
	e.h.Truncate(topic, 3)
	b, _ = e.bridge(e.h.Source, number, e.plain(bridge.WithFrom(func(string) bridge.Position { return at[first+1] }))...)
	f = e.follow(e.openReader(b, topic), topic)
	f.last = first + 1
	f.until(first+7, patience)
	if len(f.gaps) != 1 || f.gaps[0].Reason != bridge.Truncated {
		e.Fatalf("topic %q: a start from number %d when all before number %d were truncated: %s: want one gap", topic, first+1, first+7, f.describe())
	}
	if g := f.gaps[0]; e.can.ExactGaps && (g.From != at[first+2] || g.To != at[first+6] || g.Count != 5) {
		e.Errorf("topic %q: the gap is from %q to %q, count %d: want from %q to %q, count 5", topic, g.From, g.To, g.Count, at[first+2], at[first+6])
	}
	f.until(first+9, patience)
	b.Close()
	if !e.can.Pausable {
		return
	}
	b, _ = e.bridge(e.h.Source, number, e.plain(bridge.WithHub(1, broadcast.Block, broadcast.WithRing(2)))...)
	f = e.reader(b, topic)
	for range 2000 {
		e.publish(topic, 1000)
	}
	e.h.Truncate(topic, 3)
	f.until(e.published[topic], patience)
	f.exchange(20)
}

// openReader subscribes, without more.
func (e *env) openReader(b *numbers, topic string, opts ...broadcast.SubscribeOption) *broadcast.Reader[event] {
	e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := b.NewReader(ctx, topic, opts...)
	if err != nil {
		e.Fatalf("NewReader %q: %v", topic, err)
	}
	return r
}
