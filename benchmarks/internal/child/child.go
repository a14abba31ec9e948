// Package child runs a job in a process of its own: the same program again, which finds
// the job in its environment and prints the result.
package child

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/gobroadcast/broadcast/benchmarks/internal/work"
)

const (
	env = "BROADCAST_BENCHMARKS_JOB"
	// mark begins the line of the result: a peer may print lines of its own.
	mark = "broadcast-benchmarks-result "
)

// Main does a child's job and ends the process, if this is a child. Else it returns. It
// must be called before anything else.
func Main() {
	spec, ok := os.LookupEnv(env)
	if !ok {
		return
	}
	signal.Ignore(os.Interrupt) // the parent ends it
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends when the parent does, however that ends
		os.Exit(3)
	}()
	var job work.Job
	if err := json.Unmarshal([]byte(spec), &job); err != nil {
		fmt.Fprintln(os.Stderr, "cannot read the job:", err)
		os.Exit(1)
	}
	line, err := json.Marshal(work.Run(job))
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot write the result:", err)
		os.Exit(1)
	}
	fmt.Printf("\n%s%s\n", mark, line)
	os.Exit(0)
}

// Run does job in a child and waits for it, at most for limit. The error is that of ctx,
// or says why no child could be started; whatever a child does is in the result. When Run
// returns, the child has ended.
func Run(ctx context.Context, job work.Job, limit time.Duration) (work.Result, error) {
	spec, err := json.Marshal(job)
	if err != nil {
		return work.Result{}, err
	}
	program, err := os.Executable()
	if err != nil {
		return work.Result{}, err
	}
	life, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(life, program)
	cmd.Env = append(os.Environ(), env+"="+string(spec))
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return work.Result{}, err
	}
	defer stdin.Close()
	if err := cmd.Start(); err != nil {
		return work.Result{}, err
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return work.Result{}, context.Cause(ctx)
	}
	if life.Err() != nil {
		return work.Result{Job: job, Outcome: work.Endless, Detail: fmt.Sprintf("ended after %v", limit)}, nil
	}
	return result(job, err, stdout.String(), stderr.String()), nil
}

// result is what a child that has ended says.
func result(job work.Job, err error, stdout, stderr string) work.Result {
	lines := strings.Split(stdout, "\n")
	slices.Reverse(lines)
	for _, line := range lines {
		spec, ok := strings.CutPrefix(line, mark)
		if !ok {
			continue
		}
		var r work.Result
		if err := json.Unmarshal([]byte(spec), &r); err != nil {
			return work.Result{Job: job, Outcome: work.Failed, Detail: "cannot read its result: " + err.Error()}
		}
		return r
	}
	for line := range strings.Lines(stderr) {
		for _, kind := range []string{"panic: ", "fatal error: "} {
			if what, ok := strings.CutPrefix(line, kind); ok {
				return work.Result{Job: job, Outcome: work.Panicked, Detail: strings.TrimSpace(what)}
			}
		}
	}
	if err == nil {
		err = errors.New("it ended without a result")
	}
	return work.Result{Job: job, Outcome: work.Failed, Detail: strings.TrimSpace(err.Error() + " " + firstLine(stderr))}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
