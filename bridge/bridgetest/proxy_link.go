package bridgetest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// reset closes conn with an RST instead of a FIN.
func reset(conn *net.TCPConn) {
	if conn != nil {
		_ = conn.SetLinger(0)
		_ = conn.Close()
	}
}

// link is one connection through the proxy.
type link struct {
	proxy  *Proxy
	client *net.TCPConn
	done   <-chan struct{}    // closed when it is reset
	cancel context.CancelFunc // closes done

	mu     sync.Mutex
	server *net.TCPConn // nil until dialed
	over   bool         // done is closed
	half   bool         // nothing goes to the client any more
}

func (l *link) run(ctx context.Context) {
	p := l.proxy
	defer func() {
		l.reset()
		p.mu.Lock()
		delete(p.links, l)
		p.mu.Unlock()
	}()
	if !l.pass(&p.toServer, 0) || !l.dial(ctx) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { l.pump(l.server, l.client, &p.toServer) })
	both.Go(func() { l.pump(l.client, l.server, &p.toClient) })
	both.Wait()
}

// dial connects to the target. A black hole or Close may begin meanwhile.
func (l *link) dial(ctx context.Context) bool {
	l.proxy.mu.Lock()
	target := l.proxy.target
	l.proxy.mu.Unlock()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return false // the client is reset, as by a system that is down
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.server = conn.(*net.TCPConn)
	if l.over {
		reset(l.server)
	}
	return !l.over
}

// reset returns false if it was done before.
func (l *link) reset() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return false
	}
	l.over = true
	l.cancel()
	reset(l.client)
	reset(l.server)
	return true
}

func (l *link) halfClose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.half = true
	_ = l.client.CloseWrite()
}

func (l *link) isHalf() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.half
}

// chunk is what was read at once, and when it may go on.
type chunk struct {
	data []byte
	due  time.Time
}

// pump forwards from src to dst through g until either ends. Reading goes on
// while chunks wait for their time, so that latency does not limit the
// throughput.
func (l *link) pump(dst, src *net.TCPConn, g *gate) {
	chunks := make(chan chunk, 64)
	var reader sync.WaitGroup
	defer reader.Wait()
	reader.Go(func() { l.read(src, chunks) })
	for c := range chunks {
		if !l.pass(g, time.Until(c.due)) || !l.write(dst, c.data, g) {
			l.reset()
		}
	}
	// The end of the stream goes through a black hole as little as data does.
	if l.pass(g, 0) {
		_ = dst.CloseWrite()
	}
}

// read reads until the end of the stream or the link.
func (l *link) read(src *net.TCPConn, chunks chan<- chunk) {
	defer close(chunks)
	for {
		buf := make([]byte, 32<<10)
		n, err := src.Read(buf)
		if n > 0 {
			l.proxy.mu.Lock()
			due := time.Now().Add(l.proxy.latency)
			l.proxy.mu.Unlock()
			chunks <- chunk{buf[:n], due}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				l.reset()
			}
			return
		}
	}
}

// write writes data, in parts with pauses while there is a limit. Nothing more
// goes to a client that was told that the stream has ended.
func (l *link) write(dst *net.TCPConn, data []byte, g *gate) bool {
	for len(data) > 0 {
		if dst == l.client && l.isHalf() {
			return true
		}
		l.proxy.mu.Lock()
		limit := l.proxy.limit
		l.proxy.mu.Unlock()
		n := len(data)
		var pause time.Duration
		if limit > 0 {
			n = min(n, max(1, limit/20))
			pause = time.Duration(n) * time.Second / time.Duration(limit)
		}
		if !l.pass(g, pause) {
			return false
		}
		if _, err := dst.Write(data[:n]); err != nil {
			return dst == l.client && l.isHalf()
		}
		data = data[n:]
	}
	return true
}

// pass waits for d and then until g is open. It returns false when the link has
// ended.
func (l *link) pass(g *gate, d time.Duration) bool {
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.done:
			return false
		}
	}
	for {
		l.proxy.mu.Lock()
		opened := g.opened
		l.proxy.mu.Unlock()
		if opened == nil {
			break
		}
		select {
		case <-opened:
		case <-l.done:
			return false
		}
	}
	select {
	case <-l.done:
		return false
	default:
		return true
	}
}
