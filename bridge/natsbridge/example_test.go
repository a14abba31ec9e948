package natsbridge_test

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/natsbridge"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Three subscribers of one process share a subscription to core NATS. The server is
// in the process too, as it may be in yours.
func ExampleNewCore() {
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true})
	if err != nil {
		panic(err)
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	nc, err := nats.Connect("", nats.InProcessServer(s),
		nats.MaxReconnects(-1), nats.PingInterval(15*time.Second))
	if err != nil {
		panic(err)
	}
	defer nc.Close()

	source, err := natsbridge.NewCore(nc)
	if err != nil {
		panic(err)
	}
	b, err := bridge.New(source, func(m *bridge.Message) (int, error) {
		return strconv.Atoi(string(m.Data))
	})
	if err != nil {
		panic(err)
	}
	defer b.Close()

	var subs []*broadcast.Subscription[bridge.Event[int]]
	for range 3 {
		sub, err := b.Subscribe(context.Background(), "price.*")
		if err != nil {
			panic(err)
		}
		subs = append(subs, sub) // the server has confirmed it
	}
	fmt.Println(nc.NumSubscriptions(), "subscription")
	if err := nc.Publish("price.gold", []byte("42")); err != nil {
		panic(err)
	}
	for _, sub := range subs {
		e := <-sub.C()
		if e.Gap != nil {
			fmt.Println("values are missing:", e.Gap.Reason)
			continue
		}
		fmt.Println(e.Topic, e.Value)
	}
	// Output:
	// 1 subscription
	// price.gold 42
	// price.gold 42
	// price.gold 42
}
