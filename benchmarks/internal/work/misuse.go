package work

import (
	"sync/atomic"
	"time"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
)

// Misuses are the kinds of misuse, in the order of the report, and what each is.
func Misuses() (names, what []string) {
	for _, m := range misuses() {
		names, what = append(names, m.name), append(what, m.what)
	}
	return names, what
}

type misuseCase struct {
	name, what string
	closes     bool
	run        func(*scene) string
}

func misuses() []misuseCase {
	return []misuseCase{
		{"close-blocked", "Close while a Publish is blocked", true, closeBlocked},
		{"unsubscribe-inside", "unsubscribe inside the receive loop while a Publish waits for it", false, unsubscribeInside},
		{"double-close", "Close twice", true, doubleClose},
		{"publish-closed", "Publish after Close", true, publishClosed},
	}
}

// scene is a bus that is misused.
type scene struct {
	bus    peer.Bus
	buffer int
	close  func() error
	stage  atomic.Pointer[string] // what it waits for
	look   time.Duration
}

func (s *scene) at(stage string) { s.stage.Store(&stage) }

// misuse tells in Detail what came of it. A panic ends the process, which its parent sees.
func misuse(j Job, p peer.Peer) Result {
	for _, m := range misuses() {
		if m.name != j.Misuse {
			continue
		}
		s := &scene{bus: p.New(peer.Config{Buffer: j.Buffer}), buffer: j.Buffer, look: j.Pace.Patience / 40}
		closer, ok := s.bus.(peer.Closer)
		if m.closes && !ok {
			return Result{Detail: "it has no Close"}
		}
		if ok {
			s.close = closer.Close
		}
		s.at("does not return")
		answer := make(chan string, 1)
		go func() { answer <- m.run(s) }()
		select {
		case a := <-answer:
			return Result{Detail: a}
		case <-time.After(j.Pace.Patience):
			return Result{Outcome: Stalled, Detail: "deadlocks: " + *s.stage.Load()}
		}
	}
	return Result{Outcome: Failed, Detail: "there is no misuse " + j.Misuse}
}

func closeBlocked(s *scene) string {
	never := make(chan struct{})
	s.bus.Subscribe(func(peer.Event) { <-never })
	closing := make(chan struct{})
	p := s.publish(100*(s.buffer+100), closing)
	s.at("Publish blocks, and this shows nothing")
	if p.untilStill(s.look) {
		return "ok: Publish never blocks"
	}
	close(closing)
	s.at("Close does not return")
	if err := s.close(); err != nil {
		return "Close returns an error: " + err.Error()
	}
	s.at("Publish stays blocked")
	return told(<-p.returned)
}

// publisher publishes in the background.
type publisher struct {
	published atomic.Int64
	returned  chan error // what the last Publish returned
}

// publish publishes so many events, less if an error comes or stop is closed.
func (s *scene) publish(events int, stop <-chan struct{}) *publisher {
	p := &publisher{returned: make(chan error, 1)}
	go func() {
		for seq := range uint64(events) {
			err := s.bus.Publish(newEvent(seq+1, 0))
			p.published.Add(1)
			select {
			case <-stop:
				p.returned <- err
				return
			default:
			}
			if err != nil {
				p.returned <- err
				return
			}
		}
		p.returned <- nil
	}()
	return p
}

// untilStill waits until the publisher is through, which it tells, or gets no further.
func (p *publisher) untilStill(look time.Duration) (through bool) {
	for before, still := int64(-1), 0; still < 4; {
		select {
		case err := <-p.returned:
			p.returned <- err
			return true
		case <-time.After(look):
		}
		if now := p.published.Load(); now != before {
			before, still = now, 0
		} else {
			still++
		}
	}
	return false
}

// told is what a Publish that was not to go through says.
func told(err error) string {
	if err == nil {
		return "ok, but Publish returns as if nothing was"
	}
	return "ok: Publish returns an error"
}

// unsubscribeInside has the second of two subscribers unsubscribe from inside, once a
// Publish waits for it or everything is published.
func unsubscribeInside(s *scene) string {
	events := int64(100 + s.buffer)
	all, more, now, gone := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	var first, second atomic.Int64
	s.bus.Subscribe(func(peer.Event) {
		switch first.Add(1) {
		case events:
			close(all)
		case events + 1:
			close(more)
		}
	})
	cancel := make(chan func(), 1)
	cancel <- s.bus.Subscribe(func(e peer.Event) {
		if second.Swap(int64(e.Seq)) == 0 {
			<-now
			(<-cancel)()
			close(gone)
		}
	})
	p := s.publish(int(events), nil)
	s.at("Publish does not return")
	p.untilStill(s.look)
	close(now)
	s.at("unsubscribing does not return")
	<-gone
	s.at("Publish stays blocked")
	if err := <-p.returned; err != nil {
		return "Publish returns an error: " + err.Error()
	}
	s.at("the other subscriber does not get its events any more")
	<-all
	s.at("and this shows nothing: goroutines never rest")
	settle()
	if err := s.bus.Publish(newEvent(uint64(events)+1, 0)); err != nil {
		return "Publish returns an error: " + err.Error()
	}
	s.at("the other subscriber does not get the last event")
	<-more
	s.at("and this shows nothing: goroutines never rest")
	settle()
	if second.Load() > events {
		return "it goes on receiving"
	}
	return "ok"
}

func doubleClose(s *scene) string {
	if err := s.close(); err != nil {
		return "the first Close returns an error: " + err.Error()
	}
	s.at("the second Close does not return")
	if err := s.close(); err != nil {
		return "ok: the second Close returns an error"
	}
	return "ok"
}

func publishClosed(s *scene) string {
	s.bus.Subscribe(func(peer.Event) {})
	if err := s.bus.Publish(newEvent(1, 0)); err != nil {
		return "Publish returns an error: " + err.Error()
	}
	if err := s.close(); err != nil {
		return "Close returns an error: " + err.Error()
	}
	s.at("Publish does not return")
	return told(s.bus.Publish(newEvent(2, 0)))
}
