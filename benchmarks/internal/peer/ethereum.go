package peer

import "github.com/ethereum/go-ethereum/event"

// ethereum sends to channels that its users make, and waits for all of them. Its doc
// has subscribers select on the channel and on Err, and a SubscriptionScope end many
// subscriptions at once: a feed has no Close.
var ethereum = Peer{
	Name:   "ethereum",
	Title:  "go-ethereum event.FeedOf",
	Module: "github.com/ethereum/go-ethereum",
	How:    "FeedOf[Event]; subscribers select on their channel and Err; SubscriptionScope.Close is its Close",
	Ahead:  "it sends to each channel with one reflect.Select, with as little beside it as the loop",
	Bounds: true,
	New:    func(c Config) Bus { return &feed{buffer: c.Buffer} },
}

type feed struct {
	feed   event.FeedOf[Event]
	scope  event.SubscriptionScope
	buffer int
}

func (f *feed) Subscribe(take func(Event)) func() {
	ch := make(chan Event, f.buffer)
	sub := f.scope.Track(f.feed.Subscribe(ch))
	go func() {
		for {
			select {
			case e := <-ch:
				take(e)
			case <-sub.Err():
				return
			}
		}
	}()
	return sub.Unsubscribe
}

func (f *feed) Publish(e Event) error {
	f.feed.Send(e)
	return nil
}

func (f *feed) Close() error {
	f.scope.Close()
	return nil
}
