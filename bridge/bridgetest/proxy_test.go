package bridgetest_test

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// echo is a TCP server that sends back what it gets, and tells how each
// connection has ended: nil is the end of the stream.
type echo struct {
	addr  string
	ended chan error
}

func startEcho(t testing.TB) *echo {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	e := &echo{addr: listener.Addr().String(), ended: make(chan error, 100)}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				_, err := io.Copy(conn, conn)
				conn.Close()
				e.ended <- err
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		all.Wait()
	})
	return e
}

// through returns a proxy of an echo server, and a function that connects to it
// and has a first word echoed. Nothing is left at the end of the test.
func through(t *testing.T) (p *bridgetest.Proxy, e *echo, dial func() *net.TCPConn) {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	e = startEcho(t)
	p, err := bridgetest.NewProxy(e.addr)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p, e, func() *net.TCPConn {
		conn := connect(t, p)
		say(t, conn, "hello")
		hear(t, conn, "hello")
		return conn
	}
}

func connect(t *testing.T, p *bridgetest.Proxy) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute))) // a test that hangs fails
	return conn.(*net.TCPConn)
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(conn, text)
	require.NoError(t, err)
}

func hear(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	buf := make([]byte, len(want))
	_, err := io.ReadFull(conn, buf)
	require.NoError(t, err)
	require.Equal(t, want, string(buf))
}

// requireSilent fails if something arrives within d.
func requireSilent(t *testing.T, conn net.Conn, d time.Duration) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(d)))
	n, err := conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "read %d bytes", n)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
}

func requireReset(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

// requireRefused fails if a new connection is not reset.
func requireRefused(t *testing.T, p *bridgetest.Proxy) {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err == nil { // else the reset has come before the end of the handshake
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestProxy_Forwards(t *testing.T) {
	p, e, dial := through(t)
	conn := dial()
	require.Equal(t, 1, p.Conns())
	require.Equal(t, 1, p.Accepted())
	require.NoError(t, conn.CloseWrite())
	require.NoError(t, <-e.ended, "the end of the stream reaches the server")
	_, err := conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "and its answer the client")
}

func TestProxy_Cut(t *testing.T) {
	p, e, dial := through(t)
	a, b := dial(), dial()
	require.Equal(t, 2, p.Cut())
	for _, conn := range []*net.TCPConn{a, b} {
		requireReset(t, conn)
		require.ErrorIs(t, <-e.ended, syscall.ECONNRESET)
	}
	dial()
}

func TestProxy_Blackhole(t *testing.T) {
	p, e, dial := through(t)
	old := dial()
	p.Blackhole()
	p.Blackhole()
	fresh := connect(t, p)
	for _, conn := range []*net.TCPConn{old, fresh} {
		say(t, conn, "swallowed")
		requireSilent(t, conn, 50*time.Millisecond)
	}
	require.Equal(t, 2, p.Conns())
	p.Heal()
	hear(t, old, "swallowed")
	hear(t, fresh, "swallowed")

	p.Blackhole()
	require.NoError(t, old.Close())
	select {
	case err := <-e.ended:
		t.Fatalf("the server has seen the end of a connection in a black hole: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	require.Equal(t, 2, p.Cut(), "also what is in the hole")
	require.Error(t, <-e.ended)
}

func TestProxy_Mute(t *testing.T) {
	p, e, dial := through(t)
	conn := dial()
	p.Mute()
	say(t, conn, "heard")
	requireSilent(t, conn, 50*time.Millisecond)
	require.NoError(t, conn.CloseWrite())
	require.NoError(t, <-e.ended, "what the client does reaches the server")
	p.Heal()
	hear(t, conn, "heard")
}

func TestProxy_Refuse(t *testing.T) {
	p, _, dial := through(t)
	old := dial()
	p.Refuse()
	requireRefused(t, p)
	say(t, old, "still here")
	hear(t, old, "still here")
	require.Equal(t, 1, p.Accepted())
	p.Heal()
	dial()
}

func TestProxy_HalfClose(t *testing.T) {
	p, e, dial := through(t)
	conn := dial()
	require.Equal(t, 1, p.HalfClose())
	_, err := conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	say(t, conn, "one way")
	require.NoError(t, conn.CloseWrite())
	require.NoError(t, <-e.ended, "the server got all and could answer")
}

func TestProxy_Latency(t *testing.T) {
	p, _, dial := through(t)
	conn := dial()
	p.Latency(40 * time.Millisecond)
	start := time.Now()
	for range 20 {
		say(t, conn, "there and back")
	}
	for range 20 {
		hear(t, conn, "there and back")
	}
	// A lower bound is no wall-clock claim: a slow machine only adds to it.
	require.GreaterOrEqual(t, time.Since(start), 80*time.Millisecond)
	p.Heal()
	say(t, conn, "quick")
	hear(t, conn, "quick")
}

func TestProxy_Limit(t *testing.T) {
	p, _, dial := through(t)
	conn := dial()
	p.Limit(100_000)
	start := time.Now()
	text := string(make([]byte, 10_000))
	say(t, conn, text)
	hear(t, conn, text)
	require.GreaterOrEqual(t, time.Since(start), 90*time.Millisecond)
}

// The target is down: the client is reset, as by a system that is. One that comes up
// elsewhere is found.
func TestProxy_SetTarget(t *testing.T) {
	p, e, dial := through(t)
	p.SetTarget("127.0.0.1:1")
	requireRefused(t, p)
	p.SetTarget(e.addr)
	dial()
}

// Close in each state leaves nothing behind.
func TestProxy_Close(t *testing.T) {
	for name, fault := range map[string]func(p *bridgetest.Proxy){
		"none":      func(*bridgetest.Proxy) {},
		"blackhole": (*bridgetest.Proxy).Blackhole,
		"mute":      (*bridgetest.Proxy).Mute,
		"limit":     func(p *bridgetest.Proxy) { p.Limit(1) },
		"latency":   func(p *bridgetest.Proxy) { p.Latency(time.Hour) },
		"half":      func(p *bridgetest.Proxy) { p.HalfClose() },
	} {
		t.Run(name, func(t *testing.T) {
			p, _, dial := through(t)
			dial()
			fault(p)
			conn := connect(t, p)
			say(t, conn, "on its way")
			p.Close()
			p.Close()
			require.Zero(t, p.Conns())
			_, err := net.Dial("tcp", p.Addr())
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
		})
	}
}
