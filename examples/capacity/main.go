// Capacity answers what a fan-out costs on this machine: how long a publish takes, how
// many events a second there can be, how much memory each kind of subscriber needs, what
// the same would be on a network, and which kind it would choose.
//
//	go run ./examples/capacity -subscribers 10000 -buffer 64 -event 256 -rate 1000
//
// docs/capacity.md explains the formulas.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

// load is what is to be planned for.
type load struct {
	subscribers int
	buffer      int // events that a subscriber may be behind
	event       int // its size in bytes
	rate        int // events a second
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil && ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "capacity: interrupted")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "capacity:", err)
		os.Exit(1)
	}
}

// run measures and prints the plan to out. Progress goes to progress.
func run(ctx context.Context, args []string, out, progress io.Writer) error {
	l, err := parse(args, progress)
	if err != nil {
		return err
	}
	const round = 300 * time.Millisecond
	m, err := measureAll(ctx, l, round, func(text string) { fmt.Fprintln(progress, text) })
	if err != nil {
		return err
	}
	return m.print(out)
}

// largest is the largest event that is measured as a value: a channel's element has at
// most 64 KiB. A larger one is to be published as a pointer.
const largest = 32 << 10

// The bounds of what can be asked. They keep sums of bytes far away from overflow.
const (
	mostSubscribers = 100_000_000
	mostBuffer      = 1 << 24
	mostEvent       = 1 << 30
	mostRate        = 1_000_000_000
)

const usage = `Usage: go run ./examples/capacity [flags]

Measures for some seconds what a fan-out costs on this machine, and prints a plan:
the cost of a publish, the highest rate, the memory of each kind of subscriber, the
bandwidth of the same on a network, and which kind to choose.

  go run ./examples/capacity -subscribers 10000 -buffer 64 -event 256 -rate 1000

Flags:
`

func parse(args []string, stderr io.Writer) (load, error) {
	var l load
	fs := flag.NewFlagSet("capacity", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // an error is told once, by main
	fs.IntVar(&l.subscribers, "subscribers", 10_000, "`how many` subscribers one process has")
	fs.IntVar(&l.buffer, "buffer", 64, "`how many` events a subscriber may be behind: its buffer, or the ring")
	fs.IntVar(&l.event, "event", 256, "the size of an event in `bytes`")
	fs.IntVar(&l.rate, "rate", 1000, "`how many` events a second")
	fs.Usage = func() {} // a wrong flag is not answered with all that is right
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stderr, usage)
			fs.SetOutput(stderr)
			fs.PrintDefaults()
			return l, err
		}
		return l, fmt.Errorf("%w; -help lists all flags", err)
	}
	if fs.NArg() > 0 {
		return l, fmt.Errorf("%q is not a flag; -help lists all flags", fs.Arg(0))
	}
	for _, c := range []struct {
		name      string
		value, to int
	}{
		{"subscribers", l.subscribers, mostSubscribers},
		{"buffer", l.buffer, mostBuffer},
		{"event", l.event, mostEvent},
		{"rate", l.rate, mostRate},
	} {
		if c.value < 1 || c.value > c.to {
			return l, fmt.Errorf("-%s is %d: pass a number from 1 to %d", c.name, c.value, c.to)
		}
	}
	return l, nil
}
