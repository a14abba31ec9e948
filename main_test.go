package broadcast_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/gobroadcast/broadcast"
	"go.uber.org/goleak"
)

// Law 7 for the whole package: when all tests are over, nothing runs.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

// bubble is a sub-test with virtual time of its own. It fails if anything that
// it started is left behind.
func bubble(t *testing.T, name string, fn func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, fn) })
}

// newHub is New with Close as cleanup, so that a test that fails leaves no
// publisher blocked.
func newHub[T any](t testing.TB, buffer int, policy broadcast.Policy, opts ...broadcast.Option) *broadcast.Hub[T] {
	hub := broadcast.New[T](buffer, policy, opts...)
	t.Cleanup(hub.Close)
	return hub
}

// running is a call on a goroutine of its own, inside a bubble.
type running[R any] struct{ result chan R }

func async[R any](fn func() R) running[R] {
	r := running[R]{make(chan R, 1)}
	go func() { r.result <- fn() }()
	return r
}

// requireBlocked fails unless the call waits for something that only others
// can do.
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

// span is the numbers from first to last.
func span(first, last int) []int {
	var out []int
	for i := first; i <= last; i++ {
		out = append(out, i)
	}
	return out
}
