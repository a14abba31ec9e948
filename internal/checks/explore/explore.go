// Package explore builds the scenarios with instrumented sources of the library
// and runs their schedules.
package explore

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gobroadcast/broadcast/internal/checks/instrument"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

const (
	library = "github.com/gobroadcast/broadcast"
	checks  = library + "/internal/checks"
)

// Explorer runs schedules of the scenarios.
type Explorer struct {
	Progress io.Writer // where long scenarios tell how far they are; nil: nowhere

	dir string // it is ours
	bin string
}

// New builds the scenarios. replace has other texts for sources of the library,
// by the files' names; nil: none.
func New(ctx context.Context, replace map[string]string) (*Explorer, error) {
	root, err := moduleDir(ctx, library)
	if err != nil {
		return nil, err
	}
	here, err := moduleDir(ctx, checks)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "explore-")
	if err != nil {
		return nil, err
	}
	e := &Explorer{dir: dir, bin: filepath.Join(dir, "scenarios.test")}
	overlay, err := instrument.Package{
		Dir:     root,
		Replace: replace,
		// They only add up what they are told, for Prometheus.
		Leave: []string{"metrics.go", "meters.go"},
		// A ring uses its chunks again.
		Shared: []string{"slots"},
		Consts: map[string]string{
			"maxSelect":      "2", // so that a publisher that waits for three needs a helper
			"maxYields":      "1", // a publisher that yields more often before it parks takes the same ways
			"chunkLen":       "2", // so that few events reach the edges of chunks
			"lotShards":      "2",
			"lotCrowd":       "2",
			"lotBlock":       "1",
			"registryShards": "2",
			"sweepSome":      "1",
			"spareSlots":     "0", // so that few changes make a coalescing hub compact
			"maxOwn":         "1",
		},
	}.Overlay(dir)
	if err == nil {
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", overlay, "-o", e.bin, "./scenarios")
		cmd.Dir = here
		// Stopped, it leaves its folders behind, here where they are removed.
		cmd.Env = append(os.Environ(), "GOTMPDIR="+dir)
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.WaitDelay = 10 * time.Second
		var out []byte
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("go test -c: %w\n%s", err, out)
		}
	}
	if err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// Close removes what New has built.
func (e *Explorer) Close() { os.RemoveAll(e.dir) }

// Run runs schedules of one scenario. A failure of the library is in the result;
// an error is one of the explorer.
func (e *Explorer) Run(ctx context.Context, scenario string, o sched.Options) (sched.Result, error) {
	var res sched.Result
	file, err := os.CreateTemp(e.dir, "result-")
	if err != nil {
		return res, err
	}
	defer os.Remove(file.Name())
	file.Close()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, e.bin, "-test.run=^TestSchedules$", "-test.timeout=0",
		"-result="+file.Name(), "-scenario="+scenario,
		"-bound="+strconv.Itoa(o.Bound), "-random="+strconv.Itoa(o.Random), "-depth="+strconv.Itoa(o.Depth),
		"-seed="+strconv.FormatUint(o.Seed, 10), "-schedule="+o.Schedule,
		"-most="+strconv.Itoa(o.Most), "-budget="+o.Budget.String())
	cmd.Stdout = &out
	cmd.Stderr = &out
	if e.Progress != nil {
		cmd.Stderr = io.MultiWriter(&out, e.Progress)
	}
	failed := cmd.Run()
	text, err := os.ReadFile(file.Name())
	if err != nil {
		return res, err
	}
	if err := json.Unmarshal(text, &res); err != nil {
		return res, fmt.Errorf("scenario %s ended without a result: %w\n%s", scenario, failed, tail(out.String()))
	}
	switch {
	case res.Lost != "":
		return res, fmt.Errorf("scenario %s: %s", scenario, res.Lost)
	case res.Failure == nil && failed != nil:
		return res, fmt.Errorf("scenario %s: %w\n%s", scenario, failed, tail(out.String()))
	}
	return res, nil
}

// Story is how a failing schedule of scenario went, for people.
func (e *Explorer) Story(ctx context.Context, scenario, schedule string) (string, error) {
	res, err := e.Run(ctx, scenario, sched.Options{Schedule: schedule})
	if err != nil {
		return "", err
	}
	if res.Failure == nil {
		return "", fmt.Errorf("scenario %s: schedule %s does not fail again", scenario, schedule)
	}
	return res.Trace, nil
}

// Replay is the command that repeats a schedule.
func Replay(scenario, schedule string) string {
	return fmt.Sprintf("go run ./internal/checks/cmd/explore -scenario %s -schedule %s", scenario, schedule)
}

func tail(s string) string {
	const most = 4000
	if len(s) > most {
		s = "..." + s[len(s)-most:]
	}
	return s
}

func moduleDir(ctx context.Context, module string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("where is %s? run this from within the repository: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
