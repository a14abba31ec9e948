package peer

import (
	"context"

	"github.com/gobroadcast/broadcast"
)

const module = "github.com/gobroadcast/broadcast"

var ourChannel = Peer{
	Name:   "broadcast-channel",
	Title:  "broadcast, channel subscriptions",
	Module: module,
	How:    "policy Block; DropOldest for a subscriber that is stuck",
	Bounds: true,
	Quick:  true,
	New: func(c Config) Bus {
		return &channelHub{hub{broadcast.New[Event](c.Buffer, broadcast.Block)}}
	},
}

var ourNext = Peer{
	Name:   "broadcast-next",
	Title:  "broadcast, readers with Next",
	Module: module,
	How:    "policy Block, a ring of the buffer's size, All; DropOldest for a reader that is stuck",
	Bounds: true,
	Quick:  true,
	New: func(c Config) Bus {
		return &readerHub{hub{newRing(c)}, (*readerHub).next, 0}
	},
}

var ourBatch = Peer{
	Name:   "broadcast-batch",
	Title:  "broadcast, readers with ReadBatch",
	Module: module,
	How:    "policy Block, a ring of the buffer's size, batches of at most 64; DropOldest for a reader that is stuck",
	Bounds: true,
	Quick:  true,
	New: func(c Config) Bus {
		return &readerHub{hub{newRing(c)}, (*readerHub).batch, min(64, c.Buffer)}
	},
}

func newRing(c Config) *broadcast.Hub[Event] {
	return broadcast.New[Event](c.Buffer, broadcast.Block, broadcast.WithRing(c.Buffer))
}

type hub struct{ *broadcast.Hub[Event] }

func (h *hub) Publish(e Event) error { return h.Hub.Publish(context.Background(), e) }

func (h *hub) Close() error {
	h.Hub.Close()
	return nil
}

type channelHub struct{ hub }

func (h *channelHub) Subscribe(take func(Event)) func() { return h.subscribe(take) }

func (h *channelHub) SubscribeIsolated(take func(Event)) func() {
	return h.subscribe(take, broadcast.WithPolicy(broadcast.DropOldest))
}

func (h *channelHub) subscribe(take func(Event), opts ...broadcast.SubscribeOption) func() {
	sub := h.Hub.Subscribe(opts...)
	each(sub.C(), take)
	return sub.Close
}

type readerHub struct {
	hub
	read func(*readerHub, *broadcast.Reader[Event], func(Event))
	most int // in a batch
}

func (h *readerHub) Subscribe(take func(Event)) func() { return h.subscribe(take) }

func (h *readerHub) SubscribeIsolated(take func(Event)) func() {
	return h.subscribe(take, broadcast.WithPolicy(broadcast.DropOldest))
}

func (h *readerHub) subscribe(take func(Event), opts ...broadcast.SubscribeOption) func() {
	r := h.NewReader(opts...)
	go h.read(h, r, take)
	return r.Close
}

func (h *readerHub) next(r *broadcast.Reader[Event], take func(Event)) {
	for event := range r.All(context.Background()) {
		take(event)
	}
}

func (h *readerHub) batch(r *broadcast.Reader[Event], take func(Event)) {
	batch := make([]Event, h.most)
	for {
		n, err := r.ReadBatch(context.Background(), batch)
		if err != nil {
			return
		}
		for i := range batch[:n] {
			take(batch[i])
		}
	}
}
