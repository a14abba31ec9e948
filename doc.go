// Package broadcast fans events out to many goroutines of one process.
//
// It is the last hop of a pipeline: one network subscription per topic feeds a
// [Hub], and the hub feeds the handlers, WebSocket and SSE clients of the
// process, from ten to very many of them. A slow subscriber never stalls the
// others unless that is asked for, and nothing is lost without being counted.
//
// # Usage
//
//	hub := broadcast.New[Event](16, broadcast.DropOldest)
//	defer hub.Close()
//
//	sub := hub.Subscribe()
//	go func() {
//		defer sub.Close()
//		for event := range sub.C() {
//			handle(event)
//		}
//	}()
//
//	err := hub.Publish(ctx, event)
//
// # Ordering
//
//   - All subscriptions of a hub always see the events in one and the same
//     order, with any number of publishers.
//   - A Publish that starts after another has returned always comes later.
//   - If Subscribe returned before Publish began, the subscriber is offered the
//     event. If they overlap, it is offered the event or not, and then all that
//     come after or none before.
//   - A Publish is synchronized before the receive of its event, in the terms of
//     the Go memory model.
//   - It is never said which of two subscribers gets an event first.
//
// Less formally: there is one timeline, and everyone reads a gapless stretch of
// it less what is counted as dropped or filtered.
//
// # Overflow
//
// A subscription's buffer is bounded. What happens to an event that finds it
// full is decided by the subscription's [Policy], the hub's unless [WithPolicy]
// gives it its own:
//
//   - [Block]: the publisher waits. Lossless, and a stuck subscriber stops the
//     hub after the event that it is stuck at: everyone else has that one.
//   - [DropNewest]: the event is dropped for this subscriber.
//   - [DropOldest]: the oldest buffered event is dropped to make room.
//   - [Eject]: the subscription ends with [ErrEjected].
//   - [BlockFor]: the publisher waits for a bounded time, then one of the others.
//   - [PolicyFunc]: the user's own decision, event by event.
//
// Under DropNewest, DropOldest and Eject a stuck subscriber changes nothing for
// the others. A
// publish that must wait first offers its event to everyone with room, and then
// waits for all full subscriptions together.
//
// # Readers
//
// [Hub.NewReader] adds a reader: it takes the same events in the same order, but has
// no buffer of its own. All readers follow one ring with a cursor each, so a publish
// costs the same for one of them and for a million, and a reader costs some 350 bytes.
// The ring is its buffer, [WithBuffer] its window on it:
//
//   - [Block]: the publisher waits before the event is numbered.
//   - [DropOldest]: the reader skips ahead to its window, and Missed says how far.
//   - [Eject]: the reader ends with [ErrEjected] soon after it has fallen out.
//
// A reader may begin with events from before it joined ([WithReplay],
// [WithResumeAfter]). What it has returned is released when it asks for more, which
// [Hub.Released] and [Hub.WaitReleased] tell.
//
// # State
//
// A [CoalescingHub] keeps the latest value of each key. Its subscriptions skip values,
// never keys: each pass over what has changed returns every key once, with its value
// of that moment.
//
// # Conservation
//
// At every quiet point, with no publish and no receive in progress, for every
// subscription, live or ended:
//
//	Offered = Received + Len + Dropped + Filtered + Coalesced
//
// exactly, and the hub's sums are those of all subscriptions that ever were.
//
// # Closing
//
// Every Close may be called any number of times, by anyone, anywhere: inside a
// receive loop, in the middle of a publish, in a filter. None panics, and none
// waits for anyone's room or code. Only the hub closes a channel, after what
// was buffered; Err has said why before it does. Publish after Close is
// [ErrClosed], and Subscribe after Close gives a subscription already ended.
//
// # Contexts
//
// The context of Publish bounds its waits: for the turn and for room. With a
// context that has ended before the call nothing is published, also where there
// is room. When it ends after the event was
// numbered, the error wraps [ErrPartial] too, which tells a caller that
// publishing again would give the event twice to some. [WithContext] bounds
// the life of a subscription.
//
// # Callbacks
//
// Hooks ([WithInterest], [WithOnEject]) run on a goroutine of the hub's, one at
// a time and in order, outside of every lock, and may call anything. Filters and
// policies are asked in the middle of a publish: they must not publish to the
// same hub nor wait for it with Shutdown, and may do anything else.
//
// # Cost
//
// A publish costs one mutex and one channel send per subscription, about 10 ns
// more than the hand-written loop over the same channels, and allocates nothing
// unless it waits. A subscription costs its channel and at most 512 bytes, and
// no goroutine. The README has the measurements; BenchmarkPair makes them.
//
// # Observing
//
// [Hub.Stats] and [Hub.Subscriptions] never wait for a publisher: a hub that is
// stuck can be looked at. [NewCollector] makes a Prometheus collector of them,
// whose series are bounded however many subscriptions there are. [WithLogger]
// logs every loss, at most one line per second and kind.
//
// # Handlers
//
// [Handle] runs a handler over a subscription on the caller's goroutine: it
// counts errors and panics, skips the event, and goes on, until the
// subscription, its hub or the context ends.
package broadcast
