package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

var (
	errNoServer   = errors.New("the NATS server has been stopped")
	errServerOver = errors.New("live is stopping, and its NATS server with it")
)

// serverWithin bounds a start of the server, and how long one who wants to start
// or stop it waits for another who is at it.
const serverWithin = 5 * time.Second

// embedded is a NATS server in this process, which nobody can reach from outside,
// and which can be stopped and started again: there is one or none. Its methods
// may be called by any number of goroutines at once.
type embedded struct {
	turn chan struct{} // holds a token while somebody starts or stops
	over context.Context
	end  context.CancelFunc // no further start

	mu      sync.Mutex
	current *server.Server // nil: none; guarded by mu, written by who has the turn
}

func newEmbedded() *embedded {
	e := &embedded{turn: make(chan struct{}, 1)}
	e.over, e.end = context.WithCancel(context.Background())
	return e
}

// InProcessConn is what a nats.Conn calls for each attempt to connect.
func (e *embedded) InProcessConn() (net.Conn, error) {
	s := e.server()
	if s == nil {
		return nil, errNoServer
	}
	return s.InProcessConn()
}

func (e *embedded) server() *server.Server {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current
}

func (e *embedded) set(s *server.Server) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.current = s
}

func (e *embedded) running() bool { return e.server() != nil }

// start starts a server if there is none, and returns when it takes connections.
func (e *embedded) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, serverWithin)
	defer cancel()
	if err := e.begin(ctx); err != nil {
		return err
	}
	defer e.done()
	if e.running() {
		return nil
	}
	// Without a port: connections are pipes in memory.
	s, err := server.NewServer(&server.Options{ServerName: "live", DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		return err
	}
	s.Start()
	for !s.ReadyForConnections(100 * time.Millisecond) {
		if ctx.Err() != nil || e.over.Err() != nil {
			s.Shutdown()
			s.WaitForShutdown()
			return errors.New("the NATS server did not get ready")
		}
	}
	e.set(s)
	return nil
}

// stop stops the server if there is one: its connections end, and with it what
// they had still to send. It takes as long as the server's own Shutdown.
func (e *embedded) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, serverWithin)
	defer cancel()
	if err := e.begin(ctx); err != nil {
		return err
	}
	defer e.done()
	e.shutdown()
	return nil
}

// close stops the server for good. It waits for a start or stop that is under way.
func (e *embedded) close() {
	e.end()
	e.turn <- struct{}{} // nobody else takes it any more but to find that it is over
	defer e.done()
	e.shutdown()
}

func (e *embedded) shutdown() {
	s := e.server()
	if s == nil {
		return
	}
	e.set(nil) // first: who comes back now must not come to this one
	s.Shutdown()
	s.WaitForShutdown()
}

func (e *embedded) begin(ctx context.Context) error {
	select {
	case e.turn <- struct{}{}:
	case <-e.over.Done():
		return errServerOver
	case <-ctx.Done():
		return fmt.Errorf("somebody else starts or stops the NATS server: %w", context.Cause(ctx))
	}
	if e.over.Err() != nil {
		e.done()
		return errServerOver
	}
	return nil
}

func (e *embedded) done() { <-e.turn }
