package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// host is the whole way of an event in one process: a collector that publishes,
// a NATS server that nobody can reach from outside, and one subscription.
type host struct {
	server    *server.Server
	publisher *nats.Conn
	link      *link
	cancel    context.CancelFunc // ends the collector
	collector sync.WaitGroup
}

func startHost(in *intake, con *console) (source, error) {
	h := &host{}
	if err := h.start(in, con); err != nil {
		h.stopServer()
		return source{}, fmt.Errorf("the NATS server inside this process: %w", err)
	}
	return source{what: "host.> of this host", over: "NATS in this process", stop: h.stop}, nil
}

func (h *host) start(in *intake, con *console) (err error) {
	// Without a port: connections are pipes in memory.
	h.server, err = server.NewServer(&server.Options{ServerName: "live", DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		return err
	}
	h.server.Start()
	if !h.server.ReadyForConnections(5 * time.Second) {
		return errors.New("it did not get ready")
	}
	options := append(reporting(con), nats.InProcessServer(h.server))
	if h.publisher, err = nats.Connect("", options...); err != nil {
		return err
	}
	subscriber, err := nats.Connect("", options...)
	if err != nil {
		return err
	}
	if h.link, err = subscribe(subscriber, "host.>", in); err != nil {
		subscriber.Close()
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	c := newCollector(h.publisher.Publish, con.note)
	h.collector.Go(func() { c.run(ctx) })
	return nil
}

// stop goes the way of an event, so that none is lost: the collector, what it
// has published, the subscription, the server.
func (h *host) stop(ctx context.Context) error {
	h.cancel()
	h.collector.Wait()
	err := h.publisher.FlushWithContext(ctx)
	err = errors.Join(err, h.link.drain(ctx))
	h.stopServer()
	return err
}

func (h *host) stopServer() {
	if h.publisher != nil {
		h.publisher.Close()
	}
	if h.server != nil {
		h.server.Shutdown()
		h.server.WaitForShutdown()
	}
}
