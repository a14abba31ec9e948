package bridgetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
)

func needSubscriptions(e *env) string {
	return need(e.h.Subscriptions != nil, "the harness has no Subscriptions")
}

func needAcks(e *env) string {
	switch {
	case !e.can.Acks:
		return "the source does not acknowledge"
	case e.h.Acked == nil:
		return "the harness has no Acked"
	}
	return need(e.h.Again != nil, "the harness has no Again")
}

// Row 0: what bridge.Source says of Run, without a bridge.
func testContract(e *env) {
	if e.h.Source.Capabilities() != e.can {
		e.Errorf("Capabilities changed")
	}
	if _, isAcker := e.h.Source.(bridge.Acker); isAcker != e.can.Acks {
		e.Errorf("Capabilities.Acks is %v, and that it is a bridge.Acker is %v", e.can.Acks, isAcker)
	}
	e.testEndsWithContext(e.h.Topic(0))
	e.testRefusedMessage(e.h.Topic(1))
	if e.can.Replay && !e.can.Acks {
		e.testPositions(e.h.Topic(2))
	}
}

// bare is a Run without a bridge, and what it has delivered.
type bare struct {
	live   chan struct{} // one token for each Live
	got    chan bridge.Message
	refuse error // what Deliver returns
	done   chan error
	cancel context.CancelFunc
}

func (e *env) bare(topic string, from bridge.Position, refuse error) *bare {
	r := &bare{
		live: make(chan struct{}, 100), got: make(chan bridge.Message, 1000),
		refuse: refuse, done: make(chan error, 1),
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	w := &watch{e: e, src: e.h.Source}
	var wg sync.WaitGroup
	wg.Go(func() { r.done <- w.Run(ctx, topic, from, r) })
	e.Cleanup(func() { cancel(); wg.Wait() })
	select {
	case <-r.live:
	case err := <-r.done:
		e.Fatalf("Run of %q returned %v before Live", topic, err)
	case <-time.After(patience):
		e.Fatalf("Run of %q has not called Live within %v", topic, patience)
	}
	return r
}

func (r *bare) Live() { r.live <- struct{}{} }

func (r *bare) Deliver(_ context.Context, m *bridge.Message) error {
	kept := *m
	kept.Data = append([]byte(nil), m.Data...)
	r.got <- kept
	return r.refuse
}

func (r *bare) Gap(context.Context, bridge.Gap) error { return nil }

// receive publishes numbers until one arrives where a subscription is not confirmed,
// and one where it is.
func (e *env) receive(r *bare, topic string) bridge.Message {
	e.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	n := e.publish(topic, 0)
	for {
		select {
		case m := <-r.got:
			if got, err := number(&m); e.h.SlowJoiner == "" && got != n || err != nil || m.Topic != topic {
				e.Errorf("Run of %q delivered topic %q, %q: want number %d", topic, m.Topic, m.Data, n)
			}
			return m
		case <-again.C:
			if e.h.SlowJoiner != "" {
				e.publish(topic, 0)
			}
		case <-end.C:
			e.Fatalf("Run of %q has not delivered a message within %v of Publish", topic, patience)
		}
	}
}

func (e *env) testEndsWithContext(topic string) {
	e.Helper()
	r := e.bare(topic, "", nil)
	e.receive(r, topic)
	if e.h.Subscriptions != nil {
		if n := e.h.Subscriptions(topic); n != 1 {
			e.Errorf("the system has %d subscriptions to %q while a Run is live: want 1", n, topic)
		}
	}
	since := e.stopwatch()
	r.cancel()
	select {
	case <-r.done:
	case <-time.After(patience):
	}
	if took := since(); took > e.prompt() {
		e.Errorf("Run of %q returned %v after its context had ended, if it has: want at most %v", topic, took, e.prompt())
	}
}

func (e *env) testRefusedMessage(topic string) {
	e.Helper()
	no := errors.New("no")
	r := e.bare(topic, "", no)
	e.receive(r, topic)
	select {
	case err := <-r.done:
		if err != no { //nolint:errorlint // unchanged is what is asked for
			e.Errorf("Run of %q returned %v: want the error of Deliver, unchanged", topic, err)
		}
	case <-time.After(patience):
		e.Errorf("Run of %q has not returned after an error of Deliver", topic)
	}
}

// testPositions: a Run begins behind the position of any message.
func (e *env) testPositions(topic string) {
	e.Helper()
	r := e.bare(topic, "", nil)
	var all []bridge.Message
	for range 10 {
		all = append(all, e.receive(r, topic))
	}
	r.cancel()
	for i := range 9 {
		r := e.bare(topic, all[i].Position, nil)
		select {
		case m := <-r.got:
			if string(m.Data) != string(all[i+1].Data) || m.Position != all[i+1].Position {
				e.Errorf("Run of %q from %q delivered %q at %q: want %q at %q", topic, all[i].Position, m.Data, m.Position, all[i+1].Data, all[i+1].Position)
			}
		case <-time.After(patience):
			e.Errorf("Run of %q from %q has delivered nothing within %v", topic, all[i].Position, patience)
		}
		r.cancel()
		<-r.done
	}
}

// Row 10: at most one network subscription for each pattern, whoever comes and goes.
func testChurn(e *env) {
	const churners, patterns = 1000, 50
	const linger = 50 * time.Millisecond
	rounds := 10
	if testing.Short() {
		rounds = 2
	}
	b, w := e.bridge(e.h.Source, number, e.plain(bridge.WithLinger(linger))...)
	topics := make([]string, patterns)
	for i := range topics {
		topics[i] = e.h.Topic(i)
	}
	var wg sync.WaitGroup
	for i := range churners {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 3))
			for range rounds {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				s, err := b.NewReader(ctx, topics[rnd.IntN(patterns)])
				cancel()
				if err != nil {
					e.Errorf("Subscribe: %v", err)
					return
				}
				pause(time.Duration(rnd.IntN(int(2 * linger))))
				s.Close()
			}
		})
	}
	over := make(chan struct{})
	go func() { wg.Wait(); close(over) }()
	for look := 0; ; look++ {
		e.checkSubscriptions(topics[look%patterns], 1)
		select {
		case <-over:
		case <-time.After(time.Millisecond):
			continue
		}
		break
	}
	w.mu.Lock()
	for pattern, most := range w.most {
		if most > 1 {
			e.Errorf("the bridge had %d Runs of %q at once", most, pattern)
		}
	}
	w.mu.Unlock()
	e.eventually(patience, "no subscription behind the linger", func() bool {
		for _, topic := range topics {
			if e.h.Subscriptions(topic) > 0 {
				return false
			}
		}
		return true
	})
}

func (e *env) checkSubscriptions(topic string, most int) {
	e.Helper()
	if n := e.h.Subscriptions(topic); n > most {
		e.Errorf("the system has %d subscriptions to %q: want at most %d", n, topic, most)
	}
}

// Row 12: a reader stalls, the process ends in the middle, the next one takes its place.
func testAcks(e *env) {
	const all, taken = 100, 50
	topic := e.h.Topic(0)
	b, _ := e.bridge(e.h.Source, number, e.plain()...)
	quick, slow := e.reader(b, topic), e.reader(b, topic)
	quick.exchange(all)
	before := e.h.Acked(topic)
	if before > 0 {
		e.Errorf("topic %q: %d are acknowledged, and one reader has taken nothing", topic, before)
	}
	first := slow.last + 1
	slow.until(first+taken-1, patience)
	released := uint64(taken - 1) // the last one may still be worked on
	e.eventually(patience, "an acknowledgement", func() bool { return e.h.Acked(topic) > 0 })
	pause(100 * time.Millisecond)
	acked := e.h.Acked(topic)
	if acked > released {
		e.Fatalf("topic %q: %d are acknowledged, and the slowest reader has released %d", topic, acked, released)
	}
	b.Close()
	if now := e.h.Acked(topic); now > released {
		e.Errorf("topic %q: %d are acknowledged after Close, and the slowest reader had released %d", topic, now, released)
	}
	e.testTakeover(topic, first, all, taken)
}

// testTakeover is the process behind the one that has ended: what that had not
// released comes again, marked if it had it in its hands.
func (e *env) testTakeover(topic string, first, all, taken int) {
	e.Helper()
	b, _ := e.bridge(e.h.Again(), number, e.plain()...)
	r := e.openReader(b, topic)
	seen := map[int]bool{}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	for missing := all - taken + 1; missing > 0; {
		ev, err := r.Next(ctx)
		if err != nil {
			e.Fatalf("topic %q: %d of the %d that were not acknowledged have not come again: %v", topic, missing, all-taken+1, err)
		}
		if ev.Gap != nil {
			e.Errorf("topic %q: a gap %v, and nothing was acknowledged that is missing", topic, ev.Gap.Reason)
			continue
		}
		if e.h.Unmarked == "" && !ev.Redelivered && ev.Value < first+taken {
			e.Errorf("topic %q: number %d comes again, and is not marked", topic, ev.Value)
		}
		if ev.Value >= first+taken-1 && !seen[ev.Value] {
			seen[ev.Value] = true
			missing--
		}
	}
	short, stop := context.WithTimeout(ctx, 10*time.Millisecond)
	defer stop()
	_, _ = r.Next(short) // releases the last one
	e.eventually(patience, "the acknowledgement of all", func() bool { return e.h.Acked(topic) >= uint64(all) })
	if err := b.Shutdown(ctx); err != nil {
		e.Errorf("Shutdown: %v", err)
	}
}
