// Package bridge joins topics of an external system to hubs of this process.
//
// The first subscriber of a topic opens one network subscription, all others share
// it, and the last one who leaves closes it after a while: ten thousand clients cost
// the system what one does. Every loss is told in the stream.
//
// # Usage
//
// A [Source] stands for the system: module natsbridge beside this package has those of
// NATS, and package bridgetest has one in memory. Decode turns a message into a value:
//
//	b, err := bridge.New(source, func(m *bridge.Message) (Order, error) {
//		var o Order
//		return o, json.Unmarshal(m.Data, &o)
//	})
//	if err != nil {
//		return err
//	}
//	defer b.Close()
//
//	sub, err := b.Subscribe(ctx, "orders.eu")
//	if err != nil {
//		return err
//	}
//	defer sub.Close()
//	for e := range sub.C() {
//		if e.Gap != nil {
//			reload() // orders are missing before the next event
//			continue
//		}
//		handle(e.Value)
//	}
//	return sub.Err()
//
// Bridges only receive: applications publish with the system's own client.
//
// # The life of a topic
//
// A topic is one pattern, in the syntax of its source, and is idle, starting, live,
// lingering, and stopped:
//
//   - Concurrent first subscribers share one start. It ends with the last who waits
//     for it, not with the first; if it fails, it fails for all of them.
//   - Subscribe returns when the system has confirmed the subscription: what is
//     published after that arrives. (A source that cannot tell says so.)
//   - There is never more than one network subscription for a pattern.
//   - The last subscriber who leaves starts the linger ([WithLinger]). One who comes
//     meanwhile costs no network call.
//   - A source connects again by itself. If it fails, it is run again after a backoff,
//     from the last position that was delivered where it can replay.
//   - An error that the source calls [Permanent], or one that [WithPoison] returns,
//     ends the topic; Err of its subscribers wraps it.
//
// # Loss
//
// Nothing is lost in silence. What the network or the system lost is a [Gap], an
// event of the topic's own timeline: every subscriber sees it before the first event
// behind it, unless its own filter keeps it away. What a subscriber loses because it
// is slow is in its own counts, as with any hub, and [Event].Gaps tells it if a marker
// was among that.
//
// A subscriber never holds up the network where the system would not wait: on a
// source that is not Pausable a policy that may block is refused.
//
// # Acknowledging
//
// With [WithAck] a message is acknowledged when every reader has asked for the next
// one: a crash means that messages come again, marked, and never that they are lost.
//
// # Cost
//
// A message is decoded once. Beside that and Publish of the hub it costs about 100
// ns, with WithAck about 250, and allocates nothing but at most a chunk of the ring for
// every 64 (BenchmarkDeliver). A topic owns two goroutines, and one more with WithAck,
// beside those of its source.
//
// # Observing
//
// [Bridge.Topics] tells of each topic, [NewCollector] exports the network's side to
// Prometheus with a bounded number of series, and a bridge given to
// broadcast.NewCollector the subscribers' side of all its hubs. [WithLogger] logs
// what goes wrong, at most one line per second and kind.
package bridge
