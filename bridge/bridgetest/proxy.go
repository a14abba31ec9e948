package bridgetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Proxy is a TCP proxy that breaks connections on request. A test puts it
// between a source and its system. All methods may be called by any number of
// goroutines at once; all but Close return without waiting for the network.
//
// It costs five goroutines for each connection, which end with it.
type Proxy struct {
	listener net.Listener
	work     sync.WaitGroup // the accept loop and all connections

	mu       sync.Mutex // guards all below
	target   string
	links    map[*link]struct{}
	toServer gate
	toClient gate
	refuse   bool
	latency  time.Duration
	limit    int // bytes per second and direction; 0: none
	accepted int
	closed   bool
}

// NewProxy listens on a free port of the loopback and forwards each connection
// to target, a host and port. It fails if there is no port to listen on; that
// target can be reached is not checked. Close releases it.
func NewProxy(target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("bridgetest: proxy for %s: %w", target, err)
	}
	p := &Proxy{target: target, listener: listener, links: map[*link]struct{}{}}
	p.work.Go(p.accept)
	return p, nil
}

// Addr returns the host and port that a source connects to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// SetTarget has new connections go to target: a system that was started again
// need not find its port free.
func (p *Proxy) SetTarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Conns returns how many connections there are, those included that wait for a
// black hole to end.
func (p *Proxy) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Accepted returns how many connections there have been, without the refused.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Cut resets all connections on both sides, and returns how many. New ones are
// accepted as before.
func (p *Proxy) Cut() (cut int) {
	for _, l := range p.all() {
		if l.reset() {
			cut++
		}
	}
	return cut
}

// HalfClose ends the direction towards the client on all connections, which
// sees the end of the stream, and returns how many. What the client sends is
// forwarded still.
func (p *Proxy) HalfClose() int {
	links := p.all()
	for _, l := range links {
		l.halfClose()
	}
	return len(links)
}

// Blackhole lets connections be made and stay, and forwards nothing in either
// direction, no end of a stream either, until Heal. What was sent meanwhile
// arrives then, as after a network partition.
func (p *Proxy) Blackhole() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.toServer.shut()
	p.toClient.shut()
}

// Mute forwards nothing to the client until Heal, as a system that takes
// everything and never answers: connections can be made, and what clients send
// arrives.
func (p *Proxy) Mute() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.toClient.shut()
}

// Refuse resets each new connection as soon as it is made, until Heal. The ones
// that there are stay.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = true
}

// Latency delays what is read from now on by d in each direction; 0 ends it.
func (p *Proxy) Latency(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = d
}

// Limit forwards at most bytesPerSecond from now on, for each connection and
// direction; 0 ends it.
func (p *Proxy) Limit(bytesPerSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = bytesPerSecond
}

// Heal ends Blackhole, Mute, Refuse, Latency and Limit. Connections that were cut
// stay cut.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse, p.latency, p.limit = false, 0, 0
	p.toServer.open()
	p.toClient.open()
}

// Close stops listening, resets all connections, and returns when no goroutine
// of the proxy is left. It is idempotent.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.listener.Close()
	p.Cut()
	p.work.Wait()
}

func (p *Proxy) all() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	return links
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			p.welcome(conn.(*net.TCPConn))
		}
	}
}

func (p *Proxy) welcome(client *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse || p.closed {
		reset(client)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &link{proxy: p, client: client, done: ctx.Done(), cancel: cancel}
	p.links[l] = struct{}{}
	p.accepted++
	p.work.Go(func() { l.run(ctx) })
}

// gate is a direction that can be shut. The mutex of the Proxy guards it.
type gate struct{ opened chan struct{} } // nil: it is open

func (g *gate) shut() {
	if g.opened == nil {
		g.opened = make(chan struct{})
	}
}

func (g *gate) open() {
	if g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
}
