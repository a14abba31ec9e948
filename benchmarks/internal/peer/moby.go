package peer

import (
	"time"

	"github.com/moby/pubsub"
)

// mobyPeer sends from a goroutine for each event and subscriber, and gives a full one up
// after a timeout. The timeout is long where nothing is to be lost. Where a subscriber is
// stuck it is what Docker sets for the events of its daemon.
var mobyPeer = Peer{
	Name:   "moby",
	Title:  "moby/pubsub",
	Module: "github.com/moby/pubsub",
	How:    "a timeout of 1 minute, of 100 ms where a subscriber is stuck",
	Ahead:  "it starts a goroutine per subscriber and event and waits for all: the scheduler spreads them over the cores at once",
	Bounds: true,
	New: func(c Config) Bus {
		timeout := time.Minute
		if c.Stuck {
			timeout = 100 * time.Millisecond
		}
		return mobyBus{pubsub.NewPublisher(timeout, c.Buffer)}
	},
}

type mobyBus struct{ p *pubsub.Publisher }

func (m mobyBus) Subscribe(take func(Event)) func() {
	ch := m.p.Subscribe()
	each(ch, func(e any) { take(e.(Event)) })
	return func() { m.p.Evict(ch) }
}

func (m mobyBus) Publish(e Event) error {
	m.p.Publish(e)
	return nil
}

func (m mobyBus) Close() error {
	m.p.Close()
	return nil
}
