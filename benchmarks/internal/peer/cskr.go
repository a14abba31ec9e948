package peer

import "github.com/cskr/pubsub/v2"

// cskr dispatches in one goroutine, which waits for whoever is full. Its doc forbids
// Unsub in the goroutine of the subscriber. TryPub would drop for all alike.
var cskr = Peer{
	Name:   "cskr",
	Title:  "cskr/pubsub",
	Module: "github.com/cskr/pubsub/v2",
	How:    "one topic, Sub and Pub; Shutdown is its Close",
	Ahead:  "Publish only hands the event to one goroutine that fans out later: see dustin",
	Bounds: true,
	New:    func(c Config) Bus { return cskrBus{pubsub.New[string, Event](c.Buffer)} },
}

const topic = "events"

type cskrBus struct {
	ps *pubsub.PubSub[string, Event]
}

func (c cskrBus) Subscribe(take func(Event)) func() {
	ch := c.ps.Sub(topic)
	each(ch, take)
	return func() { c.ps.Unsub(ch) }
}

func (c cskrBus) Publish(e Event) error {
	c.ps.Pub(e, topic)
	return nil
}

func (c cskrBus) Close() error {
	c.ps.Shutdown()
	return nil
}
