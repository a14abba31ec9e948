package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gobroadcast/broadcast/benchmarks/internal/child"
	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
	"github.com/gobroadcast/broadcast/benchmarks/internal/work"
)

func TestMain(m *testing.M) {
	child.Main() // the tests' children are this program
	goleak.VerifyTestMain(m)
}

func TestParse(t *testing.T) {
	o, err := parse(nil, nil)
	require.NoError(t, err)
	require.False(t, o.quick)
	require.Equal(t, "report.md", o.out, "in the folder of the program")
	require.Len(t, o.peers, len(peer.All()))
	all, _ := work.Names()
	require.Equal(t, all, o.workloads)

	o, err = parse([]string{"-quick", "-only", "^broadcast-", "-workload", "latency, stuck,latency", "-o", "x.md"}, nil)
	require.NoError(t, err)
	require.True(t, o.quick)
	require.Equal(t, "x.md", o.out)
	require.Equal(t, []string{"loop", "broadcast-channel", "broadcast-next", "broadcast-batch", "broadcast-state"}, names(o.peers))
	require.Equal(t, []string{"stuck", "latency"}, o.workloads, "in their order, each once")
}

func TestParse_DefaultOutAtTheRoot(t *testing.T) {
	t.Chdir("..")
	require.Equal(t, filepath.Join("benchmarks", "report.md"), defaultOut())
}

// A wrong call says what is right, and touches nothing.
func TestRun_Wrong(t *testing.T) {
	out := filepath.Join(t.TempDir(), "report.md")
	require.NoError(t, os.WriteFile(out, []byte("old"), 0o600))
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"-fast"}, exitUsage, "flag provided but not defined: -fast; -help lists all flags"},
		{[]string{"fast"}, exitUsage, `"fast" is not a flag; -help lists all flags`},
		{[]string{"-only", "kafka"}, exitUsage, `-only "kafka" is no competitor; there are loop, list, cond, ethereum`},
		{[]string{"-only", "("}, exitUsage, `-only "(" is not a regular expression`},
		{[]string{"-workload", "speed"}, exitUsage, `-workload "speed" is no workload; there are throughput, counted, parked`},
		{[]string{"-o", filepath.Join(out, "no")}, exitFailed, "cannot write the report"},
		{[]string{"-o", filepath.Dir(out)}, exitFailed, "is no file: pass another with -o"},
		{[]string{"-o", filepath.Join(filepath.Dir(out), "no", "r.md")}, exitFailed, "there is no folder"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			require.Equal(t, c.code, run(t.Context(), append([]string{"-o", out}, c.args...), &stdout, &stderr))
			require.Contains(t, stderr.String(), c.says)
			require.Empty(t, stdout.String())
		})
	}
	content, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, "old", string(content))
}

func TestRun_Help(t *testing.T) {
	var stderr bytes.Buffer
	require.Equal(t, exitOK, run(t.Context(), []string{"-help"}, nil, &stderr))
	for _, flag := range []string{"-quick", "-only regexp", "-workload names", "-o file", "-list", "Examples:"} {
		require.Contains(t, stderr.String(), flag)
	}
}

func TestRun_List(t *testing.T) {
	var stdout bytes.Buffer
	require.Equal(t, exitOK, run(t.Context(), []string{"-list"}, &stdout, nil))
	for _, p := range peer.All() {
		require.Contains(t, stdout.String(), "\n"+p.Name+" ")
	}
	workloads, _ := work.Names()
	for _, w := range workloads {
		require.Contains(t, stdout.String(), "\n"+w+" ")
	}
}

// A run from end to end, with real children.
func TestRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "r.md")
	var stdout, stderr bytes.Buffer
	args := []string{"-quick", "-only", "broadcast-next", "-workload", "memory,misuse", "-o", out}
	require.Equal(t, exitOK, run(t.Context(), args, &stdout, &stderr), stderr.String())
	require.Contains(t, stdout.String(), "10 measurements in")
	require.Contains(t, stderr.String(), "1 of 6")
	content, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Contains(t, string(content), "## Memory of an idle subscriber")
	require.Contains(t, string(content), "| broadcast-next | ok: Publish returns an error | ok | ok | ok: Publish returns an error |")
}

// Ctrl-C in the middle: what was there stays, nothing else is left, the children end.
func TestRun_Interrupted(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "r.md")
	require.NoError(t, os.WriteFile(out, []byte("old"), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stderr := &onWrite{then: cancel} // at the first line of progress
	require.Equal(t, exitInterrupted, run(ctx, []string{"-o", out}, nil, stderr))
	require.Contains(t, stderr.String(), "interrupted: nothing was written, "+out+" is as it was")
	content, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, "old", string(content))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

type onWrite struct {
	bytes.Buffer
	then func()
}

func (w *onWrite) Write(b []byte) (int, error) {
	w.then()
	return w.Buffer.Write(b)
}

func TestPlan(t *testing.T) {
	all, _ := work.Names()
	for name, s := range map[string]scale{"full": full(), "quick": quick()} {
		t.Run(name, func(t *testing.T) {
			steps := s.plan(peer.All(), all)
			type key struct {
				peer string
				cell work.Cell
				run  int
			}
			seen := map[key]bool{}
			workloads := map[string]bool{}
			for _, st := range steps {
				for _, j := range st.jobs {
					k := key{j.Peer, j.Cell, st.run}
					require.False(t, seen[k], "%v twice", k)
					seen[k] = true
					workloads[j.Workload] = true
					require.Equal(t, j.Workload == "misuse", len(st.jobs) > 1, "what measures time runs alone")
				}
			}
			require.Len(t, workloads, len(all))
			want := 0
			for _, c := range s.cells(all) {
				runs := s.runs
				if c.Workload == "misuse" {
					runs = 1
				}
				switch c.Workload {
				case "counted":
					want += runs * len([]string{"loop", "cond", "libp2p", "broadcast-channel", "broadcast-next", "broadcast-batch"})
				case "parked", "memory", "latency":
					want += runs * len(peer.All())
				default:
					want += runs * (len(peer.All()) - 1) // the coalescing hub does not queue
				}
			}
			require.Len(t, seen, want)
			require.Equal(t, steps, s.plan(peer.All(), all), "the same each time")
		})
	}
}

// What does not end by itself in the first run is not tried again, and when the time is
// spent nothing more is begun.
func TestConduct(t *testing.T) {
	s := quick()
	s.runs, s.limit = 2, 200*time.Millisecond
	s.pace.Hold = time.Hour
	steps := s.plan(peer.All()[:1], []string{"latency"})
	show := newProgress(&bytes.Buffer{}, false, s, steps)
	results, left, err := conduct(t.Context(), s, steps, show)
	require.NoError(t, err)
	require.Zero(t, left)
	require.Len(t, results, 1, "of 2 steps")
	require.Equal(t, work.Endless, results[0].Outcome)

	s.budget = 0
	results, left, err = conduct(t.Context(), s, steps, show)
	require.NoError(t, err)
	require.Empty(t, results)
	require.Equal(t, 2, left)
}

// The loads are those that the text of the report speaks of.
func TestPlan_Full(t *testing.T) {
	s := full()
	require.Equal(t, []int{1, 10, 100, 1000, 10_000}, s.subscribers)
	require.Equal(t, []int{64, 1024}, s.buffers)
	require.Less(t, s.budget, 10*time.Minute)
	require.Less(t, quick().budget, time.Minute)
}

func TestProgress(t *testing.T) {
	s := quick()
	steps := s.plan(peer.All()[:2], []string{"throughput", "misuse"})
	now := time.Now()
	var out bytes.Buffer
	p := newProgress(&out, false, s, steps)
	p.began, p.now = now, func() time.Time { return now }
	p.begin(0, steps[0])
	require.Regexp(t, `^1 of 10  (loop|list): throughput, subscribers 1, buffer 64 \(run 1\)  about \d+s left\n$`, out.String())
	out.Reset()
	now = now.Add(4 * time.Second)
	p.begin(1, steps[1])
	require.Empty(t, out.String(), "not a line for each")
	now = now.Add(2 * time.Second)
	p.begin(6, steps[6])
	require.Regexp(t, `^7 of 10  2 competitors: misuse, close-blocked  about \d+s left\n$`, out.String())
	now = now.Add(time.Hour)
	out.Reset()
	p.begin(9, steps[9])
	require.Contains(t, out.String(), "about 0s left", "never more than the budget")

	out.Reset()
	p.terminal = true
	p.begin(9, steps[9])
	p.end()
	require.True(t, strings.HasPrefix(out.String(), "\r\x1b[K10 of 10"))
	require.True(t, strings.HasSuffix(out.String(), "\r\x1b[K"))
}
