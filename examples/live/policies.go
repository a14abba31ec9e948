package main

import (
	"context"
	"errors"
	"sync"

	"github.com/gobroadcast/broadcast"
)

// The bounds of the demonstration keep it from eating the machine, whatever
// the page asks for.
const (
	laneBuffer = 32
	maxRate    = 5_000  // events per second of the publisher
	maxBurst   = 500    // events without a pause between them
	maxSpeed   = 10_000 // events per second of a subscriber
	stuck      = 0      // the speed of one that takes nothing any more
)

// policies shows how subscribers differ: two hubs of its own with an invented
// publisher and one subscriber of each kind, which anybody who has the page open
// can slow down. All pages see and turn the same ones.
//
// What the pages see of it never goes through these hubs: a sampler reads their
// Stats, which wait for nobody, and puts them on the board. So the page goes on
// while a hub stands still.
type policies struct {
	hub    *broadcast.Hub[tick] // of channels and readers
	ledger *ledger

	values       *broadcast.CoalescingHub[string, tick]
	valuesLedger *ledger

	board *knob[[]byte] // the encoded state, for the pages
	pages *knob[int]    // how many are open

	pub   *generator
	lanes []*lane

	ctx     context.Context // ends the goroutines
	cancel  context.CancelFunc
	running sync.WaitGroup // all goroutines

	mu       sync.Mutex // guards all below, and the lanes' current subscriptions
	version  int        // of the settings
	stopping bool
}

var errStopping = errors.New("live is stopping")

// newPolicies makes the hubs and the lanes, with nobody in them yet.
func newPolicies() *policies {
	p := &policies{
		ledger:       &ledger{},
		values:       broadcast.NewCoalescing[string, tick](),
		valuesLedger: &ledger{},
		board:        newKnob[[]byte](nil),
		pages:        newKnob(0),
	}
	p.hub = broadcast.New[tick](laneBuffer, broadcast.DropOldest, broadcast.WithOnEject(p.ejected), broadcast.WithRing(laneBuffer))
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.pub = newGenerator(p.hub, p.values)
	p.lanes = p.newLanes()
	return p
}

func startPolicies() *policies {
	p := newPolicies()
	for _, l := range p.lanes {
		p.joinLocked(l) // nobody else is here yet
	}
	p.running.Go(func() { p.pub.run(p.ctx, p.pages) })
	p.running.Go(func() { p.sample(p.ctx) })
	return p
}

// stop ends everything, also a Publish that is blocked, and returns an error if
// an event is unaccounted for.
func (p *policies) stop(ctx context.Context) error {
	p.mu.Lock()
	p.stopping = true
	p.mu.Unlock()
	p.cancel()
	err := p.hub.Shutdown(ctx) // the subscribers drain fast now, stuck ones too
	p.values.Close()
	p.running.Wait()
	_, wrong := totals(p.ledger, p.hub.Stats())
	_, wrongValues := totals(p.valuesLedger, p.values.Stats())
	return errors.Join(err, wrong, wrongValues)
}

// look counts a page in and returns what counts it out again. The publisher
// rests while there is none.
func (p *policies) look() (leave func()) {
	p.pages.update(func(n *int) { *n++ })
	return func() { p.pages.update(func(n *int) { *n-- }) }
}

// joinLocked subscribes l anew, in the place of a subscription that it may
// still have. A publisher that waits for that one goes on. p.mu must be held.
func (p *policies) joinLocked(l *lane) {
	if old := l.current; old != nil {
		l.ledger.leave(old.consumer)
		old.cancel()
		<-old.done // it only drains what it still may: its account is final then
	}
	ctx, cancel := context.WithCancel(p.ctx)
	f := l.open()
	m := &member{consumer: l.ledger.join(l.name, false, f), feed: f, cancel: cancel, done: make(chan struct{})}
	l.current = m
	p.running.Go(func() {
		defer close(m.done)
		defer cancel()
		m.run(ctx, l.speed)
	})
}

func (p *policies) lane(name string) *lane {
	for _, l := range p.lanes {
		if l.name == name {
			return l
		}
	}
	return nil
}

// ejected is the hub's hook.
func (p *policies) ejected(st broadcast.SubscriptionStats) {
	p.lane(st.Name).ejects.Add(1)
}

// change makes a change of the settings, unless live is stopping, and returns
// the version from which on the pages show it.
func (p *policies) change(do func()) (version int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping {
		return 0, errStopping
	}
	do()
	p.version++
	return p.version, nil
}

func (p *policies) setPublisher(rate, burst int) (version int, err error) {
	return p.change(func() { p.pub.settings.set(settings{rate, burst}) })
}

func (p *policies) setSpeed(l *lane, speed int) (version int, err error) {
	return p.change(func() { l.speed.set(speed) })
}

// subscribe brings an ejected subscriber back. For one that is there it does
// nothing: two pages may press the button at once.
func (p *policies) subscribe(l *lane) (version int, err error) {
	return p.change(func() {
		if l.current.feed.Err() != nil {
			p.joinLocked(l)
		}
	})
}

// reset puts everything back to how it was at the start, the counts of the
// subscribers included. The hubs' own counts only ever grow.
func (p *policies) reset() (version int, err error) {
	return p.change(func() {
		p.pub.settings.set(firstSettings)
		for _, l := range p.lanes {
			l.speed.set(maxSpeed)
			p.joinLocked(l)
			l.ejects.Store(0)
		}
	})
}
