package explore_test

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/internal/checks/explore"
	"github.com/gobroadcast/broadcast/internal/checks/scenarios"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
	"github.com/stretchr/testify/require"
)

var (
	bound  = flag.Int("bound", 1, "preemptions of TestBounded")
	random = flag.Int("random", 200_000, "schedules of TestRandom, of all scenarios together")
	seed   = flag.Uint64("seed", 1, "of the first of these")
	budget = flag.Duration("budget", 0, "cut each scenario after this time")
)

func names() []string {
	var all []string
	for _, s := range scenarios.All {
		all = append(all, s.Name)
	}
	return all
}

func explorer(t *testing.T, replace map[string]string) *explore.Explorer {
	e, err := explore.New(t.Context(), replace)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e
}

// TestBounded runs every schedule of every scenario with at most so many
// preemptions. With one, and no budget, a scenario that was cut fails.
func TestBounded(t *testing.T) {
	reports := run(t, sched.Options{Bound: *bound, Budget: *budget})
	for _, r := range reports {
		if !r.Complete && *budget == 0 {
			t.Errorf("%s: cut after %d schedules, want all with bound %d", r.Scenario, r.Schedules, *bound)
		}
	}
}

// TestRandom runs random schedules of every scenario.
func TestRandom(t *testing.T) {
	run(t, sched.Options{Random: max(1, *random/len(scenarios.All)), Seed: *seed, Budget: *budget})
}

func run(t *testing.T, o sched.Options) []explore.Report {
	e := explorer(t, nil)
	reports := e.All(t.Context(), names(), o, runtime.GOMAXPROCS(0), func(r explore.Report) {
		if r.Err != nil || r.Failure != nil {
			t.Error(r)
			return
		}
		t.Log(r)
	})
	var sums strings.Builder
	if err := explore.Summary(&sums, reports); err != nil {
		t.Error(err)
	}
	t.Log(sums.String())
	return reports
}

// seeded is a bug that is put into the library for TestFinds.
type seeded struct {
	name, file, old, new string
	scenario             string
	bound                int
	want                 string // in what is told of the failure
}

// The explorer finds bugs: the proof that it looks at all. The package mutants
// has many more.
var seededBugs = []seeded{
	{
		"a lost wake-up", "close.go", "case h.kick <- struct{}{}:", "case chan struct{}(nil) <- struct{}{}:",
		"block-close-subscription", 0, "deadlock",
	},
	{
		"a check without the lock", "turn.go", "w := &waiting{", "t.mu.Unlock()\n\tt.mu.Lock()\n\tw := &waiting{",
		"turn-close", 2, "deadlock",
	},
	{
		"a number taken before the turn", "publish.go", "\th.turn.mu.Lock()\n\tif h.turn.busy || h.closed != nil {\n\t\tif err := h.enter(ctx); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n",
		"\tnumber := h.seq.Load() + 1\n\th.turn.mu.Lock()\n\tif h.turn.busy || h.closed != nil {\n\t\tif err := h.enter(ctx); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\tdefer func() { h.seq.Store(number) }()\n",
		"drop-newest", 1, "law 2",
	},
	{
		"a loss that is counted late", "member.go", "m.err, m.left = err, left\n\tm.ended.Store(true)", "m.ended.Store(true)\n\tm.err, m.left = err, left+1",
		"subscribe-publish", 1, "law",
	},
}

func TestFinds(t *testing.T) {
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	for _, bug := range seededBugs {
		t.Run(bug.name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(root, bug.file))
			require.NoError(t, err)
			require.Equal(t, 1, strings.Count(string(text), bug.old), "the edit does not apply")
			e := explorer(t, map[string]string{bug.file: strings.Replace(string(text), bug.old, bug.new, 1)})
			res, err := e.Run(t.Context(), bug.scenario, sched.Options{Bound: bug.bound})
			require.NoError(t, err)
			require.NotNil(t, res.Failure, "not found in %d schedules", res.Schedules)
			require.Contains(t, res.Failure.What, bug.want)
			t.Logf("found after %d schedules: %s", res.Schedules, res.Failure.What)

			again, err := e.Run(t.Context(), bug.scenario, sched.Options{Schedule: res.Failure.Schedule})
			require.NoError(t, err)
			require.NotNil(t, again.Failure, "the schedule %s does not fail again", res.Failure.Schedule)
			require.Equal(t, res.Failure.What, again.Failure.What)
			require.NotEmpty(t, again.Trace)
		})
	}
}

// A program that does not compile is an error of the explorer: nothing was explored.
// What its instrumenter does not know is in the tests of that.
func TestNew_Refuses(t *testing.T) {
	text, err := os.ReadFile("../../../errors.go")
	require.NoError(t, err)
	_, err = explore.New(t.Context(), map[string]string{"errors.go": string(text) + "\nvar x int = \"\"\n"})
	require.ErrorContains(t, err, "do not compile")
}

// A schedule that does not fit is an error, and no failure of the library.
func TestRun_Lost(t *testing.T) {
	_, err := explorer(t, nil).Run(t.Context(), "batch", sched.Options{Schedule: "99"})
	require.ErrorContains(t, err, "does not fit")
}

// The command that a report names is there and replays a schedule.
func TestReplay(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	args := strings.Fields(explore.Replay("batch", "0x14,1"))
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = "../../.."
	cmd.Env = append(os.Environ(), "GOWORK=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "publish.go")
	require.Contains(t, string(out), "all laws hold")
}
