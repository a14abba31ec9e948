package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

const usage = `Live draws events in the browser, as they happen.

Without -nats or -stdin it needs nothing but itself: it starts a NATS server
inside this process, publishes what this host does (CPU, memory, load, disk,
network, ten times a second), subscribes once to host.> through a bridge, and
fans that out to all browsers through one broadcast.Hub. A button on the page
stops the server and starts it again: everybody sees the gap where it happened.

Usage:

  live [flags]

Flags:

  -listen ADDR   where the page is served (default 127.0.0.1:8080; port 0
                 picks a free one). Without a password, so think before you
                 open it to more than this machine.
  -nats URL      take events from a real NATS server instead of this host.
                 JSON payloads: every number becomes a series.
  -subject S     what to subscribe to there (default ">", everything)
  -stdin         take events from lines of standard input instead: a JSON
                 object with numbers, a bare number, or: name number
  -h             show this

Ctrl-C drains and prints what every subscriber got; a second one ends at once.
`

// config is what the flags say.
type config struct {
	listen  string
	natsURL string
	subject string
	stdin   bool
}

// parseFlags returns flag.ErrHelp after it has printed the help to out; every
// other error is one line that says what to do.
func parseFlags(args []string, out io.Writer) (config, error) {
	var cfg config
	fs := flag.NewFlagSet("live", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors go to stderr once, by run
	fs.StringVar(&cfg.listen, "listen", "127.0.0.1:8080", "")
	fs.StringVar(&cfg.natsURL, "nats", "", "")
	fs.StringVar(&cfg.subject, "subject", "", "")
	fs.BoolVar(&cfg.stdin, "stdin", false, "")
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usage)
		return cfg, err
	case err == nil:
		err = cfg.check(fs.Args())
	}
	if err != nil {
		return cfg, fmt.Errorf("%w. Run with -h to see the flags", err)
	}
	if cfg.subject == "" {
		cfg.subject = ">"
	}
	return cfg, nil
}

func (c config) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case c.stdin && c.natsURL != "":
		return errors.New("-stdin and -nats are two sources of events: choose one")
	case c.subject != "" && c.natsURL == "":
		return errors.New("-subject says what to take from a NATS server: give its address with -nats")
	}
	return nil
}
