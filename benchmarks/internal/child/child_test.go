package child

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gobroadcast/broadcast/benchmarks/internal/work"
)

func TestMain(m *testing.M) {
	Main() // does not return in a child
	goleak.VerifyTestMain(m)
}

var pace = work.Pace{Round: time.Millisecond, Patience: 10 * time.Second, Rate: 1000, Hold: time.Millisecond}

func job(peer, workload string) work.Job {
	return work.Job{Peer: peer, Cell: work.Cell{Workload: workload, Subscribers: 2, Buffer: 4}, Pace: pace}
}

// endless is a job that goes on for an hour.
func endless() work.Job {
	j := job("loop", "latency")
	j.Pace.Hold = time.Hour
	return j
}

func TestRun(t *testing.T) {
	r, err := Run(t.Context(), job("loop", "throughput"), time.Minute)
	require.NoError(t, err)
	require.Equal(t, work.OK, r.Outcome, r.Detail)
	require.Equal(t, job("loop", "throughput"), r.Job)
	require.Positive(t, r.Values[work.EventNanos])
}

func TestRun_Panic(t *testing.T) {
	j := job("dustin", "misuse")
	j.Misuse = "double-close"
	r, err := Run(t.Context(), j, time.Minute)
	require.NoError(t, err)
	require.Equal(t, work.Result{Job: j, Outcome: work.Panicked, Detail: "close of closed channel"}, r)
}

func TestRun_Limit(t *testing.T) {
	r, err := Run(t.Context(), endless(), 300*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, work.Result{Job: endless(), Outcome: work.Endless, Detail: "ended after 300ms"}, r)
}

func TestRun_Canceled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	because := errors.New("enough")
	time.AfterFunc(100*time.Millisecond, func() { cancel(because) })
	_, err := Run(ctx, endless(), time.Hour)
	require.ErrorIs(t, err, because)
}

// A child whose parent is gone, however it went, ends.
func TestMain_ParentGone(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), env+`={"peer":"loop","workload":"latency","subscribers":1,"buffer":4,"pace":{"patience":10000000000,"rate":10,"hold":3600000000000}}`)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	require.NoError(t, stdin.Close())
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, 3, exit.ExitCode())
}

func TestResult(t *testing.T) {
	j := job("loop", "memory")
	for _, c := range []struct {
		name           string
		err            error
		stdout, stderr string
		want           work.Result
	}{
		{"a peer that prints", nil, "hello\n" + mark + `{"detail":"d"}` + "\nbye\n", "", work.Result{Detail: "d"}},
		{"a line that is torn", nil, mark + "{", "", work.Result{
			Job: j, Outcome: work.Failed, Detail: "cannot read its result: unexpected end of JSON input",
		}},
		{"a panic", errors.New("exit status 2"), "", "log\npanic: send on closed channel\n\ngoroutine 1", work.Result{
			Job: j, Outcome: work.Panicked, Detail: "send on closed channel",
		}},
		{"all asleep", errors.New("exit status 2"), "", "fatal error: all goroutines are asleep - deadlock!\n", work.Result{
			Job: j, Outcome: work.Panicked, Detail: "all goroutines are asleep - deadlock!",
		}},
		{"killed", errors.New("signal: killed"), "", "", work.Result{Job: j, Outcome: work.Failed, Detail: "signal: killed"}},
		{"silent", nil, "", "what\nelse", work.Result{Job: j, Outcome: work.Failed, Detail: "it ended without a result what"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, result(j, c.err, c.stdout, c.stderr))
		})
	}
}
