// Ticker shows prices on screens of different speed. The exchange waits for
// none of them: a hub that keeps the latest value per symbol gives each screen,
// when it looks again, the newest price of every symbol that has changed.
//
//	go run ./examples/ticker
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/gobroadcast/broadcast"
)

const (
	ticks = 200
	every = 5 * time.Millisecond
)

// The first symbol trades at every tick, the second at every other, and so on.
var symbols = []string{"ACME", "BOLT", "CORN", "DUNE"}

func main() {
	flag.Parse() // for -h, and to refuse what it does not know
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ticker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	fmt.Fprintf(out, "%d ticks, one each %v, for screens that draw at their own speed\n\n", ticks, every)
	hub := broadcast.NewCoalescing[string, int]()
	var screens []*screen
	var running sync.WaitGroup
	show := func(name string, refresh time.Duration) {
		s := &screen{name: name, refresh: refresh, shown: map[string]int{}, sub: hub.Subscribe(broadcast.WithName(name))}
		screens = append(screens, s)
		running.Go(func() { s.run(ctx) })
	}
	show("desk", time.Millisecond)
	show("wall", 60*time.Millisecond)
	trade(ctx, hub, 0, ticks/2)
	show("late", 250*time.Millisecond) // begins with all that there is
	trade(ctx, hub, ticks/2, ticks)
	hub.Close() // what a screen has not shown yet it still gets
	running.Wait()
	return report(out, hub, screens)
}

// trade publishes what changes at the ticks from first up to last.
func trade(ctx context.Context, hub *broadcast.CoalescingHub[string, int], first, last int) {
	for tick := first; tick < last && ctx.Err() == nil; tick++ {
		for i, symbol := range symbols {
			if tick%(i+1) == 0 {
				_ = hub.Publish(symbol, 100*(i+1)+tick%17) // fails only once the hub is closed
			}
		}
		pause(ctx, every)
	}
}

type screen struct {
	name    string
	refresh time.Duration
	sub     *broadcast.CoalescingSubscription[string, int]
	shown   map[string]int
	draws   int
}

// run draws what has changed, and does not look while it draws.
func (s *screen) run(ctx context.Context) {
	changed := make([]broadcast.Update[string, int], len(symbols))
	for {
		n, err := s.sub.ReadBatch(context.Background(), changed)
		if err != nil {
			return
		}
		for _, u := range changed[:n] {
			s.shown[u.Key] = u.Value
		}
		s.draws++
		pause(ctx, s.refresh)
	}
}

func report(out io.Writer, hub *broadcast.CoalescingHub[string, int], screens []*screen) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "screen\ta draw takes\tdraws\toffered\tshown\treplaced before\tends with")
	for _, s := range screens {
		st := s.sub.Stats()
		fmt.Fprintf(t, "%s\t%v\t%d\t%d\t%d\t%d\t", s.name, s.refresh, s.draws, st.Offered, st.Received, st.Coalesced)
		for _, symbol := range symbols {
			newest, _ := hub.Get(symbol)
			if s.shown[symbol] != newest {
				return fmt.Errorf("%s shows %s at %d, the newest is %d", s.name, symbol, s.shown[symbol], newest)
			}
			fmt.Fprintf(t, "%s %d ", symbol, newest)
		}
		fmt.Fprintln(t)
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
