// Package natsbridge joins NATS to the hubs of package bridge, on a connection that
// the application has made.
//
// [NewCore] is a bridge.Source over core NATS: subjects, wildcards included, of which
// a process takes one subscription each, however many subscribers it has.
//
//	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.PingInterval(15*time.Second))
//	...
//	source, err := natsbridge.NewCore(nc)
//	...
//	b, err := bridge.New(source, decode)
//	...
//	sub, err := b.Subscribe(ctx, "orders.*.eu")
//
// [NewStream] is one over a stream of JetStream, for broadcast: every process sees every
// message, and goes on at a position of the past. [NewDurable] is one for
// bridge.WithAck: a message comes again until every reader has released it.
//
// The connection stays the application's: its handlers are not touched, and it is not
// closed. Which options of nats.Connect matter is in docs/nats.md: with the defaults
// a connection gives up after 60 attempts, and notices a dead link after minutes.
package natsbridge
