package ops_test

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gobroadcast/broadcast"
)

type Order struct{ ID int }

// register has reg expose the hub, and returns what takes it out again.
func register(reg prometheus.Registerer, name string, hub *broadcast.Hub[Order]) (unregister func(), err error) {
	collector := broadcast.NewCollector(name, hub)
	if err := reg.Register(collector); err != nil {
		if _, twice := errors.AsType[prometheus.AlreadyRegisteredError](err); twice {
			return nil, fmt.Errorf("there is a hub %q already: %w", name, err)
		}
		return nil, err
	}
	return func() { reg.Unregister(collector) }, nil
}

func Example_register() {
	reg := prometheus.NewRegistry()
	orders := broadcast.New[Order](16, broadcast.DropOldest)
	unregister, err := register(reg, "orders", orders)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = register(reg, "orders", orders)
	fmt.Println(err)

	orders.Close()
	unregister()
	families, err := reg.Gather()
	fmt.Println(len(families), err)
	// Output:
	// there is a hub "orders" already: duplicate metrics collector registration attempted
	// 0 <nil>
}

func Example_expvar() {
	hub := broadcast.New[Order](16, broadcast.DropOldest)
	defer hub.Close()
	hub.Subscribe()
	name := fmt.Sprint("broadcast/orders/", hub.Epoch()) // expvar takes a name once per process

	expvar.Publish(name, expvar.Func(func() any {
		s := hub.Stats()
		return map[string]any{
			"subscribers": s.Subscribers,
			"published":   s.Published,
			"dropped":     s.DroppedBy,
			"blocked":     s.Blocked,
			"ejected":     s.Ejected,
		}
	}))

	_ = hub.Publish(context.Background(), Order{1})
	fmt.Println(expvar.Get(name))
	// Output: {"blocked":0,"dropped":{"Newest":0,"Oldest":0,"Canceled":0,"Closed":0,"Ejected":0},"ejected":0,"published":1,"subscribers":1}
}

func Example_logging() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, withoutTime))
	hub := broadcast.New[Order](16, broadcast.DropOldest, broadcast.WithLogger(logger))
	hub.Subscribe(broadcast.WithBuffer(0))

	_ = hub.Publish(context.Background(), Order{1}) // nobody receives
	_ = hub.Shutdown(context.Background())          // waits for the logger
	logger.Info("the end", "hub", hub.Stats())
	// Output:
	// level=WARN msg="broadcast: events dropped" subscriber=#1 dropped=1
	// level=INFO msg="the end" hub.subscribers=0 hub.readers=0 hub.published=1 hub.offered=1 hub.dropped=1 hub.filtered=0 hub.ejected=0 hub.blocked=0 hub.coalesced=0 hub.handler_errors=0 hub.handler_panics=0
}

var withoutTime = &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}}
