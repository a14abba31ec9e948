package broadcast

import (
	"fmt"
	"time"
)

// Policy decides what happens to an event that finds a subscriber's buffer
// full. The four actions are policies themselves, BlockFor makes one that
// waits for a bounded time, and PolicyFunc makes one of a function.
//
// Overflow is called in the middle of a publish, by one goroutine at a time
// per hub, and only when the buffer is full. It holds up every publisher until
// it returns. It must not publish to the same hub nor call its Shutdown, which
// would wait for this publish; anything else, closing the subscription or the
// hub included, is safe. If it panics, or answers an unknown Action, the event
// counts as dropped for that subscription alone, all others get it, and the
// panic goes on up through Publish; of several in one publish, the first does.
type Policy interface {
	Overflow(o Overflow) Action
}

// Action is what happens to an event that finds a subscriber's buffer full. An
// Action is itself the Policy that always answers it.
type Action uint8

const (
	// Block makes the publisher wait until the subscriber has room, leaves, or
	// the publisher's context or the hub ends. Nothing is lost meanwhile.
	Block Action = iota
	// DropNewest drops the event for this subscriber: it keeps the oldest.
	DropNewest
	// DropOldest drops the oldest buffered event to make room: the subscriber
	// keeps the newest. With a buffer of 0 there is nothing to make room in, and
	// the event itself is dropped. If the subscriber receives at that very moment,
	// both may make room, and one event more than needed is dropped, and counted.
	DropOldest
	// Eject ends the subscription with ErrEjected. The event is dropped for it;
	// what is buffered stays readable.
	Eject
)

// String returns the action's name as it is written in code. It never blocks.
func (a Action) String() string {
	switch a {
	case Block:
		return "Block"
	case DropNewest:
		return "DropNewest"
	case DropOldest:
		return "DropOldest"
	case Eject:
		return "Eject"
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// Overflow returns the action itself, which makes it a Policy.
func (a Action) Overflow(Overflow) Action { return a }

// Overflow describes a full buffer to a Policy.
type Overflow struct {
	// ID and Name are those of the subscription; Name is empty unless WithName
	// gave it one.
	ID   uint64
	Name string
	// Cap is the capacity of its buffer.
	Cap int
	// Dropped is what the subscription has lost so far, without this event.
	Dropped uint64
	// Consecutive is how many overflows came before this one since an event last
	// found room at once: 0 at the first.
	Consecutive uint64
}

// PolicyFunc is a function as a Policy. What Policy says of Overflow holds for
// it.
type PolicyFunc func(o Overflow) Action

// Overflow calls f.
func (f PolicyFunc) Overflow(o Overflow) Action { return f(o) }

// BlockFor returns a policy that waits for room for at most d and then does
// what then says. The time runs from when the publish began to wait, and all
// waits of one publish begin together, so n full subscribers delay it by d and
// not by n times d. A d of 0 or less does not wait. A then of the user's own
// that answers Block makes the publisher wait without a bound.
//
// BlockFor panics if then is nil, Block, or another BlockFor.
func BlockFor(d time.Duration, then Policy) Policy {
	checkPolicy("BlockFor", then)
	_, nested := then.(blockFor)
	if nested || then == Policy(Block) {
		panic("broadcast: BlockFor: then must say what happens after the wait: pass DropNewest, DropOldest, Eject or a PolicyFunc")
	}
	if d <= 0 {
		return then
	}
	return blockFor{d: d, then: then}
}

// blockFor is the policy of BlockFor. The hub knows it and keeps its time; a
// policy of the user's own that asks it is told to block.
type blockFor struct {
	d    time.Duration
	then Policy
}

func (blockFor) Overflow(Overflow) Action { return Block }

// checkPolicy panics with a message for the caller of fn if p cannot be a
// policy.
func checkPolicy(fn string, p Policy) {
	switch p := p.(type) {
	case nil:
		panic("broadcast: " + fn + ": nil policy: pass Block, DropNewest, DropOldest, Eject, a BlockFor or a PolicyFunc")
	case PolicyFunc:
		if p == nil {
			panic("broadcast: " + fn + ": nil PolicyFunc: pass a function")
		}
	case Action:
		checkAction(fn, p)
	}
}

func checkAction(fn string, a Action) {
	if a > Eject {
		panic(fmt.Sprintf("broadcast: %s: unknown %v: the actions are Block, DropNewest, DropOldest and Eject", fn, a))
	}
}
