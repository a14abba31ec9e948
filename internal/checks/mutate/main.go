// Mutants puts bugs into copies of the library's sources, one at a time, and tells
// what finds each: the schedule explorer, the tests, the race detector or the model.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const help = `Mutants puts bugs into copies of the library's sources, one at a time, and tells
what finds each. Run it from the root of the repository:

    go run ./internal/checks/mutate                 all of them
    go run ./internal/checks/mutate -only m4,t2     these
    go run ./internal/checks/mutate -suite tests    with one suite: explorer, tests, race or model
    go run ./internal/checks/mutate -changed main~1 those in files that differ from that revision
    go run ./internal/checks/mutate -list           which there are

First each suite runs what a mutant names, then all that it has. Before a suite is asked for the first time it runs without a mutant: it must find nothing
then. A mutant that is found only because a run takes five times as long as that one, or
because a schedule has no end, is marked so.

It exits with 1 if one is not found, or does not apply to the sources any more.

`

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run() error {
	only := flag.String("only", "", "these, by their names, with commas")
	which := flag.String("suite", "", "use one suite only")
	changed := flag.String("changed", "", "only mutants of files that differ from this git revision")
	list := flag.Bool("list", false, "list them")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), help)
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unknown argument %q: pass -only to choose, -h for help", flag.Arg(0))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	root, err := output(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/gobroadcast/broadcast")
	if err != nil {
		return err
	}
	chosen, err := choose(ctx, root, *only, *changed)
	if err != nil {
		return err
	}
	if *list {
		for _, m := range chosen {
			fmt.Printf("%-5s law %s  %s\n", m.ID, m.Law, m.What)
		}
		return nil
	}
	use := suites(root)
	if *which != "" {
		use = slices.DeleteFunc(use, func(s *suite) bool { return s.name != *which })
		if len(use) == 0 {
			return fmt.Errorf("there is no suite %q: pass explorer, tests, race or model", *which)
		}
	}
	return hunt(ctx, root, chosen, use)
}

func choose(ctx context.Context, root, only, changed string) ([]mutant, error) {
	chosen := mutants
	if only != "" {
		chosen = nil
		for id := range strings.SplitSeq(only, ",") {
			i := slices.IndexFunc(mutants, func(m mutant) bool { return m.ID == id })
			if i < 0 {
				return nil, fmt.Errorf("there is no mutant %q: see -list", id)
			}
			chosen = append(chosen, mutants[i])
		}
	}
	if changed == "" {
		return chosen, nil
	}
	files, err := output(ctx, "git", "-C", root, "diff", "--name-only", changed, "--")
	if err != nil {
		return nil, err
	}
	differ := strings.Fields(files)
	return slices.DeleteFunc(slices.Clone(chosen), func(m mutant) bool {
		return !slices.ContainsFunc(m.Edits, func(e edit) bool { return slices.Contains(differ, e.File) })
	}), nil
}

// hunt runs the suites over the mutants and prints the table.
func hunt(ctx context.Context, root string, chosen []mutant, use []*suite) error {
	fmt.Printf("%-5s %-4s %-14s %10s %6s  %s\n", "", "law", "found by", "schedules", "time", "")
	var survived, broken []string
	endless := 0
	begin := time.Now()
	for _, m := range chosen {
		start := time.Now()
		found, err := find(ctx, root, m, use)
		var invalid controlError
		took := time.Since(start).Seconds()
		switch {
		case ctx.Err() != nil:
			return errors.New("stopped")
		case errors.As(err, &invalid):
			return err
		case err != nil:
			broken = append(broken, m.ID)
			fmt.Printf("%-5s %-4s ERROR %v\n", m.ID, m.Law, err)
		case found.By == "":
			survived = append(survived, m.ID)
			fmt.Printf("%-5s %-4s %-14s %10s %5.1fs  %s\n", m.ID, m.Law, "NOBODY", "-", took, m.What)
		default:
			schedules := "-"
			if found.Schedules > 0 {
				schedules = fmt.Sprint(found.Schedules)
			}
			by := found.By
			if found.How != "" {
				by += ", " + found.How
				endless++
			}
			fmt.Printf("%-5s %-4s %-14s %10s %5.1fs  %s: %s\n", m.ID, m.Law, by, schedules, took, m.What, shortened(found.Detail))
		}
	}
	fmt.Printf("%d mutants, %d found, %d of them because something did not end, %d survived, %d in error; %.0f s\n",
		len(chosen), len(chosen)-len(survived)-len(broken), endless, len(survived), len(broken), time.Since(begin).Seconds())
	if len(survived)+len(broken) > 0 {
		return fmt.Errorf("not found: %v; in error: %v", survived, broken)
	}
	return nil
}

func shortened(s string) string {
	const most = 110
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// find runs the suites until one finds m: first what m names of each, then all of each.
func find(ctx context.Context, root string, m mutant, use []*suite) (kill, error) {
	replace, err := apply(root, m)
	if err != nil {
		return kill{}, err
	}
	for _, named := range []bool{true, false} {
		for _, s := range use {
			q := question{m, replace, named, 0}
			if !s.asks(q) {
				continue
			}
			if err := s.control(ctx); err != nil {
				return kill{}, controlError{err}
			}
			q.limit = s.limit
			found, err := s.run(ctx, q)
			if err != nil || found.By != "" {
				return found, err
			}
		}
	}
	return kill{}, nil
}

// controlError is why a suite cannot tell mutants from the library.
type controlError struct{ error }

func (e controlError) Unwrap() error { return e.error }

// apply makes the texts of the sources that m changes.
func apply(root string, m mutant) (map[string]string, error) {
	replace := map[string]string{}
	for _, e := range m.Edits {
		text, done := replace[e.File]
		if !done {
			source, err := os.ReadFile(filepath.Join(root, e.File))
			if err != nil {
				return nil, err
			}
			text = string(source)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return nil, fmt.Errorf("%s has %d places like this, want 1: change the mutant with the sources\n%s", e.File, n, e.Old)
		}
		replace[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	return replace, nil
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	var problems bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, problems.String())
	}
	return strings.TrimSpace(string(out)), nil
}
