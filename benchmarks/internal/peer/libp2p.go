package peer

import (
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
)

// libp2p waits for whoever is full, and says so in its log after a second. A bus has no
// Close, an emitter has.
var libp2p = Peer{
	Name:   "libp2p",
	Title:  "libp2p event bus",
	Module: "github.com/libp2p/go-libp2p",
	How:    "one emitter, subscriptions with BufSize; Close is the emitter's",
	Ahead: "it boxes an event once, and its channels carry an interface of 16 bytes in place of the 64 of the event; the loop " +
		"has the same figures where its channels carry that",
	Bounds: true,
	Quick:  true,
	New: func(c Config) Bus {
		bus := eventbus.NewBus()
		emitter, err := bus.Emitter(new(Event))
		if err != nil {
			panic(err)
		}
		return &p2p{bus, emitter, c.Buffer}
	},
}

type p2p struct {
	bus     event.Bus
	emitter event.Emitter
	buffer  int
}

func (p *p2p) Subscribe(take func(Event)) func() {
	sub, err := p.bus.Subscribe(new(Event), eventbus.BufSize(p.buffer))
	if err != nil {
		panic(err)
	}
	each(sub.Out(), func(e any) { take(e.(Event)) })
	return func() { _ = sub.Close() }
}

func (p *p2p) Publish(e Event) error { return p.emitter.Emit(e) }

func (p *p2p) Close() error { return p.emitter.Close() }
