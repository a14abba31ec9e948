// Config gives every worker the newest configuration, and waits for none of
// them: with a buffer of 1 and DropOldest, what a busy worker finds when it
// looks again is the last one.
//
//	go run ./examples/config
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/gobroadcast/broadcast"
)

const (
	reloads = 10
	every   = 100 * time.Millisecond
)

// Config is what is reloaded.
type Config struct{ Version int }

func main() {
	flag.Parse() // for -h, and to refuse what it does not know
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "config:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	fmt.Fprintf(out, "%d configurations, one each %v, for workers that look between two jobs\n\n", reloads, every)
	hub := broadcast.New[Config](1, broadcast.DropOldest)
	workers := []*worker{
		{name: "quick", job: 10 * time.Millisecond},
		{name: "steady", job: 220 * time.Millisecond},
		{name: "busy", job: 1200 * time.Millisecond}, // longer than all reloads take
	}
	var running sync.WaitGroup
	for _, w := range workers {
		w.sub = hub.Subscribe(broadcast.WithName(w.name))
		running.Go(func() { w.run(ctx) })
	}
	last := reload(ctx, hub)
	hub.Close() // the newest stays readable
	running.Wait()
	return report(out, workers, last)
}

// reload publishes version after version and returns the last.
func reload(ctx context.Context, hub *broadcast.Hub[Config]) (last int) {
	for last < reloads && hub.Publish(ctx, Config{last + 1}) == nil { // else ctx has ended
		last++
		pause(ctx, every)
	}
	return last
}

type worker struct {
	name    string
	job     time.Duration
	sub     *broadcast.Subscription[Config]
	version int // in use
	applied []int
}

func (w *worker) run(ctx context.Context) {
	for config := range w.sub.C() {
		w.version = config.Version
		w.applied = append(w.applied, w.version)
		pause(ctx, w.job) // works, and does not look at C meanwhile
	}
}

func report(out io.Writer, workers []*worker, last int) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "worker\ta job takes\tskipped\tapplied")
	for _, w := range workers {
		fmt.Fprintf(t, "%s\t%v\t%d\t%s\n", w.name, w.job, w.sub.Stats().Dropped, strings.Trim(fmt.Sprint(w.applied), "[]"))
		if w.version != last {
			return fmt.Errorf("%s ended with version %d, the last one is %d", w.name, w.version, last)
		}
	}
	return t.Flush()
}

// pause stands for work that takes d.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
