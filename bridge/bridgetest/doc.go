// Package bridgetest has what tests of bridges need.
//
// For tests of code that uses a bridge there is [Memory], a system and its source in
// memory. It can be cut off, truncated, made to refuse and to fail:
//
//	system := bridgetest.NewMemory(bridge.Capabilities{})
//	b, err := bridge.New(system, decode)
//	...
//	sub, err := b.Subscribe(ctx, "prices")
//	system.Publish(ctx, "prices", []byte(`{"eur": 1}`))
//	system.Cut() // the application is told of a gap
//
// For sources there is [Run], the suite that every one passes, whatever its system: a
// factory gives it a [Harness], which is the source, a way to publish, and as much as
// can be done to the system. [Proxy] stands between the two and breaks connections.
package bridgetest
