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
	"syscall"
	"time"

	"github.com/gobroadcast/broadcast/internal/checks/explore"
	"github.com/gobroadcast/broadcast/internal/checks/scenarios"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

// kill says what found a mutant.
type kill struct {
	By        string // "": nothing did
	Detail    string
	Schedules int // that the explorer ran until then; 0: it was not the explorer
}

// suite is a way to find a mutant. replace has the texts of the sources that it
// changes, by their names.
type suite struct {
	name string
	run  func(ctx context.Context, m mutant, replace map[string]string) (kill, error)
}

func suites(root string) []suite {
	return []suite{
		{"explorer", runExplorer},
		{"tests", func(ctx context.Context, m mutant, replace map[string]string) (kill, error) {
			return runTests(ctx, root, m, replace, "tests")
		}},
		{"race", func(ctx context.Context, m mutant, replace map[string]string) (kill, error) {
			return runTests(ctx, root, m, replace, "race", "-race")
		}},
		{"model", func(ctx context.Context, m mutant, replace map[string]string) (kill, error) {
			return runTests(ctx, root, m, replace, "model")
		}},
	}
}

// runExplorer goes through the scenarios that the mutant names, then all, with one
// preemption, then with two those that it names.
func runExplorer(ctx context.Context, m mutant, replace map[string]string) (kill, error) {
	if m.Race {
		return kill{}, nil // it explores as if memory were sequentially consistent
	}
	e, err := explore.New(ctx, replace)
	if err != nil {
		return kill{}, err
	}
	defer e.Close()
	pattern, err := regexp.Compile("^(" + m.Scenarios + ")$")
	if err != nil {
		return kill{}, err
	}
	var named, others []string
	for _, s := range scenarios.All {
		if m.Scenarios != "" && pattern.MatchString(s.Name) {
			named = append(named, s.Name)
		} else {
			others = append(others, s.Name)
		}
	}
	if m.Scenarios != "" && len(named) == 0 {
		return kill{}, fmt.Errorf("no scenario matches %q", m.Scenarios)
	}
	var found kill
	try := func(names []string, bound int) bool {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		o := sched.Options{Bound: bound, Budget: 30 * time.Second}
		e.All(ctx, names, o, runtime.GOMAXPROCS(0), func(r explore.Report) {
			if found.By != "" {
				return
			}
			found.Schedules += r.Schedules
			if r.Failure != nil {
				what, _, _ := strings.Cut(r.Failure.What, "\n")
				found.By, found.Detail = "explorer", r.Scenario+": "+what
				cancel()
			} else if r.Err != nil && ctx.Err() == nil {
				err = r.Err
			}
		})
		return found.By != "" || err != nil
	}
	if !try(named, 1) && !try(others, 1) {
		try(named, 2)
	}
	if found.By != "" {
		return found, nil
	}
	return kill{}, err
}

// runTests runs the library's own tests, or those of the model: first those that
// the mutant names, then all.
func runTests(ctx context.Context, root string, m mutant, replace map[string]string, by string, flags ...string) (kill, error) {
	if (by == "race") != m.Race {
		return kill{}, nil
	}
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return kill{}, err
	}
	defer os.RemoveAll(dir)
	files := map[string]string{}
	for name, text := range replace {
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
	pkg := "."
	patterns := []string{m.Tests, "."}
	if by == "model" {
		pkg, patterns = "./internal/checks/model", []string{"."}
	}
	for _, pattern := range patterns {
		if pattern == "" {
			continue
		}
		args := append([]string{"test", "-overlay", overlay, "-vet=off", "-failfast", "-timeout", "60s", "-run", pattern}, flags...)
		cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
		cmd.Dir = root
		// A group of its own, so that what it starts ends with it.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		out, err := cmd.CombinedOutput()
		var failed *exec.ExitError
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil || !errors.As(err, &failed):
			return kill{}, errors.Join(ctx.Err(), err)
		case strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "[setup failed]"):
			return kill{}, fmt.Errorf("it does not compile:\n%s", out)
		}
		return kill{By: by, Detail: reason(string(out))}, nil
	}
	return kill{}, nil
}

// reason is the line of a failed test run that says most.
func reason(out string) string {
	for _, mark := range []string{"test timed out", "DATA RACE", "deadlock", "--- FAIL", "panic:"} {
		for line := range strings.SplitSeq(out, "\n") {
			if strings.Contains(line, mark) {
				if mark == "test timed out" {
					return "hang: " + strings.TrimSpace(line)
				}
				return strings.TrimSpace(line)
			}
		}
	}
	return "failed"
}
