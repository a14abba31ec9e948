package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
	"github.com/gobroadcast/broadcast/benchmarks/internal/work"
)

// options are what was asked for.
type options struct {
	quick     bool
	list      bool
	out       string
	only      string // as given, for the report
	peers     []peer.Peer
	workloads []string
}

const usage = `Usage: go run ./benchmarks [flags]

Measures this library beside what engineers use today, each in a process of its own, and
writes a report with tables and plots. It takes under 10 minutes, with -quick under 1.
Ctrl-C ends it; a report that is there already is replaced only by a complete one.

Flags:
`

const examples = `
Examples:
  go run ./benchmarks                                    everything, into %[1]s
  go run ./benchmarks -quick -o quick.md                 a first look
  go run ./benchmarks -only '^(nats|broadcast-.*)$'      these and the hand-written loop
  go run ./benchmarks -workload latency,stuck            these workloads, all competitors
  go run ./benchmarks -list                              what there is
`

// parse reads the flags. The error of a wrong one says what is right.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var workloads string
	fs := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // an error is told once, by the caller
	fs.BoolVar(&o.quick, "quick", false, "a rough run of under a minute: fewer subscribers, short rounds, one run of each")
	fs.StringVar(&o.only, "only", "", "a `regexp` of competitors, as -list names them; the hand-written loop always runs, as the yardstick")
	fs.StringVar(&workloads, "workload", "", "workload `names`, separated by commas")
	fs.StringVar(&o.out, "o", defaultOut(), "the report's `file`; its plots are put beside it")
	fs.BoolVar(&o.list, "list", false, "list competitors and workloads, and do nothing else")
	fs.Usage = func() {} // a wrong flag is not answered with all that is right
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stderr, usage)
			fs.SetOutput(stderr)
			fs.PrintDefaults()
			fmt.Fprintf(stderr, examples, defaultOut())
			return o, err
		}
		return o, fmt.Errorf("%w; -help lists all flags", err)
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("%q is not a flag; -help lists all flags", fs.Arg(0))
	}
	var err error
	if o.peers, err = selectPeers(o.only); err != nil {
		return o, err
	}
	o.workloads, err = selectWorkloads(workloads)
	return o, err
}

// defaultOut is in the folder of this program, whether it is run from there or from the
// root of the repository.
func defaultOut() string {
	const name = "report.md"
	if info, err := os.Stat("benchmarks"); err == nil && info.IsDir() {
		return filepath.Join("benchmarks", name)
	}
	return name
}

func selectPeers(only string) ([]peer.Peer, error) {
	expr, err := regexp.Compile(only)
	if err != nil {
		return nil, fmt.Errorf("-only %q is not a regular expression: %w", only, err)
	}
	var selected []peer.Peer
	var names []string
	matched := false
	for _, p := range peer.All() {
		names = append(names, p.Name)
		match := expr.MatchString(p.Name)
		matched = matched || match
		if match || p.Name == peer.Baseline {
			selected = append(selected, p)
		}
	}
	if !matched {
		return nil, fmt.Errorf("-only %q is no competitor; there are %s", only, strings.Join(names, ", "))
	}
	return selected, nil
}

func selectWorkloads(list string) ([]string, error) {
	names, _ := work.Names()
	if list == "" {
		return names, nil
	}
	var selected []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("-workload %q is no workload; there are %s", name, strings.Join(names, ", "))
		}
		selected = append(selected, name)
	}
	// In the order of the report, each once.
	return slices.DeleteFunc(names, func(n string) bool { return !slices.Contains(selected, n) }), nil
}
