package natsbridge_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/natsbridge"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ordersStream is a server in this process with a stream of orders, as it may be in
// yours, and a connection to it.
func ordersStream() (nc *nats.Conn, js jetstream.JetStream, end func()) {
	dir, err := os.MkdirTemp("", "orders")
	if err != nil {
		panic(err)
	}
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, JetStream: true, StoreDir: dir})
	if err != nil {
		panic(err)
	}
	s.Start()
	nc, err = nats.Connect("", nats.InProcessServer(s), nats.MaxReconnects(-1), nats.PingInterval(15*time.Second))
	if err != nil {
		panic(err)
	}
	js, err = jetstream.New(nc)
	if err != nil {
		panic(err)
	}
	cfg := jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}}
	if _, err = js.CreateStream(context.Background(), cfg); err != nil {
		panic(err)
	}
	return nc, js, func() {
		nc.Close()
		s.Shutdown()
		s.WaitForShutdown()
		_ = os.RemoveAll(dir)
	}
}

func order(m *bridge.Message) (string, error) { return string(m.Data), nil }

// A process that stores the position of what it has handled goes on there when it
// starts again, and is told if the stream has forgotten some of it.
func ExampleNewStream() {
	nc, js, end := ordersStream()
	defer end()
	ctx := context.Background()
	publish := func(orders ...string) {
		for _, o := range orders {
			if _, err := js.Publish(ctx, "orders.eu", []byte(o)); err != nil {
				panic(err)
			}
		}
	}

	source, err := natsbridge.NewStream(nc, "ORDERS")
	if err != nil {
		panic(err)
	}
	var stored bridge.Position // in a file or a table, together with what was handled
	process := func(orders int, meanwhile func()) {
		b, err := bridge.New(source, order, bridge.WithFrom(func(string) bridge.Position { return stored }))
		if err != nil {
			panic(err)
		}
		defer b.Close()
		r, err := b.NewReader(ctx, "orders.>", broadcast.WithPolicy(broadcast.Block))
		if err != nil {
			panic(err)
		}
		meanwhile()
		for range orders {
			e, err := r.Next(ctx)
			if err != nil {
				panic(err)
			}
			if e.Gap != nil {
				fmt.Println("missing:", e.Gap.Count)
				continue
			}
			fmt.Println(e.Value)
			stored = e.Position
		}
	}

	process(2, func() { publish("tea", "milk") })
	publish("bread", "salt", "jam")
	st, err := js.Stream(ctx, "ORDERS")
	if err != nil {
		panic(err)
	}
	if err := st.Purge(ctx, jetstream.WithPurgeKeep(1)); err != nil {
		panic(err)
	}
	process(2, func() {})
	// Output:
	// tea
	// milk
	// missing: 2
	// jam
}

// An order is acknowledged when the reader asks for the next one. What it had not
// acknowledged when its process ended, the next process of that name gets again.
func ExampleNewDurable() {
	nc, js, end := ordersStream()
	defer end()
	ctx := context.Background()

	process := func(orders int, meanwhile func()) {
		source, err := natsbridge.NewDurable(nc, "ORDERS", "warehouse-1")
		if err != nil {
			panic(err)
		}
		b, err := bridge.New(source, order, bridge.WithAck())
		if err != nil {
			panic(err)
		}
		defer b.Close() // at once; Shutdown lets readers finish
		r, err := b.NewReader(ctx, "orders.eu")
		if err != nil {
			panic(err)
		}
		meanwhile()
		for range orders {
			e, err := r.Next(ctx)
			if err != nil {
				panic(err)
			}
			fmt.Println(e.Value, e.Redelivered)
		}
	}

	process(1, func() {
		if _, err := js.Publish(ctx, "orders.eu", []byte("tea")); err != nil {
			panic(err)
		}
	})
	process(1, func() {})
	// Output:
	// tea false
	// tea true
}
