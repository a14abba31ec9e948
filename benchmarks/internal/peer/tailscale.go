package peer

import (
	"tailscale.com/types/logger"
	"tailscale.com/util/eventbus"
)

// tailscale routes through one goroutine of the bus and one of each client. The queue of
// a client is unbounded. Its doc has subscribers select on Events and Done. A Subscriber
// belongs to a client and a client has one subscriber per type, so each is a client.
var tailscale = Peer{
	Name:   "tailscale",
	Title:  "Tailscale eventbus",
	Module: "tailscale.com",
	How:    "a client for each subscriber, who selects on Events and Done; unbounded queues",
	Ahead:  "Publish only hands the event to one goroutine that fans out later, with queues that have no bound",
	New: func(Config) Bus {
		bus := eventbus.NewWithOptions(eventbus.BusOptions{Logf: logger.Discard})
		return &tail{bus, eventbus.Publish[Event](bus.Client("publisher"))}
	},
}

type tail struct {
	bus       *eventbus.Bus
	publisher *eventbus.Publisher[Event]
}

func (t *tail) Subscribe(take func(Event)) func() {
	client := t.bus.Client("subscriber")
	sub := eventbus.Subscribe[Event](client)
	go func() {
		for {
			select {
			case e := <-sub.Events():
				take(e)
			case <-sub.Done():
				return
			}
		}
	}()
	return client.Close
}

func (t *tail) Publish(e Event) error {
	t.publisher.Publish(e)
	return nil
}

func (t *tail) Close() error {
	t.bus.Close()
	return nil
}
