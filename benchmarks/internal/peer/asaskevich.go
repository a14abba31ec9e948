package peer

import EventBus "github.com/asaskevich/EventBus"

// asaskevich calls handlers by reflection. SubscribeAsync starts a goroutine for each
// event, which keeps no order; so handlers are synchronous here and send to a channel
// that the subscriber reads. Unsubscribe finds a handler by its code: of two closures
// made by the same line it may remove the other one.
var asaskevich = Peer{
	Name:   "eventbus",
	Title:  "asaskevich/EventBus",
	Module: "github.com/asaskevich/EventBus",
	How:    "Subscribe with a handler that sends to the subscriber's channel; it has no Close",
	Ahead:  "it calls the handlers one after the other, as the loop does",
	Bounds: true,
	New:    func(c Config) Bus { return &reflectBus{EventBus.New(), c.Buffer} },
}

type reflectBus struct {
	bus    EventBus.Bus
	buffer int
}

func (r *reflectBus) Subscribe(take func(Event)) func() {
	ch := make(chan Event, r.buffer)
	handler := func(e Event) { ch <- e }
	if err := r.bus.Subscribe(topic, handler); err != nil {
		panic(err)
	}
	each(ch, take)
	// The channel stays open: it may be another's handler that is removed.
	return func() { _ = r.bus.Unsubscribe(topic, handler) }
}

func (r *reflectBus) Publish(e Event) error {
	r.bus.Publish(topic, e)
	return nil
}
