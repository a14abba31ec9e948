// Benchmarks measures the library beside what engineers use today to fan events out in
// one process, under the same loads, with every delivery verified, and writes a report.
//
//	go run ./benchmarks          everything, under 10 minutes
//	go run ./benchmarks -quick   a first look, under a minute
//	go run ./benchmarks -help    the flags, with examples
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"text/tabwriter"
	"time"

	"github.com/gobroadcast/broadcast/benchmarks/internal/child"
	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
	"github.com/gobroadcast/broadcast/benchmarks/internal/report"
	"github.com/gobroadcast/broadcast/benchmarks/internal/work"
)

func main() {
	child.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintln(stderr, "benchmarks:", err)
		return exitUsage
	case o.list:
		list(stdout)
		return exitOK
	}
	err = measure(ctx, o, stdout, stderr)
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintf(stderr, "benchmarks: interrupted: nothing was written, %s is as it was\n", o.out)
		return exitInterrupted
	case err != nil:
		fmt.Fprintln(stderr, "benchmarks:", err)
		return exitFailed
	}
	return exitOK
}

func measure(ctx context.Context, o options, stdout, stderr io.Writer) error {
	// Before anything is measured, not after ten minutes.
	if err := report.Writable(o.out); err != nil {
		return err
	}
	s := full()
	if o.quick {
		s = quick()
	}
	steps := s.plan(o.peers, o.workloads)
	show := newProgress(stderr, isTerminal(stderr), s, steps)
	began := time.Now()
	results, left, err := conduct(ctx, s, steps, show)
	show.end()
	if err != nil {
		return err
	}
	data := report.Data{
		Started:   began,
		Took:      time.Since(began),
		Quick:     o.quick,
		Only:      o.only,
		Workloads: o.workloads,
		Peers:     names(o.peers),
		Left:      left,
		Steps:     len(steps),
		Machine:   report.ThisMachine(),
		Versions:  report.Versions(),
		Results:   results,
	}
	files, err := report.Write(o.out, data)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d measurements in %v: %s and %d plots beside it\n",
		len(results), data.Took.Round(time.Second), o.out, len(files)-1)
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func list(out io.Writer) {
	versions := report.Versions()
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "competitor\tversion\twhat it is, and how it is used")
	for _, p := range peer.All() {
		version := versions[p.Module]
		if p.Module == "" {
			version = "here"
		}
		fmt.Fprintf(t, "%s\t%s\t%s: %s\n", p.Name, version, p.Title, p.How)
	}
	fmt.Fprintln(t, "\nworkload\t\t")
	names, what := work.Names()
	for i := range names {
		fmt.Fprintf(t, "%s\t\t%s\n", names[i], what[i])
	}
	_ = t.Flush()
}
