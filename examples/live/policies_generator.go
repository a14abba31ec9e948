package main

import (
	"context"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast"
)

// settings are what the page can ask of the publisher.
type settings struct {
	rate  int // events per second
	burst int // events without a pause between them
}

var firstSettings = settings{rate: 500, burst: 1}

// generator invents events, as many as are asked for if the hub lets it.
type generator struct {
	hub      *broadcast.Hub[tick]
	values   *broadcast.CoalescingHub[string, tick]
	settings *knob[settings]
	spent    stopwatch // in Publish

	// Only run uses both below.
	due  time.Time // of the next burst
	sent uint64    // ticks
}

func newGenerator(hub *broadcast.Hub[tick], values *broadcast.CoalescingHub[string, tick]) *generator {
	return &generator{hub: hub, values: values, settings: newKnob(firstSettings)}
}

// run publishes until ctx ends, while somebody looks.
func (p *generator) run(ctx context.Context, pages *knob[int]) {
	for ctx.Err() == nil {
		n, others := pages.get()
		if n > 0 {
			p.play(ctx, others)
			continue
		}
		select {
		case <-others.Done():
		case <-ctx.Done():
		}
	}
}

// play publishes until a page comes or goes or ctx ends.
func (p *generator) play(ctx context.Context, others context.Context) {
	// Waking up more often than this would cost more than publishing.
	const leastPause = 2 * time.Millisecond
	timer := time.NewTimer(leastPause)
	defer timer.Stop()
	if now := time.Now(); p.due.Before(now) {
		p.due = now // a rest is not made up for at all
	}
	for {
		s, current := p.settings.get()
		every := time.Duration(s.burst) * time.Second / time.Duration(s.rate)
		p.catchUp(ctx, s.burst, every, current)
		timer.Reset(max(time.Until(p.due), leastPause))
		select {
		case <-timer.C:
		case <-current.Done():
		case <-others.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// catchUp publishes the bursts that are due. What could not be published
// because the hub was blocked is not made up for, but for what a timer may be
// late; nor does a slower rate set before hold up a faster one.
func (p *generator) catchUp(ctx context.Context, burst int, every time.Duration, current context.Context) {
	const debt = 20 * time.Millisecond
	now := time.Now()
	if least := now.Add(-debt); p.due.Before(least) {
		p.due = least
	}
	if most := now.Add(every); p.due.After(most) {
		p.due = most
	}
	for ; !p.due.After(now); p.due = p.due.Add(every) {
		for range burst {
			if current.Err() != nil || p.publish(ctx) != nil {
				return
			}
		}
	}
}

// publish gives the next tick to both hubs. It waits for the first as long as
// that takes, or until ctx ends; the second never waits for anybody.
func (p *generator) publish(ctx context.Context) error {
	now := time.Now()
	p.spent.start(now)
	defer p.spent.stop()
	t := tick{n: p.sent + 1, at: now}
	if err := p.hub.Publish(ctx, t); err != nil {
		return err
	}
	p.sent++
	return p.values.Publish(t.key(), t)
}

// stopwatch adds up the time spent in something, what lasts still included.
type stopwatch struct {
	mu    sync.Mutex // guards both below
	total time.Duration
	since time.Time // zero while it stands
}

func (s *stopwatch) start(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = now
}

func (s *stopwatch) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total += time.Since(s.since)
	s.since = time.Time{}
}

// read returns the total, what lasts still included, and how long that lasts; 0
// while the watch stands.
func (s *stopwatch) read() (total, present time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.since.IsZero() {
		present = time.Since(s.since)
	}
	return s.total + present, present
}
