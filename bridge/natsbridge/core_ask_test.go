package natsbridge_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// A subscription that the server has withdrawn is found though another error of the
// connection hides that one.
func TestCore_WithdrawnAndHidden(t *testing.T) {
	user := func(allow ...string) *server.Options {
		return &server.Options{DontListen: true, NoSigs: true, NoLog: true, Users: []*server.User{{
			Username: "u", Password: "p", Permissions: &server.Permissions{
				Subscribe: &server.SubjectPermission{Allow: append(allow, "ok")},
				Publish:   &server.SubjectPermission{Allow: []string{"ok"}},
			},
		}}}
	}
	for name, hide := range map[string]func(*nats.Conn) error{
		"one message": func(nc *nats.Conn) error { return nc.Publish("no", nil) },
		"slow consumer": func(nc *nats.Conn) error {
			_, err := nc.ChanSubscribe("ok", make(chan *nats.Msg))
			if err != nil {
				return err
			}
			return nc.Publish("ok", nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := embedded(t, func(o *server.Options) { *o = *user("a", "b") })
			nc := inside(t, s, nats.UserInfo("u", "p"), quiet())
			src, sink, other := newCore(t, nc), newDiary(t), newDiary(t)
			startCore(t, src, "ok", other)
			require.Equal(t, "live", other.next())
			ended := ending(t, src, "a", sink)
			require.Equal(t, "live", sink.next())

			require.NoError(t, s.ReloadOptions(user()))
			eventually(t, "the server has withdrawn it", func() bool { return nc.LastError() != nil })
			withdrawn := nc.LastError()
			require.NoError(t, hide(nc))
			eventually(t, "that is hidden", func() bool { return nc.LastError() != withdrawn }) //nolint:errorlint // the same one
			requireDenied(t, <-ended, "a")
			require.NoError(t, nc.Publish("ok", []byte("on")))
			for other.next() != "ok on" {
			}
		})
	}
}

// ending runs src, which is to end by itself, and gives its error.
func ending(t *testing.T, src bridge.Source, pattern string, sink bridge.Sink) <-chan error {
	ctx, cancel := context.WithTimeout(bg, patience)
	ended := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { ended <- src.Run(ctx, pattern, "", sink) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return ended
}

// The same, while the application makes such errors all the time.
func TestCore_WithdrawnAndPublishing(t *testing.T) {
	user := func(allow ...string) *server.Options {
		return &server.Options{DontListen: true, NoSigs: true, NoLog: true, Users: []*server.User{{
			Username: "u", Password: "p", Permissions: &server.Permissions{
				Subscribe: &server.SubjectPermission{Allow: append(allow, "ok")},
				Publish:   &server.SubjectPermission{Allow: append(allow, "ok")},
			},
		}}}
	}
	s := embedded(t, func(o *server.Options) { *o = *user("a") })
	nc := inside(t, s, nats.UserInfo("u", "p"), quiet())
	sink := newDiary(t)
	ended := ending(t, newCore(t, nc), "a", sink)
	require.Equal(t, "live", sink.next())
	require.NoError(t, s.ReloadOptions(user()))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			requireDenied(t, err, "a")
			return
		case <-tick.C:
			require.NoError(t, nc.Publish("a", nil))
		}
	}
}

// A connection that was over its limit of subscriptions has room again, and then not.
func TestCore_RoomAgain(t *testing.T) {
	for name, echo := range map[string]bool{"echo": true, "no echo": false} {
		t.Run(name, func(t *testing.T) {
			opts := []nats.Option{quiet()}
			if !echo {
				opts = append(opts, nats.NoEcho())
			}
			nc := inside(t, embedded(t, func(o *server.Options) { o.MaxSubs = 2 }), opts...)
			var subs []*nats.Subscription
			for _, subject := range []string{"1", "2", "3"} {
				sub, err := nc.SubscribeSync(subject)
				require.NoError(t, err)
				subs = append(subs, sub)
			}
			require.NoError(t, nc.Flush())
			require.ErrorIs(t, nc.LastError(), nats.ErrMaxSubscriptionsExceeded)
			src := newCore(t, nc)
			require.ErrorIs(t, ends(t, src, "a", newDiary(t)), nats.ErrMaxSubscriptionsExceeded)
			for _, sub := range subs {
				require.NoError(t, sub.Unsubscribe())
			}
			if !echo { // it cannot tell, and says so
				require.ErrorIs(t, ends(t, src, "a", newDiary(t)), nats.ErrMaxSubscriptionsExceeded)
				return
			}
			for _, subject := range []string{"a", "b"} { // b is the last one that fits
				sink := newDiary(t)
				startCore(t, src, subject, sink)
				require.Equal(t, "live", sink.next())
				require.NoError(t, nc.Publish(subject, []byte("on")))
				require.Equal(t, subject+" on", sink.next())
			}
			err := ends(t, src, "c", newDiary(t))
			require.ErrorIs(t, err, nats.ErrMaxSubscriptionsExceeded)
			require.False(t, bridge.IsPermanent(err))
		})
	}
}

// One that may not ask is told anew, and sees that.
func TestCore_NoRoomAndNoInbox(t *testing.T) {
	s := embedded(t, allowed("ok.>"), func(o *server.Options) { o.MaxSubs = 1 })
	nc := inside(t, s, nats.UserInfo("u", "p"), quiet())
	for range 2 {
		_, err := nc.SubscribeSync("ok.1")
		require.NoError(t, err)
	}
	require.NoError(t, nc.Flush())
	require.ErrorIs(t, nc.LastError(), nats.ErrMaxSubscriptionsExceeded)
	src := newCore(t, nc)
	for range 2 {
		require.ErrorIs(t, ends(t, src, "ok.2", newDiary(t)), nats.ErrMaxSubscriptionsExceeded)
	}
}

// A connection comes back to a server that takes one subscription fewer than there are:
// one topic waits, and the others are live.
func TestCore_OneTooMany(t *testing.T) {
	const many = 10
	from, to := embedded(t, onTCP), embedded(t, onTCP, func(o *server.Options) { o.MaxSubs = many - 1 })
	nc, proxy := proxied(t, from.Addr().String(), quiet())
	b := newBridge(t, newCore(t, nc), bridge.WithBackoff(10*time.Millisecond, 100*time.Millisecond))
	for i := range many {
		newReader(t, b, fmt.Sprint("a", i))
	}
	proxy.SetTarget(to.Addr().String())
	require.Equal(t, 1, proxy.Cut())
	eventually(t, "all but one are live", func() bool {
		live, there := 0, 0
		for topic := range b.Topics() {
			if topic.State == bridge.Live {
				live++
				n, err := subscriptions(to, topic.Pattern)
				require.NoError(t, err)
				there += n
			}
		}
		return live == many-1 && there == many-1
	})
}

// One error of the application has the server asked about all topics in one go, and
// holds up none of them.
func TestCore_AskedTogether(t *testing.T) {
	const many = 50
	s := embedded(t, onTCP, allowed("ok.>"))
	w := &wire{held: make(chan struct{})}
	nc := connect(t, s.ClientURL(), nats.UserInfo("u", "p"), quiet(), nats.SetCustomDialer(w), nats.PingInterval(time.Minute))
	root := inside(t, s, nats.UserInfo("root", "p"))
	src := newCore(t, nc)
	sinks := make([]*diary, many)
	for i := range sinks {
		sinks[i] = newDiary(t)
		startCore(t, src, fmt.Sprintf("ok.%d", i), sinks[i])
		require.Equal(t, "live", sinks[i].next())
	}
	w.hold("SUB ok.")
	_, err := nc.SubscribeSync("no")
	require.NoError(t, err)
	<-w.held // the server is being asked, and does not answer
	for i := range sinks {
		require.NoError(t, root.Publish(fmt.Sprintf("ok.%d", i), []byte("on")))
	}
	for i := range sinks {
		require.Equal(t, fmt.Sprintf("ok.%d on", i), sinks[i].next())
	}
	w.release()
	eventually(t, "all have been asked about", func() bool { return w.count("SUB ok.") >= many })
	require.NoError(t, nc.Flush())
	require.Equal(t, many, w.count("SUB ok."))
	require.LessOrEqual(t, w.count("PING"), 2)
	n, err := subscriptions(s, "ok.0")
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// wire is a dialer that can hold back what a client sends.
type wire struct {
	mu   sync.Mutex
	conn net.Conn
	from string // what is sent is held back from this on; empty: nothing
	kept []byte // what is held back
	sent []byte // what was to be sent since hold

	held chan struct{} // closed when something is
}

func (w *wire) Dial(network, address string) (net.Conn, error) {
	conn, err := net.Dial(network, address)
	w.conn = conn
	return wired{conn, w}, err
}

func (w *wire) hold(from string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.from, w.sent = from, nil
}

func (w *wire) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.conn.Write(w.kept)
	w.from, w.kept = "", nil
}

func (w *wire) count(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Count(w.sent, []byte(what))
}

type wired struct {
	net.Conn
	w *wire
}

func (c wired) Write(b []byte) (int, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.sent = append(c.w.sent, b...)
	if c.w.from != "" && (c.w.kept != nil || bytes.Contains(b, []byte(c.w.from))) {
		if c.w.kept == nil {
			close(c.w.held)
		}
		c.w.kept = append(c.w.kept, b...)
		return len(b), nil
	}
	return c.Conn.Write(b)
}
