package broadcast

import (
	"cmp"
	"context"
	"errors"
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

// because is an error of this package and its cause. It asks the cause for its
// text only when it is printed: the text is the user's code, and errors are
// made while others wait.
type because struct{ what, cause error }

func (e because) Error() string   { return e.what.Error() + ": " + e.cause.Error() }
func (e because) Unwrap() []error { return []error{e.what, e.cause} }

// closedError is what a hub that was closed for reason returns from then on.
func closedError(reason error) error {
	if reason == nil {
		return ErrClosed
	}
	return because{ErrClosed, reason}
}

// causeOf is why ctx has ended. It is never nil, also for a context of the
// user's own that has forgotten.
func causeOf(ctx context.Context) error {
	return cmp.Or(context.Cause(ctx), context.Canceled)
}
