package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// flushHost bounds the flush of what the collector has published last.
const flushHost = 300 * time.Millisecond

// host is the whole way of an event in one process: a collector that publishes,
// a NATS server that nobody can reach from outside, and one subscription.
type host struct {
	server    *embedded
	publisher *nats.Conn
	link      *link
	cancel    context.CancelFunc // ends the collector
	collector sync.WaitGroup
}

func startHost(in *intake, con *console) (source, error) {
	h := &host{server: newEmbedded()}
	if err := h.start(in, con); err != nil {
		h.stopServer()
		return source{}, fmt.Errorf("the NATS server inside this process: %w", err)
	}
	return source{
		what: "host.> of this host", over: "NATS in this process",
		bridge: h.link.bridge, server: h.server, stop: h.stop,
	}, nil
}

func (h *host) start(in *intake, con *console) (err error) {
	if err := h.server.start(context.Background()); err != nil {
		return err
	}
	options := append(naming(con),
		nats.InProcessServer(h.server),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250*time.Millisecond), nats.ReconnectJitter(50*time.Millisecond, 0),
		// What is published while there is no server is lost, as it would be for
		// anybody else's events: the gap is a real one.
		nats.ReconnectBufSize(-1))
	if h.publisher, err = nats.Connect("", options...); err != nil {
		return err
	}
	subscriber, err := nats.Connect("", options...)
	if err != nil {
		return err
	}
	if h.link, err = subscribe(subscriber, "host.>", in, con); err != nil {
		subscriber.Close()
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	c := newCollector(h.publish, con.note)
	h.collector.Go(func() { c.run(ctx) })
	return nil
}

// publish is no failure of a metric's while there is no server.
func (h *host) publish(subject string, payload []byte) error {
	err := h.publisher.Publish(subject, payload)
	if errors.Is(err, nats.ErrReconnectBufExceeded) {
		return nil
	}
	return err
}

// stop goes the way of an event, so that none is lost: the collector, what it
// has published, the subscription, the server.
func (h *host) stop(ctx context.Context) error {
	h.cancel()
	h.collector.Wait()
	err := errors.Join(h.flush(ctx), h.link.drain(ctx))
	h.stopServer()
	return err
}

// flush waits until the server has what was published, unless it is away.
func (h *host) flush(ctx context.Context) error {
	if !h.publisher.IsConnected() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, flushHost)
	defer cancel()
	return h.publisher.FlushWithContext(ctx)
}

func (h *host) stopServer() {
	if h.publisher != nil {
		h.publisher.Close()
	}
	h.server.close()
}
