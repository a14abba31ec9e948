package natsbridge_test

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"testing"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// A connection that is closed, or closes, ends the topic, with an error that says what
// to set.
func TestCore_ClosedConnection(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		nc := inside(t, embedded(t))
		nc.Close()
		requireClosed(t, ends(t, newCore(t, nc), "a", newDiary(t)), nats.ErrConnectionClosed)
	})
	t.Run("by the application", func(t *testing.T) {
		nc := inside(t, embedded(t))
		src, sink := newCore(t, nc), newDiary(t)
		go func() { sink.next(); nc.Close() }()
		requireClosed(t, ends(t, src, "a", sink), nats.ErrConnectionClosed)
	})
	t.Run("drained", func(t *testing.T) {
		nc := inside(t, embedded(t))
		src, sink := newCore(t, nc), newDiary(t)
		go func() {
			sink.next()
			for range 100 {
				_ = nc.Publish("a", nil)
			}
			_ = nc.Drain()
		}()
		err := ends(t, src, "a", sink)
		require.True(t, bridge.IsPermanent(err), "%v", err)
		require.Len(t, sink.said, 100) // what had come is delivered
		eventually(t, "closed", nc.IsClosed)
		requireClosed(t, ends(t, src, "a", sink), nats.ErrConnectionClosed)
	})
	t.Run("no attempts", func(t *testing.T) {
		s := embedded(t, onTCP)
		nc, proxy := proxied(t, s.Addr().String(), nats.NoReconnect())
		src, sink := newCore(t, nc), newDiary(t)
		go func() { sink.next(); proxy.Cut() }()
		requireClosed(t, ends(t, src, "a", sink), nats.ErrConnectionClosed)
	})
	t.Run("no more attempts", func(t *testing.T) {
		s := embedded(t, onTCP)
		nc := connect(t, s.ClientURL(), nats.MaxReconnects(2))
		b := newBridge(t, newCore(t, nc))
		r := newReader(t, b, "a")
		s.Shutdown()
		require.Equal(t, bridge.Disconnected, nextEvent(t, r).Gap.Reason)
		ctx, cancel := context.WithTimeout(bg, patience)
		defer cancel()
		_, err := r.Next(ctx)
		requireClosed(t, err, nats.ErrConnectionClosed)
	})
}

func requireClosed(t *testing.T, err, why error) {
	t.Helper()
	require.ErrorIs(t, err, why)
	require.True(t, bridge.IsPermanent(err), "%v", err)
	require.ErrorContains(t, err, "nats.MaxReconnects(-1)")
}

// allowed has the user "u" subscribe to nothing but subjects.
func allowed(subjects ...string) func(*server.Options) {
	return func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "u", Password: "p", Permissions: &server.Permissions{Subscribe: &server.SubjectPermission{Allow: subjects}}},
			{Username: "root", Password: "p"},
		}
	}
}

// quiet does nothing with errors that a test makes.
func quiet() nats.Option { return nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}) }

// What the server does not permit is an error, also if many such errors come at once
// and the client keeps only the last one.
func TestCore_PermissionDenied(t *testing.T) {
	s := embedded(t, allowed("ok.>"))
	nc := inside(t, s, nats.UserInfo("u", "p"), quiet())
	src := newCore(t, nc)
	requireDenied(t, ends(t, src, "no", newDiary(t)), "no")
	requireDenied(t, ends(t, src, "no", newDiary(t)), "no")

	const many = 50
	errs := make([]error, many)
	good := make([]*diary, many)
	var wg sync.WaitGroup
	for i := range many {
		good[i] = newDiary(t)
		startCore(t, src, fmt.Sprintf("ok.%d", i), good[i])
		wg.Go(func() { errs[i] = ends(t, src, fmt.Sprintf("no.%d", i), newDiary(t)) })
	}
	wg.Wait()
	for i := range many {
		requireDenied(t, errs[i], fmt.Sprintf("no.%d", i))
		require.Equal(t, "live", good[i].next())
	}
}

func requireDenied(t *testing.T, err error, subject string) {
	t.Helper()
	require.ErrorIs(t, err, nats.ErrPermissionViolation)
	require.True(t, bridge.IsPermanent(err))
	require.ErrorContains(t, err, `"`+subject+`"`)
}

// A permission that is withdrawn while topics are live ends them, and no other.
func TestCore_PermissionWithdrawn(t *testing.T) {
	s := embedded(t, allowed("ok.>", "no.>"))
	nc := inside(t, s, nats.UserInfo("u", "p"), quiet())
	src := newCore(t, nc)
	good, bad := newDiary(t), []*diary{newDiary(t), newDiary(t), newDiary(t)}
	startCore(t, src, "ok.a", good)
	require.Equal(t, "live", good.next())
	errs := make(chan error, len(bad))
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	for i, sink := range bad {
		wg.Go(func() { errs <- ends(t, src, fmt.Sprintf("no.%d", i), sink) })
		require.Equal(t, "live", sink.next())
	}
	o := &server.Options{DontListen: true, NoSigs: true, NoLog: true}
	allowed("ok.>")(o)
	require.NoError(t, s.ReloadOptions(o))
	for range bad {
		err := <-errs
		require.ErrorIs(t, err, nats.ErrPermissionViolation)
		require.True(t, bridge.IsPermanent(err))
	}
	root := inside(t, s, nats.UserInfo("root", "p"))
	eventually(t, "the other topic goes on", func() bool { // it may have to connect again
		require.NoError(t, root.Publish("ok.a", []byte("on")))
		for len(good.said) > 0 {
			if good.next() == "ok.a on" {
				return true
			}
		}
		return false
	})
}

// A server that takes no more subscriptions is an error.
func TestCore_TooManySubscriptions(t *testing.T) {
	nc := inside(t, embedded(t, func(o *server.Options) { o.MaxSubs = 1 }), quiet())
	src, sink := newCore(t, nc), newDiary(t)
	startCore(t, src, "a", sink)
	require.Equal(t, "live", sink.next())
	for range 2 {
		err := ends(t, src, "b", newDiary(t))
		require.ErrorIs(t, err, nats.ErrMaxSubscriptionsExceeded)
		require.False(t, bridge.IsPermanent(err))
	}
}

// The application's handlers are untouched, and a thousand Runs leave no listener on
// the connection, no subscription, and no memory.
func TestCore_LeavesNothing(t *testing.T) {
	s := embedded(t)
	closed := func(*nats.Conn) {}
	nc := inside(t, s, nats.ClosedHandler(closed))
	src := newCore(t, nc)
	before := listeners(nc)
	goroutines := runtime.NumGoroutine()
	for range 1000 {
		sink := newDiary(t)
		stop := startCore(t, src, "a", sink)
		require.Equal(t, "live", sink.next())
		require.ErrorIs(t, stop(), context.Canceled)
	}
	require.Equal(t, before, listeners(nc))
	require.Zero(t, nc.NumSubscriptions())
	require.NoError(t, nc.Flush())
	n, err := subscriptions(s, "a")
	require.NoError(t, err)
	require.Zero(t, n)
	eventually(t, "the goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines })
	require.Equal(t, reflect.ValueOf(closed).Pointer(), reflect.ValueOf(nc.ClosedHandler()).Pointer())
	require.Nil(t, nc.DisconnectErrHandler())
	require.Nil(t, nc.ReconnectHandler())
	_, ok := src.Lag("a")
	require.False(t, ok)
}

// listeners is how many channels are told of the connection's changes.
func listeners(nc *nats.Conn) (n int) {
	byStatus := reflect.ValueOf(nc).Elem().FieldByName("statListeners")
	for _, status := range byStatus.MapKeys() {
		n += byStatus.MapIndex(status).Len()
	}
	return n
}

// Behind each reconnect there is a gap, and the topic is live again. An outage that
// lasts is told when it begins, too.
func TestCore_LiveAgain(t *testing.T) {
	s := embedded(t, onTCP)
	nc, proxy := proxied(t, s.Addr().String())
	other := inside(t, s)
	sink := newDiary(t)
	startCore(t, newCore(t, nc), "a", sink)
	require.Equal(t, "live", sink.next())
	for range 5 {
		proxy.Refuse()
		require.Equal(t, 1, proxy.Cut())
		require.Equal(t, "gap disconnected 0", sink.next())
		require.NoError(t, other.Publish("a", []byte("lost")))
		require.NoError(t, other.Flush())
		require.Empty(t, sink.said)
		proxy.Heal()
		require.Equal(t, "gap disconnected 0", sink.next())
		require.Equal(t, "live", sink.next())
		require.NoError(t, other.Publish("a", []byte("on")))
		require.Equal(t, "a on", sink.next())
	}
}

// What was received before an outage, and waits to be decoded, comes before the gap,
// and what was received behind it after the gap.
func TestCore_GapStandsWhereItIs(t *testing.T) {
	s := embedded(t, onTCP)
	nc, proxy := proxied(t, s.Addr().String())
	other := inside(t, s)
	src, sink := newCore(t, nc), newDiary(t)
	sink.hold = make(chan struct{})
	startCore(t, src, "a", sink)
	t.Cleanup(func() { close(sink.hold) })
	require.Equal(t, "live", sink.next())
	queued := func(want uint64) {
		t.Helper()
		eventually(t, fmt.Sprint(want, " are queued"), func() bool { n, _ := src.Lag("a"); return n == want })
		settle(t, nc)
	}
	for _, text := range []string{"1", "2", "3"} {
		require.NoError(t, other.Publish("a", []byte(text)))
	}
	queued(3)
	again := nc.StatusChanged(nats.CONNECTED)
	defer nc.RemoveStatusListener(again)
	for i, text := range []string{"4", "5"} { // each behind an outage of its own
		require.Equal(t, 1, proxy.Cut())
		<-again
		require.NoError(t, nc.Flush())
		require.NoError(t, other.Publish("a", []byte(text)))
		queued(uint64(4 + i))
	}
	for _, text := range []string{"1", "2", "3"} {
		require.Equal(t, "a "+text, sink.next())
		require.Empty(t, sink.said)
		sink.hold <- struct{}{}
	}
	require.Equal(t, "gap disconnected 0", sink.next())
	require.Equal(t, "live", sink.next())
	require.Equal(t, "a 4", sink.next())
	sink.hold <- struct{}{}
	require.Equal(t, "gap disconnected 0", sink.next())
	require.Equal(t, "a 5", sink.next())
}

// A start waits for a connection that is not there yet.
func TestCore_NotConnectedYet(t *testing.T) {
	p := freePort(t)
	nc := dial(t, fmt.Sprintf("nats://127.0.0.1:%d", p))
	sink := newDiary(t)
	startCore(t, newCore(t, nc), "a", sink)
	embedded(t, onTCP, func(o *server.Options) { o.Port = p })
	require.Equal(t, "live", sink.next())
	require.NoError(t, nc.Publish("a", []byte("on")))
	require.Equal(t, "a on", sink.next())
}
