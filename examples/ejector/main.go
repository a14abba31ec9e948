// Ejector shows what becomes of a worker that stalls: it is ejected, finds out
// by Err, subscribes again, and learns from a snapshot what it has missed.
//
//	go run ./examples/ejector
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast"
)

const (
	deposits = 60
	every    = 20 * time.Millisecond
	buffer   = 8
	stallAt  = 10 // the deposit that takes the worker long
	stall    = 510 * time.Millisecond
)

func main() {
	flag.Parse() // for -h, and to refuse what it does not know
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ejector:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	logger := log.New(out, "", 0) // for the hook and the worker, which run side by side
	hub := broadcast.New[deposit](buffer, broadcast.Eject, broadcast.WithOnEject(func(s broadcast.SubscriptionStats) {
		logger.Printf("hub:    ejected %s, with %d of %d events still to be read", s.Name, s.Len, s.Cap)
	}))
	acct := &account{hub: hub}
	w := &worker{account: acct, log: logger}
	var running sync.WaitGroup
	running.Go(func() { w.run(ctx) })
	for no := 1; no <= deposits && ctx.Err() == nil; no++ {
		pause(ctx, every)
		acct.add(no)
	}
	err := hub.Shutdown(context.WithoutCancel(ctx)) // waits for the hook and until all is read
	running.Wait()
	logger.Printf("worker: ends with %+v, the account is %+v", w.known, acct.snapshot())
	if w.known != acct.snapshot() {
		err = errors.Join(err, errors.New("the worker has missed something for good"))
	}
	return err
}

// worker follows the account.
type worker struct {
	account *account
	log     *log.Logger
	known   balance
}

func (w *worker) run(ctx context.Context) {
	for {
		// First subscribe, then look: what is in neither does not exist, and what
		// is in both is known by its number.
		sub := w.account.hub.Subscribe(broadcast.WithName("worker"))
		last := w.known.No
		w.known = w.account.snapshot()
		w.log.Printf("worker: subscribed at %+v, having missed %d", w.known, w.known.No-last)
		for d := range sub.C() {
			w.handle(ctx, d)
		}
		if !errors.Is(sub.Err(), broadcast.ErrEjected) {
			return // the hub is closed
		}
		st := sub.Stats()
		w.log.Printf("worker: %v; of %d events it had %d and lost %d", sub.Err(), st.Offered, st.Received, st.Dropped)
	}
}

func (w *worker) handle(ctx context.Context, d deposit) {
	if d.No <= w.known.No {
		return // the snapshot has it
	}
	w.known = w.known.with(d)
	if d.No == stallAt {
		w.log.Printf("worker: stalls after %d", d.No)
		pause(ctx, stall)
	}
}
