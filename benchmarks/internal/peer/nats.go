package peer

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// natsPeer is a server inside the process, without a port, one connection that publishes
// and one with a subscription for each subscriber. Core NATS may lose what is too much
// for a connection or a subscription: the limits are far away here, except for a
// subscriber that is stuck, which has the client's own.
var natsPeer = Peer{
	Name:   "nats",
	Title:  "nats.go, server in the process",
	Module: "github.com/nats-io/nats.go",
	How:    "one connection publishes, one has all subscriptions; limits off, so unbounded",
	Ahead: "Publish copies the bytes into the buffer of a connection; a server in the process, and goroutines of the " +
		"client for each subscription, do the rest later, with queues that have no bound here",
	New: func(Config) Bus {
		bus, err := newNATS()
		if err != nil {
			panic(err)
		}
		return bus
	},
}

type natsBus struct {
	server   *server.Server
	pub, sub *nats.Conn
	joined   atomic.Int64 // subscriptions
	known    atomic.Int64 // of these, to the server
	flushing sync.Mutex
}

func newNATS() (*natsBus, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "benchmarks", DontListen: true, NoSigs: true, NoLog: true,
		MaxPending: 4 << 30, WriteDeadline: time.Minute,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return nil, errors.New("the NATS server was not ready within 10 s")
	}
	pub, err := nats.Connect("", nats.InProcessServer(s), nats.NoReconnect())
	if err != nil {
		return nil, err
	}
	sub, err := nats.Connect("", nats.InProcessServer(s), nats.NoReconnect())
	if err != nil {
		return nil, err
	}
	return &natsBus{server: s, pub: pub, sub: sub}, nil
}

func (n *natsBus) Subscribe(take func(Event)) func() {
	sub, cancel := n.subscribe(take)
	if err := sub.SetPendingLimits(math.MaxInt32, math.MaxInt32); err != nil {
		panic(err)
	}
	return cancel
}

// SubscribeIsolated leaves the limits of the client, 512 Ki events and 64 MB.
func (n *natsBus) SubscribeIsolated(take func(Event)) func() {
	_, cancel := n.subscribe(take)
	return cancel
}

func (n *natsBus) subscribe(take func(Event)) (*nats.Subscription, func()) {
	sub, err := n.sub.Subscribe(topic, func(m *nats.Msg) { take(decode(m.Data)) })
	if err != nil {
		panic(err)
	}
	n.joined.Add(1)
	return sub, func() { _ = sub.Unsubscribe() }
}

func (n *natsBus) Publish(e Event) error {
	if n.known.Load() != n.joined.Load() {
		if err := n.flush(); err != nil {
			return err
		}
	}
	return n.pub.Publish(topic, encode(e))
}

// flush waits until the server knows all subscriptions. Publishers that come meanwhile
// wait too: what they published would be lost for these.
func (n *natsBus) flush() error {
	n.flushing.Lock()
	defer n.flushing.Unlock()
	joined := n.joined.Load()
	if n.known.Load() == joined {
		return nil
	}
	if err := n.sub.Flush(); err != nil {
		return err
	}
	n.known.Store(joined)
	return nil
}

// Close closes the connections, and stops the server without waiting for it.
func (n *natsBus) Close() error {
	n.pub.Close()
	n.sub.Close()
	n.server.Shutdown()
	return nil
}
