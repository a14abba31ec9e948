// Handlers runs four handlers beside each other: a slow one, one that returns
// errors, one that panics, and one without a care. None of them troubles the
// others, every failure is counted, and Shutdown waits for the slow one.
//
//	go run ./examples/handlers
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/gobroadcast/broadcast"
)

const orders = 20

type order struct{ No int }

func main() {
	flag.Parse() // for -h, and to refuse what it does not know
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		fmt.Fprintln(os.Stderr, "handlers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, logger *slog.Logger) error {
	// The buffer holds all orders: the publisher waits for nobody, and Block
	// loses none.
	hub := broadcast.New[order](orders, broadcast.Block, broadcast.WithLogger(logger))
	desks := []*desk{
		{name: "stock", fn: stock},
		{name: "mail", fn: mail},
		{name: "price", fn: price},
		{name: "archive", fn: archive},
	}
	start := time.Now()
	var running sync.WaitGroup
	for _, d := range desks {
		d.sub = hub.Subscribe(broadcast.WithName(d.name))
		running.Go(func() { d.run(ctx, start) })
	}
	var err error
	for no := 1; no <= orders && err == nil; no++ {
		err = hub.Publish(ctx, order{no})
	}
	published := time.Since(start)
	err = errors.Join(err, hub.Shutdown(ctx)) // until all is handled, or Ctrl-C
	running.Wait()

	fmt.Fprintf(out, "published in %v, shut down after %v\n\n", rounded(published), rounded(time.Since(start)))
	return errors.Join(err, report(out, desks, hub.Stats()))
}

// desk is a handler and what became of its events.
type desk struct {
	name string
	fn   func(context.Context, order) error
	sub  *broadcast.Subscription[order]
	ok   uint64 // calls that did not fail
	done time.Duration
}

func (d *desk) run(ctx context.Context, start time.Time) {
	// What Handle returns is why it ended: here the hub's close or ctx.
	_ = broadcast.Handle(ctx, d.sub, func(ctx context.Context, o order) error {
		err := d.fn(ctx, o)
		if err == nil {
			d.ok++
		}
		return err
	})
	d.done = time.Since(start)
}

func report(out io.Writer, desks []*desk, st broadcast.Stats) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "handler\treceived\tfailed\tunread\tdone after")
	var failed uint64
	for _, d := range desks {
		s := d.sub.Stats()
		failed += s.Received - d.ok
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%v\n", d.name, s.Received, s.Received-d.ok, s.Len, rounded(d.done))
	}
	fmt.Fprintf(t, "\nthe hub has counted %d errors and %d panics\n", st.HandlerErrors, st.HandlerPanics)
	if counted := st.HandlerErrors + st.HandlerPanics; counted != failed {
		return errors.Join(t.Flush(), fmt.Errorf("%d calls failed, %d are counted", failed, counted))
	}
	return t.Flush()
}

func rounded(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
