package broadcast

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed is returned by Publish and PublishBatch once the hub is closed,
	// and by Err once a subscription or its hub is closed. After CloseWithError
	// the error that is returned wraps the reason too.
	ErrClosed = errors.New("broadcast: closed")

	// ErrEjected is returned by Err of a subscription that its policy ejected
	// because its buffer was full.
	ErrEjected = errors.New("broadcast: subscription ejected: its buffer was full")

	// ErrPartial is returned beside the cause by a Publish that ended after its
	// event was numbered: the event counts as published, but at least one live
	// subscription did not get it. Publishing it again would give it twice to
	// the others. Without ErrPartial a failed Publish has published nothing.
	ErrPartial = errors.New("broadcast: event published, but not to every subscription")
)

// partial is the error of a publish that some live subscription has missed.
func partial(cause error) error {
	return fmt.Errorf("%w: %w", ErrPartial, cause)
}

// closedError is what a hub that was closed for reason returns from then on.
func closedError(reason error) error {
	if reason == nil {
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrClosed, reason)
}
