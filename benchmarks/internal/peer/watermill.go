package peer

import (
	"context"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
)

// watermillPeer keeps the order only where Publish waits for the acks: else each event
// and subscriber has a goroutine of its own, without bound and in no order.
var watermillPeer = Peer{
	Name:   "watermill",
	Title:  "Watermill gochannel",
	Module: "github.com/ThreeDotsLabs/watermill",
	How:    "BlockPublishUntilSubscriberAck, without which it reorders; messages carry 64 bytes and no UUID",
	Ahead:  "Publish waits until each subscriber has acknowledged: a publisher that waits leaves its core to the one subscriber",
	Bounds: true,
	New: func(c Config) Bus {
		return &mill{gochannel.NewGoChannel(gochannel.Config{
			OutputChannelBuffer:            int64(c.Buffer),
			BlockPublishUntilSubscriberAck: true,
		}, watermill.NopLogger{})}
	},
}

type mill struct{ *gochannel.GoChannel }

func (m *mill) Subscribe(take func(Event)) func() {
	ctx, cancel := context.WithCancel(context.Background())
	messages, err := m.GoChannel.Subscribe(ctx, topic)
	if err != nil {
		panic(err)
	}
	each(messages, func(msg *message.Message) {
		take(decode(msg.Payload))
		msg.Ack()
	})
	return cancel
}

func (m *mill) Publish(e Event) error {
	return m.GoChannel.Publish(topic, message.NewMessage("", encode(e)))
}
