package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gobroadcast/broadcast/internal/checks/explore"
	"github.com/gobroadcast/broadcast/internal/checks/scenarios"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

// kill says what found a mutant.
type kill struct {
	By        string // "": nothing did
	How       string // "", or hang or noEnd: nothing failed, but it did not end
	Detail    string
	Schedules int // that the explorer ran of the scenario until then; 0: it was not the explorer
}

// How a mutant may be found without a failure: a run took much longer than without the
// mutant, or a schedule had more steps than any has.
const (
	hang  = "hang"
	noEnd = "no end"
)

// suite is a way to find a mutant.
type suite struct {
	name  string
	run   func(ctx context.Context, q question) (kill, error)
	limit time.Duration // 0: not known yet
}

// question is which mutant is to be looked for, and where.
type question struct {
	mutant
	replace map[string]string // the texts of the sources that it changes, by their names
	named   bool              // only where the mutant says that it is to be looked for first
	limit   time.Duration     // what takes longer hangs
}

func suites(root string) []*suite {
	tests := func(name string, flags ...string) *suite {
		return &suite{name: name, run: func(ctx context.Context, q question) (kill, error) {
			return runTests(ctx, root, q, name, flags...)
		}}
	}
	return []*suite{{name: "explorer", run: runExplorer}, tests("tests"), tests("race", "-race"), tests("model")}
}

// asks tells whether the suite has anything to say to q. Only the race detector has of
// what it alone sees.
func (s *suite) asks(q question) bool {
	switch {
	case (s.name == "race") != q.Race:
		return false
	case !q.named:
		return true
	case s.name == "explorer":
		return q.Scenarios != ""
	}
	return s.name != "model" && q.Tests != ""
}

// control runs the suite without a mutant, once. What it finds then says nothing of
// mutants, so that is an error. How long it took says what a hang is.
func (s *suite) control(ctx context.Context) error {
	if s.limit > 0 {
		return nil
	}
	const longest, least, factor = 30 * time.Minute, time.Minute, 5
	start := time.Now()
	found, err := s.run(ctx, question{mutant: mutant{ID: "control", Race: s.name == "race"}, limit: longest})
	took := time.Since(start)
	switch {
	case err != nil:
		return fmt.Errorf("the control of %s: %w", s.name, err)
	case found.By != "":
		return fmt.Errorf("the control of %s: it finds a bug in the library as it is, so it cannot tell mutants: %s", s.name, found.Detail)
	}
	s.limit = max(least, factor*took)
	fmt.Printf("%-5s %-4s %-14s %10s %5.1fs  without a mutant\n", "-", "-", s.name, "nothing", took.Seconds())
	return nil
}

// runExplorer goes through the scenarios that the mutant names with one preemption and
// with two, or through the others with one.
func runExplorer(ctx context.Context, q question) (kill, error) {
	e, err := explore.New(ctx, q.replace)
	if err != nil {
		return kill{}, err
	}
	defer e.Close()
	pattern, err := regexp.Compile("^(" + q.Scenarios + ")$")
	if err != nil {
		return kill{}, err
	}
	var named, others []string
	for _, s := range scenarios.All {
		if q.Scenarios != "" && pattern.MatchString(s.Name) {
			named = append(named, s.Name)
		} else {
			others = append(others, s.Name)
		}
	}
	switch {
	case q.Scenarios != "" && len(named) == 0:
		return kill{}, fmt.Errorf("no scenario matches %q", q.Scenarios)
	case !q.named:
		return explorePass(ctx, e, others, 1)
	}
	if found, err := explorePass(ctx, e, named, 1); err != nil || found.By != "" {
		return found, err
	}
	return explorePass(ctx, e, named, 2)
}

// explorePass runs scenarios, several at once, until one fails. Of several that fail it
// takes the first in their order, whichever was faster: those before it have begun.
func explorePass(ctx context.Context, e *explore.Explorer, names []string, bound int) (kill, error) {
	var (
		running sync.WaitGroup
		free    = make(chan struct{}, runtime.GOMAXPROCS(0))
		failed  atomic.Bool
		reports = make([]explore.Report, len(names))
	)
	for i, name := range names {
		free <- struct{}{}
		if failed.Load() {
			break
		}
		running.Go(func() {
			defer func() { <-free }()
			r := &reports[i]
			r.Result, r.Err = e.Run(ctx, name, sched.Options{Bound: bound, Budget: 30 * time.Second})
			if r.Failure != nil || r.Err != nil {
				failed.Store(true)
			}
		})
	}
	running.Wait()
	for i, r := range reports {
		switch {
		case r.Err != nil:
			return kill{}, r.Err
		case r.Failure != nil:
			what, _, _ := strings.Cut(r.Failure.What, "\n")
			k := kill{By: "explorer", Detail: names[i] + ": " + what, Schedules: r.Schedules}
			switch {
			case strings.HasPrefix(what, sched.NoEnd):
				k.How = noEnd
			case strings.HasPrefix(what, sched.Hang):
				k.How = hang
			}
			return k, nil
		}
	}
	return kill{}, nil
}

// runTests runs the library's own tests, or those of the model: those that the mutant
// names, or all.
func runTests(ctx context.Context, root string, q question, by string, flags ...string) (kill, error) {
	pkg, pattern := ".", "."
	if by == "model" {
		pkg = "./internal/checks/model"
	}
	if q.named {
		pattern = q.Tests
	}
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return kill{}, err
	}
	defer os.RemoveAll(dir)
	files := map[string]string{}
	for name, text := range q.replace {
		path := filepath.Join(dir, name)
		files[filepath.Join(root, name)] = path
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return kill{}, err
		}
	}
	overlay := filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": files})
	if err != nil {
		return kill{}, err
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		return kill{}, err
	}
	args := append([]string{"test", "-overlay", overlay, "-vet=off", "-count=1", "-failfast", "-timeout", q.limit.String(), "-run", pattern}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOTMPDIR="+dir)
	// A group of its own, so that what it starts ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	switch {
	case err == nil:
		return kill{}, nil
	case ctx.Err() != nil || !errors.As(err, &failed):
		return kill{}, errors.Join(ctx.Err(), err)
	case strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "[setup failed]"):
		return kill{}, fmt.Errorf("it does not compile:\n%s", out)
	}
	k := kill{By: by, Detail: reason(string(out))}
	if strings.Contains(string(out), timedOut) {
		k.How = hang
	}
	return k, nil
}

// timedOut is what the tests say when they have come to their limit.
const timedOut = "panic: test timed out"

// reason is the line of a failed test run that says most.
func reason(out string) string {
	for _, mark := range []string{timedOut, "DATA RACE", "deadlock", "--- FAIL", "panic:"} {
		for line := range strings.SplitSeq(out, "\n") {
			if strings.Contains(line, mark) {
				return strings.TrimSpace(line)
			}
		}
	}
	return "failed"
}
