package bridge_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// When all tests are over, nothing runs.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

// The kinds of systems.
var (
	radio = bridge.Capabilities{Wildcards: true, ExactGaps: true}
	log   = bridge.Capabilities{Replay: true, Pausable: true, ExactGaps: true}
	queue = bridge.Capabilities{Pausable: true, Acks: true, ExactGaps: true}
)

// bubble is a sub-test with virtual time of its own. It fails if anything that it
// started is left behind.
func bubble(t *testing.T, name string, fn func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, fn) })
}

// text decodes a message whose data is its value; "bad" is refused, "panic" panics.
func text(m *bridge.Message) (string, error) {
	switch string(m.Data) {
	case "bad":
		return "", errBad
	case "panic":
		panic("poison")
	}
	return string(m.Data), nil
}

// newBridge makes a bridge of strings that is closed at the end of the test.
func newBridge(t testing.TB, src bridge.Source, opts ...bridge.Option) *bridge.Bridge[string] {
	t.Helper()
	b, err := bridge.New(src, text, opts...)
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return b
}

type (
	subscription = broadcast.Subscription[bridge.Event[string]]
	reader       = broadcast.Reader[bridge.Event[string]]
)

func subscribe(t testing.TB, b *bridge.Bridge[string], pattern string, opts ...broadcast.SubscribeOption) *subscription {
	t.Helper()
	s, err := b.Subscribe(bg, pattern, opts...)
	require.NoError(t, err)
	return s
}

func newReader(t testing.TB, b *bridge.Bridge[string], pattern string, opts ...broadcast.SubscribeOption) *reader {
	t.Helper()
	r, err := b.NewReader(bg, pattern, opts...)
	require.NoError(t, err)
	return r
}

// taken is what is buffered for s, in words: values, and gaps by their reason.
func taken(s *subscription) (out []string) {
	synctest.Wait()
	for {
		select {
		case e, ok := <-s.C():
			if !ok {
				return append(out, "closed")
			}
			out = append(out, word(e))
		default:
			return out
		}
	}
}

func word(e bridge.Event[string]) string {
	switch {
	case e.Gap != nil:
		return "gap " + e.Gap.Reason.String()
	case e.Redelivered:
		return e.Value + " again"
	}
	return e.Value
}

// next is the next n events of r, in words.
func next(t testing.TB, r *reader, n int) (out []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	for range n {
		e, err := r.Next(ctx)
		require.NoError(t, err)
		out = append(out, word(e))
	}
	return out
}

// publish gives the system the values, in order.
func publish(m *bridgetest.Memory, topic string, values ...string) {
	for _, v := range values {
		_ = m.Publish(bg, topic, []byte(v))
	}
}

// running is a call on a goroutine of its own, inside a bubble.
type running[R any] struct{ result chan R }

func async[R any](fn func() R) running[R] {
	r := running[R]{make(chan R, 1)}
	go func() { r.result <- fn() }()
	return r
}

// requireBlocked fails unless the call waits for something that only others can do.
func (r running[R]) requireBlocked(t testing.TB, what string) {
	t.Helper()
	synctest.Wait()
	select {
	case got := <-r.result:
		t.Fatalf("%s: returned %v, want it blocked", what, got)
	default:
	}
}

// returned is what the call has returned; it fails if the call is blocked.
func (r running[R]) returned(t testing.TB, what string) (got R) {
	t.Helper()
	synctest.Wait()
	select {
	case got = <-r.result:
	default:
		t.Fatalf("%s: blocked, want it returned", what)
	}
	return got
}

// states are the topics of b by pattern.
func states(b *bridge.Bridge[string]) map[string]bridge.State {
	out := map[string]bridge.State{}
	for t := range b.Topics() {
		out[t.Pattern] = t.State
	}
	return out
}
