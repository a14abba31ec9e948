package peer

import (
	"context"

	"github.com/gobroadcast/broadcast"
)

var ourState = Peer{
	Name:   "broadcast-state",
	Title:  "broadcast, coalescing hub",
	Module: module,
	How: "a key for each event, so that none is overtaken: its cost, not its purpose, and not compared with those that queue. " +
		"It takes part where events come one at a time",
	State: true,
	New:   func(Config) Bus { return stateHub{broadcast.NewCoalescing[stateKey, Event]()} },
}

type stateKey struct{ seq, from uint64 }

type stateHub struct {
	*broadcast.CoalescingHub[stateKey, Event]
}

func (h stateHub) Publish(e Event) error {
	return h.CoalescingHub.Publish(stateKey{e.Seq, e.From}, e)
}

func (h stateHub) Subscribe(take func(Event)) func() {
	sub := h.CoalescingHub.Subscribe()
	go func() {
		for update := range sub.All(context.Background()) {
			take(update.Value)
		}
	}()
	return sub.Close
}

func (h stateHub) Close() error {
	h.CoalescingHub.Close()
	return nil
}
