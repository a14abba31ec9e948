// Live draws the events of this host, or of a NATS subject, in every browser
// that looks: one NATS subscription, of a bridge, feeds one broadcast.Hub, and the
// hub feeds all browsers over Server-Sent Events. What is lost on the way is a gap
// in the stream, and in the charts.
//
//	go run ./examples/live
//	go run ./examples/live -nats nats://127.0.0.1:4222 -subject 'orders.>'
//	seq 1 100 | go run ./examples/live -stdin
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// With the first signal the drain begins; from then on signals have their
	// usual effect again, so that a second Ctrl-C ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program but for the signals: it returns the exit code when
// ctx has ended and everything has drained.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cfg, err := parseFlags(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = serve(ctx, cfg, stdin, newConsole(stdout, stderr))
	}
	if err != nil {
		fmt.Fprintln(stderr, "live:", err)
		return 1
	}
	return 0
}

// serve starts the app and stops it again when ctx ends or the server fails.
func serve(ctx context.Context, cfg config, stdin io.Reader, con *console) error {
	a, err := start(cfg, stdin, con)
	if err != nil {
		return err
	}
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-a.web.failed:
	}
	return errors.Join(failed, a.stop())
}
