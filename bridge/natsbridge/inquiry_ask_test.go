package natsbridge

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// counted connects to a server in this process, and counts the PINGs that it is sent.
type counted struct {
	*server.Server
	pings atomic.Int64
}

func (c *counted) InProcessConn() (net.Conn, error) {
	conn, err := c.Server.InProcessConn()
	return countedConn{conn, c}, err
}

type countedConn struct {
	net.Conn
	c *counted
}

func (c countedConn) Write(b []byte) (int, error) {
	c.c.pings.Add(int64(bytes.Count(b, []byte("PING\r\n"))))
	return c.Conn.Write(b)
}

// Those who wait for an answer are asked about together: one PING, and one more for each
// that is refused.
func TestInquiry_AskedTogether(t *testing.T) {
	const many, bad = 50, 3
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true, Users: []*server.User{{
		Username: "u", Password: "p",
		Permissions: &server.Permissions{Subscribe: &server.SubjectPermission{Allow: []string{"ok.>"}}},
	}}})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(10*time.Second))
	c := &counted{Server: s}
	nc, err := nats.Connect("", nats.InProcessServer(c), nats.UserInfo("u", "p"),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	require.NoError(t, nc.Flush())

	q := newInquiry(nc)
	q.alone <- struct{}{} // somebody asks
	before := c.pings.Load()
	type reply struct {
		subject string
		err     error
	}
	replies := make(chan reply)
	for i := range many {
		subject := fmt.Sprint("ok.", i)
		if i < bad {
			subject = fmt.Sprint("no.", i)
		}
		go func() { replies <- reply{subject, q.ask(t.Context(), subject)} }()
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, q.ask(gone, "no.gone"), context.Canceled)
	all := func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return len(q.waiting) == many+1
	}
	require.Eventually(t, all, 10*time.Second, time.Millisecond)
	<-q.alone
	for range many {
		r := <-replies
		if strings.HasPrefix(r.subject, "ok.") {
			require.NoError(t, r.err)
			continue
		}
		require.True(t, bridge.IsPermanent(r.err), "%v", r.err)
		require.ErrorContains(t, r.err, fmt.Sprintf("%q", r.subject))
	}
	require.Equal(t, int64(bad+2), c.pings.Load()-before) // with the one who has gone
	require.Zero(t, nc.NumSubscriptions())
}

// Who asks for others and ends leaves the question to them.
func TestInquiry_LeaderEnds(t *testing.T) {
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(10*time.Second))
	nc, err := nats.Connect("", nats.InProcessServer(s))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	q := newInquiry(nc)
	told := make(chan error, 2)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	q.alone <- struct{}{}
	answer := make(chan error, 1)
	go func() { answer <- q.ask(t.Context(), "a") }()
	require.Eventually(t, func() bool { q.mu.Lock(); defer q.mu.Unlock(); return len(q.waiting) == 1 }, 10*time.Second, time.Millisecond)
	require.False(t, q.settle(ended, append(q.take(), question{"b", func(err error) { told <- err }})))
	require.ErrorIs(t, <-told, errAskAgain)
	<-q.alone
	require.NoError(t, <-answer)
}
