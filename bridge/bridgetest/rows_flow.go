package bridgetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
)

func needConfirmation(e *env) string {
	return need(e.h.SlowJoiner == "", "the source cannot confirm a subscription: "+e.h.SlowJoiner)
}

func needLossy(e *env) string {
	return need(!e.can.Acks, "the source acknowledges, so that nobody may lose")
}

// Row 5: one subscriber that takes nothing and 99 good ones, under each policy that
// loses.
func testStuck(e *env) {
	const burst, bursts = 200, 5
	for i, p := range []broadcast.Action{broadcast.DropNewest, broadcast.DropOldest, broadcast.Eject} {
		var slowBefore uint64
		if e.h.SlowConsumers != nil {
			slowBefore = e.h.SlowConsumers()
		}
		b, _ := e.bridge(e.h.Source, number, e.plain()...)
		topic := e.h.Topic(i)
		lead := e.reader(b, topic)
		stuck := e.subscription(b, topic, broadcast.WithBuffer(4), broadcast.WithPolicy(p))
		var good []*broadcast.Subscription[event]
		for range 98 {
			good = append(good, e.subscription(b, topic))
		}
		for range bursts {
			last := lead.last
			lead.exchange(burst)
			for k, s := range good {
				e.takeAll(s, topic, k, last, burst)
			}
		}
		st := stuck.Stats()
		if st.Dropped == 0 || st.Offered != st.Received+uint64(st.Len)+st.Dropped {
			e.Errorf("%v: the stuck subscriber's counts do not add up: %+v", p, st)
		}
		if p == broadcast.Eject != errors.Is(stuck.Err(), broadcast.ErrEjected) {
			e.Errorf("%v: Err of the stuck subscriber is %v", p, stuck.Err())
		}
		b.Close()
		if e.h.SlowConsumers != nil {
			if slow := e.h.SlowConsumers(); slow != slowBefore {
				e.Errorf("%v: the system has found a consumer slow: %d times", p, slow-slowBefore)
			}
		}
	}
}

func (e *env) subscription(b *numbers, topic string, opts ...broadcast.SubscribeOption) *broadcast.Subscription[event] {
	e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := b.Subscribe(ctx, topic, opts...)
	if err != nil {
		e.Fatalf("Subscribe %q: %v", topic, err)
	}
	return s
}

// takeAll takes n numbers behind last from s, all of them in order.
func (e *env) takeAll(s *broadcast.Subscription[event], topic string, who, last, n int) {
	end := time.NewTimer(2 * patience)
	defer end.Stop()
	for want := last + 1; want <= last+n; want++ {
		select {
		case ev := <-s.C():
			if ev.Gap != nil || ev.Value != want {
				e.Errorf("topic %q: good subscriber %d has %+v: want number %d", topic, who, ev, want)
				return
			}
		case <-end.C:
			e.Errorf("topic %q: good subscriber %d waits for number %d", topic, who, want)
			return
		}
	}
	if st := s.Stats(); st.Dropped > 0 {
		e.Errorf("topic %q: good subscriber %d has lost %d", topic, who, st.Dropped)
	}
}

// letter is what the handler of poison was given.
type letter struct {
	data string
	pos  bridge.Position
	err  error
}

// mailbox collects letters and answers with a verdict.
type mailbox struct {
	verdict error

	mu      sync.Mutex
	letters []letter // guarded by mu
}

func (b *mailbox) post(m *bridge.Message, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.letters = append(b.letters, letter{string(m.Data), m.Position, err})
	return b.verdict
}

func (b *mailbox) all() []letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]letter(nil), b.letters...)
}

// Row 7: poison of each kind, with each verdict; other messages and topics flow.
func testPoison(e *env) {
	for i, poison := range []string{"poison", "panic", "\xff{not a number"} {
		e.testPoisonSkipped(e.h.Topic(2*i), poison)
		e.testPoisonEnds(e.h.Topic(2*i+1), e.h.Topic(7), poison)
	}
}

func (e *env) testPoisonSkipped(topic, poison string) {
	e.Helper()
	var box mailbox
	b, w := e.bridge(e.h.Source, number, e.plain(bridge.WithPoison(box.post))...)
	f := e.reader(b, topic)
	f.exchange(1)
	e.send(topic, []byte(poison))
	f.exchange(5)
	e.checkLetters(box.all(), poison)
	if e.can.Acks && e.h.Acked != nil { // the last one is not released
		e.eventually(patience, "the acknowledgement of poison", func() bool { return e.h.Acked(topic) == 6 })
	}
	if e.can.Replay && !e.can.Acks { // the next Run begins behind it, also if it came last
		e.send(topic, []byte(poison))
		e.eventually(patience, "the second poison", func() bool { return len(box.all()) == 2 })
		w.fail()
		f.catchUp(patience)
		f.exchange(5)
		if n := len(box.all()); n != 2 {
			e.Errorf("topic %q: two messages were poison, and %d were judged: one came again", topic, n)
		}
	}
	b.Close()
}

func (e *env) checkLetters(letters []letter, poison string) {
	e.Helper()
	if len(letters) != 1 {
		e.Fatalf("poison %q: %d messages were judged: want 1", poison, len(letters))
	}
	l := letters[0]
	var panicked *broadcast.PanicError
	switch {
	case l.data != poison:
		e.Errorf("poison %q: the handler was given %q", poison, l.data)
	case e.can.Replay && l.pos == "":
		e.Errorf("poison %q: the handler was given no position", poison)
	case poison == "poison" && l.err != errPoison: //nolint:errorlint // unchanged
		e.Errorf("poison %q: the handler was given %v: want the error of decode", poison, l.err)
	case poison == "panic" && !errors.As(l.err, &panicked):
		e.Errorf("poison %q: the handler was given %v: want a *broadcast.PanicError", poison, l.err)
	case l.err == nil:
		e.Errorf("poison %q: the handler was given no error", poison)
	}
}

func (e *env) testPoisonEnds(topic, other, poison string) {
	e.Helper()
	enough := errors.New("enough")
	box := mailbox{verdict: enough}
	b, _ := e.bridge(e.h.Source, number, e.plain(bridge.WithPoison(box.post))...)
	f, flows := e.reader(b, topic), e.reader(b, other)
	f.exchange(1)
	e.send(topic, []byte(poison))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if ev, err := f.r.Next(ctx); !errors.Is(err, enough) {
		e.Errorf("poison %q whose verdict is an error: the reader has %+v, %v: want an error that wraps it", poison, ev, err)
	}
	flows.exchange(5)
	b.Close()
	if n := len(box.all()); n != 1 {
		e.Errorf("poison %q whose verdict is an error: it was judged %d times", poison, n)
	}
}

// Row 8: what is too large for us is poison, what is too large for the system is an
// error of who publishes it, and others flow.
func testTooLarge(e *env) {
	var box mailbox
	b, _ := e.bridge(e.h.Source, number, e.plain(bridge.WithMaxBytes(1000), bridge.WithPoison(box.post))...)
	f := e.reader(b, e.h.Topic(0))
	f.exchange(1)
	e.send(f.topic, []byte(strings.Repeat(".", 1001)))
	f.exchange(1)
	if letters := box.all(); len(letters) != 1 || !errors.Is(letters[0].err, bridge.ErrTooLarge) || len(letters[0].data) != 1001 {
		e.Errorf("a message of 1001 bytes with a limit of 1000: %d letters: want one with ErrTooLarge", len(letters))
	}
	if e.h.TooLarge == 0 {
		e.Logf("row 8: too large for the system: not run: the harness has no TooLarge")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := e.h.Publish(ctx, f.topic, make([]byte, e.h.TooLarge)); err == nil {
		e.Errorf("Publish of %d bytes returned nil: the harness says that the system does not take that", e.h.TooLarge)
	}
	f.exchange(5)
}

// Row 11: what is published after Subscribe has returned arrives.
func testSubscribePublish(e *env) {
	rounds := 10_000
	if testing.Short() {
		rounds = 1000
	}
	b, _ := e.bridge(e.h.Source, number, e.plain()...)
	topic := e.h.Topic(0)
	told := 0 // rounds in which a gap was: the connection was lost, and nothing in silence
	for i := 0; i < rounds; i++ {
		r := e.openReader(b, topic)
		if !e.takeNumber(r, i, e.publish(topic, 0)) {
			i, told = i-1, told+1
		}
		r.Close()
	}
	if told > rounds/1000 {
		e.Errorf("topic %q: %d gaps in %d rounds, and no fault was made", topic, told, rounds)
	}
}

// takeNumber takes number n from r, and nothing before it but what was not released
// in the round before. It returns false at a gap.
func (e *env) takeNumber(r *broadcast.Reader[event], round, n int) bool {
	e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		ev, err := r.Next(ctx)
		switch {
		case err == nil && ev.Gap != nil:
			return false
		case err != nil || ev.Value > n || ev.Value < n && !e.can.Acks:
			e.Fatalf("round %d: number %d, published after Subscribe, has not come: got %+v, %v", round, n, ev, err)
		case ev.Value == n:
			return true
		}
	}
}
