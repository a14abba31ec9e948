package natsbridge

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// What the server says of a subject is of that one, and not of a queue group of it.
func TestInquiry_Refuses(t *testing.T) {
	for text, want := range map[string]bool{
		`Permissions Violation for Subscription to "a"`:                           true,
		`Permissions Violation for Subscription to "a" (sid "3")`:                 true,
		`Permissions Violation for Subscription to "a", too many tokens`:          true,
		`Permissions Violation for Subscription to "a" using queue "q" (sid "3")`: false,
		`Permissions Violation for Subscription to "a.b"`:                         false,
		`Permissions Violation for Publish to "a"`:                                false,
	} {
		require.Equal(t, want, refuses(fmt.Errorf("%w: %s", nats.ErrPermissionViolation, text), "a"), text)
	}
	require.False(t, refuses(errors.New(`Subscription to "a"`), "a"))
	require.False(t, refuses(nil, "a"))
}

// An error is news when it is another one, and from time to time if it may have been
// another one meanwhile.
func TestInquiry_News(t *testing.T) {
	denied := func() error { return fmt.Errorf("%w: no", nats.ErrPermissionViolation) }
	q := &inquiry{}
	require.False(t, q.news(nil))
	one := denied()
	require.True(t, q.news(one))
	require.True(t, q.news(one)) // as long as nobody was asked
	q.seen = one
	for range 3 * sameFor {
		require.False(t, q.news(one))
		require.False(t, q.news(nats.ErrMaxSubscriptionsExceeded))
	}
	require.True(t, q.news(denied()))
	q.seen = nats.ErrSlowConsumer
	for range sameFor - 1 {
		require.False(t, q.news(nats.ErrSlowConsumer))
	}
	require.True(t, q.news(nats.ErrSlowConsumer))
	require.False(t, q.news(nil))
	require.True(t, q.news(nats.ErrSlowConsumer))
}
