// Package ops_test holds the rules, the dashboard and the page about observing
// against what a collector exposes, so that none of them names what is not there.
package ops_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
)

const observing = "../docs/observing.md"

// alerts are those that the house has promised, with who is woken by them.
var alerts = map[string]string{
	"BroadcastBufferNearlyFull":     "page",
	"BroadcastSubscriberNearlyFull": "page",
	"BroadcastDroppingEvents":       "page",
	"BroadcastSubscribersLow":       "page",
	"BroadcastGoroutinesGrowing":    "page",
	"BroadcastHandlerFailing":       "warning",
	"BroadcastSubscriberEjected":    "info",
}

// dashboard is what is looked at of the Grafana dashboard.
type dashboard struct {
	UID        string
	Panels     []panel
	Templating struct{ List []struct{ Name, Type string } }
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct{ Expr, RefID string }
	FieldConfig              struct{ Defaults struct{ Unit string } }
}

func TestEveryNameExists(t *testing.T) {
	known := exposed(t)
	for _, record := range records(t) {
		known[record] = true
	}
	for _, name := range ofBridge(t) {
		known[name] = true
	}
	for _, file := range []string{"dashboard.json", "rules.yaml", "rules_test.yaml", observing} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			names := metricNames(read(t, file))
			require.NotEmpty(t, names)
			for _, name := range names {
				require.True(t, known[name], "%s names %s, which neither a collector exposes nor a rule records", file, name)
			}
		})
	}
}

func TestEveryMetricIsShownAndExplained(t *testing.T) {
	shown := metricNames(read(t, "dashboard.json"))
	page := read(t, observing)
	for name := range exposed(t) {
		require.Contains(t, shown, name, "no panel shows it")
		requireText(t, page, "`"+name+"`", "no line explains it")
	}
}

func TestEveryMetricOfABridgeIsExplained(t *testing.T) {
	page := read(t, observing)
	for _, name := range ofBridge(t) {
		requireText(t, page, "| `"+name+"` |", "no line explains it")
	}
}

// ofBridge are the names that the collector of a bridge may expose.
func ofBridge(t *testing.T) (names []string) {
	t.Helper()
	b, err := bridge.New(bridgetest.NewMemory(bridge.Capabilities{}), func(*bridge.Message) (int, error) { return 0, nil })
	require.NoError(t, err)
	t.Cleanup(b.Close)
	descs := make(chan *prometheus.Desc)
	go func() {
		bridge.NewCollector("test", b).Describe(descs)
		close(descs)
	}()
	for d := range descs {
		names = append(names, submatch(t, `fqName: "(\w+)"`, d.String()))
	}
	require.NotEmpty(t, names)
	return names
}

func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	require.Equal(t, "gobroadcast-hub", d.UID, "links and provisioning rely on it")

	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
	}
	require.Equal(t, []string{"datasource", "job", "instance", "hub"}, variables)

	ids := map[int]string{}
	var rows []string
	for _, p := range d.Panels {
		require.NotContains(t, ids, p.ID, "panel %s has the id of %s", p.Title, ids[p.ID])
		ids[p.ID] = p.Title
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		require.NotEmpty(t, p.Description, "panel %s", p.Title)
		require.NotEmpty(t, p.Targets, "panel %s", p.Title)
		if p.Type != "heatmap" { // its unit belongs to the axis
			require.NotEmpty(t, p.FieldConfig.Defaults.Unit, "panel %s", p.Title)
		}
	}
	require.Equal(t, []string{"Overview", "Saturation", "Latency", "Handlers", "Runtime"}, rows)
}

func TestDashboard_NoPanelCoversAnother(t *testing.T) {
	type cell struct{ x, y int }
	taken := map[cell]string{}
	for _, p := range readDashboard(t).Panels {
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, "panel %s is wider than the grid", p.Title)
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := cell{p.GridPos.X + x, p.GridPos.Y + y}
				require.Empty(t, taken[at], "panel %s lies on it", p.Title)
				taken[at] = p.Title
			}
		}
	}
}

func TestDashboard_QueriesParse(t *testing.T) {
	t.Parallel() // another process
	var rules strings.Builder
	rules.WriteString("groups:\n- name: panels\n  rules:\n")
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			expr, err := json.Marshal(filled(target.Expr))
			require.NoError(t, err)
			fmt.Fprintf(&rules, "  - record: panel_%d_%s\n    expr: %s\n", p.ID, target.RefID, expr)
		}
	}
	file := filepath.Join(t.TempDir(), "panels.yaml")
	require.NoError(t, os.WriteFile(file, []byte(rules.String()), 0o600))
	promtool(t, "check", "rules", file)
}

// filled is a query as Grafana sends it.
func filled(expr string) string {
	return strings.NewReplacer(
		"$__rate_interval", "1m", "$__range", "1h", "$job", ".+", "$instance", ".+", "$hub", ".+",
	).Replace(expr)
}

func TestDocs_QueriesAreThoseOfTheDashboard(t *testing.T) {
	page := read(t, observing)
	for _, p := range readDashboard(t).Panels {
		if p.Type == "row" {
			continue
		}
		requireText(t, page, "**"+p.Title+"**", "the page leaves this panel out")
		for _, target := range p.Targets {
			requireText(t, page, shortened(target.Expr), "query "+target.RefID+" of panel "+p.Title)
		}
	}
}

// shortened is a query as the page has it: without what the variables choose.
func shortened(expr string) string {
	expr = strings.ReplaceAll(expr, `job=~"$job",instance=~"$instance",hub=~"$hub"`, "")
	expr = strings.ReplaceAll(expr, `job=~"$job",instance=~"$instance"`, "")
	expr = strings.ReplaceAll(expr, "{,", "{")
	return strings.ReplaceAll(expr, "{}", "")
}

func TestRules_EveryAlertOnce(t *testing.T) {
	rules := read(t, "rules.yaml")
	tests := read(t, "rules_test.yaml")
	page := read(t, observing)
	found := map[string]string{}
	for _, rule := range strings.Split(rules, "      - alert: ")[1:] {
		name, body, _ := strings.Cut(rule, "\n")
		require.NotContains(t, found, name)
		found[name] = submatch(t, `(?m)^ +severity: (\w+)$`, body)
		require.NotContains(t, submatch(t, `(?m)^ +summary: (.+)$`, body), "{{", "the summary of %s must be static", name)
		require.Regexp(t, `(?s)description: .*\{\{ \$labels\.hub \}\}.*\{\{ \$value`, body, "of %s", name)

		anchor := submatch(t, `runbook_url: \S+/docs/observing\.md#(\w+)`, body)
		require.Equal(t, strings.ToLower(name), anchor)
		requireText(t, page, "\n### "+name+"\n", "the page does not say what to do")

		silent := regexp.MustCompile(`\{alertname: ` + name + `, eval_time: `)
		require.True(t, silent.MatchString(tests), "no test where %s must not fire", name)
		fires := regexp.MustCompile(`alertname: ` + name + `\n +eval_time: .*\n +exp_alerts:`)
		require.True(t, fires.MatchString(tests), "no test where %s fires", name)
	}
	require.Equal(t, alerts, found)
}

func TestRules_Promtool(t *testing.T) {
	t.Parallel() // another process
	promtool(t, "check", "rules", "rules.yaml")
	promtool(t, "test", "rules", "rules_test.yaml")
}

// Every block of Go on the page stands in example_test.go, where it is compiled
// and run.
func TestDocs_CodeCompiles(t *testing.T) {
	compiled := unindented(read(t, "example_test.go"))
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, observing), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		requireText(t, compiled, unindented(block[1]), "example_test.go lacks it")
	}
}

func unindented(code string) string {
	return regexp.MustCompile(`(?m)^[\t ]+`).ReplaceAllString(code, "")
}

// The page says how many series there are at least and at most.
func TestDocs_SeriesOfAHub(t *testing.T) {
	reg := prometheus.NewRegistry()
	hub := broadcast.New[int](1, broadcast.DropOldest)
	require.NoError(t, reg.Register(broadcast.NewCollector("test", hub)))
	fixed := series(t, reg)

	sub := hub.Subscribe(broadcast.WithName("named"))
	perName := series(t, reg) - fixed
	require.NoError(t, hub.Publish(t.Context(), 1))
	hub.Close()
	require.NoError(t, broadcast.Handle(t.Context(), sub, func(context.Context, int) error { return nil }))
	perType := series(t, reg) - fixed // the subscription has left

	requireText(t, read(t, observing), fmt.Sprintf(
		"%d for each hub, %d for each name (at most 100), %d for each type of event that handlers get (at most 20 and `other`): at most %d",
		fixed, perName, perType, fixed+100*perName+21*perType), "the page counts otherwise")
}

// series counts them as a scrape of the classic format has them.
func series(t *testing.T, reg *prometheus.Registry) (n int) {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			n++
			if h := m.GetHistogram(); h != nil {
				n += len(h.GetBucket()) + 2 // +Inf and the sum, beside the count
			}
		}
	}
	return n
}

// exposed are the names of what a collector exposes of a hub whose features have
// all been used.
func exposed(t *testing.T) map[string]bool {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	useEverything(t, func(hub *broadcast.Hub[int]) {
		require.NoError(t, reg.Register(broadcast.NewCollector("test", hub, broadcast.WithPublishSampling(1))))
	})
	families, err := reg.Gather()
	require.NoError(t, err)
	names := map[string]bool{}
	for _, f := range families {
		names[f.GetName()] = true
	}
	require.Contains(t, names, "broadcast_handler_errors_total", "not all features have been used")
	require.Contains(t, names, "broadcast_buffer_fill_ratio", "not all features have been used")
	return names
}

// useEverything registers a hub and then has it do all that there is a metric for.
func useEverything(t *testing.T, register func(*broadcast.Hub[int])) {
	t.Helper()
	hub := broadcast.New[int](1, broadcast.DropOldest)
	t.Cleanup(hub.Close)
	register(hub)
	hub.Subscribe(broadcast.WithName("named"))
	hub.Subscribe(broadcast.WithPolicy(broadcast.Eject))
	hub.Subscribe(broadcast.WithPolicy(broadcast.BlockFor(time.Nanosecond, broadcast.DropNewest)))
	hub.Subscribe(broadcast.WithFilter(func(n int) bool { return n > 1 }))
	handled := hub.Subscribe()
	for n := range 3 {
		require.NoError(t, hub.Publish(t.Context(), n))
	}
	require.NoError(t, broadcast.Handle(t.Context(), handled, func(context.Context, int) error {
		handled.Close()
		return errors.New("failed")
	}))
	st := hub.Stats()
	for name, n := range map[string]uint64{
		"dropped": st.Dropped, "filtered": st.Filtered, "ejected": st.Ejected, "blocked": st.Blocked, "errors": st.HandlerErrors,
	} {
		require.NotZero(t, n, name)
	}
}

// metricNames are the names in text that begin with broadcast_, those of
// recording rules with their level and operations, without the suffixes that a
// histogram adds.
func metricNames(text string) []string {
	var names []string
	for _, name := range regexp.MustCompile(`[a-z_]*:?\bbroadcast_[a-z_]+[a-z](:[a-z0-9_]+)?`).FindAllString(text, -1) {
		if !strings.Contains(name, ":") {
			name = regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(name, "")
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// records are the names of the recording rules.
func records(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^ +- record: (\S+)$`).FindAllStringSubmatch(read(t, "rules.yaml"), -1) {
		require.Regexp(t, `^[a-z_]+:[a-z_]+:[a-z0-9_]+$`, m[1], "a recording rule is level:metric:operations")
		names = append(names, m[1])
	}
	require.NotEmpty(t, names)
	return names
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(read(t, "dashboard.json")), &d))
	return d
}

// promtool runs it, or skips the test where it is not installed.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil {
		if os.Getenv("BROADCAST_REQUIRE_ALL") == "1" {
			t.Fatal("install Debian package prometheus")
		}
		t.Skip("install Debian package prometheus")
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Run(), "promtool %s:\n%s", strings.Join(args, " "), &out)
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

// requireText is require.Contains without the whole text in its message.
func requireText(t *testing.T, text, want, why string) {
	t.Helper()
	require.True(t, strings.Contains(text, want), "%s: %s", why, want)
}

func submatch(t *testing.T, pattern, text string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	require.NotNil(t, m, "nothing like %s in:\n%s", pattern, text)
	return m[1]
}
