package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
	"github.com/gobroadcast/broadcast/benchmarks/internal/work"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden report anew")

// recorded is what a quick run with some of the competitors measured.
func recorded(t *testing.T) (data Data) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "run.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &data))
	return data
}

func TestMarkdown_Golden(t *testing.T) {
	golden := filepath.Join("testdata", "report.md")
	got := markdown(recorded(t), "report")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "if it is meant: go test ./internal/report -update, and read the difference")
}

// The report names each plot that is drawn, and no other.
func TestMarkdown_Plots(t *testing.T) {
	text := markdown(recorded(t), "report")
	pictures, err := plots(recorded(t))
	require.NoError(t, err)
	require.Len(t, pictures, 5)
	for _, p := range pictures {
		require.Contains(t, text, "](report-"+p.name+".svg)")
	}
	require.Equal(t, len(pictures), strings.Count(text, ".svg)"))
}

// Plots are SVG that can be read, and have a line for each competitor.
func TestPlots(t *testing.T) {
	data := recorded(t)
	pictures, err := plots(data)
	require.NoError(t, err)
	for _, p := range pictures {
		t.Run(p.name, func(t *testing.T) {
			var texts []string
			for d := xml.NewDecoder(strings.NewReader(string(p.svg))); ; {
				token, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				require.NoError(t, err)
				if s, ok := token.(xml.CharData); ok {
					texts = append(texts, string(s))
				}
			}
			for _, name := range data.Peers {
				require.Contains(t, texts, name)
			}
		})
	}
}

// run makes results of one metric: the values of each peer, run by run.
func run(cell work.Cell, metric string, values map[string][]float64) (results []work.Result) {
	for name, list := range values {
		for i, v := range list {
			j := work.Job{Peer: name, Cell: cell}
			results = append(results, work.Result{Job: j, Run: i, Values: map[string]float64{metric: v}})
		}
	}
	return results
}

func documentOf(results []work.Result) *document {
	data := Data{Results: withLatencies(results), Workloads: []string{"throughput"}}
	for _, p := range peer.All() {
		data.Peers = append(data.Peers, p.Name)
	}
	return &document{data: data, index: indexOf(data.Results)}
}

var cell = work.Cell{Workload: "throughput", Subscribers: 10, Buffer: 64}

// Others that are better are named, the best first, with a word where it may be chance.
func TestBetter(t *testing.T) {
	results := run(cell, work.EventNanos, map[string][]float64{
		"loop":              {100, 101, 99},
		"cond":              {20, 21, 22},
		"dustin":            {48, 52, 49},
		"list":              {10, 10, 10},
		"broadcast-channel": {90, 91, 92},
		"broadcast-batch":   {50, 51, 60},
		"broadcast-state":   {1, 1, 1}, // another promise: not compared
	})
	for i := range results {
		if results[i].Job.Peer == "list" && results[i].Run == 1 {
			results[i].Outcome = work.Reordered // once is enough
		}
	}
	d := documentOf(results)
	own, winners := d.winners(contests[0], cell)
	require.Equal(t, "broadcast-batch", own)
	best, ours := d.leaders(cell, work.EventNanos)
	require.Equal(t, []string{"cond", "broadcast-batch"}, []string{best, ours})
	require.Equal(t, []winner{{"cond", 51.0 / 21, false}, {"dustin", 51.0 / 49, true}}, winners)
	d.better()
	require.Contains(t, d.String(),
		"| throughput, 10 subscribers, buffer 64 | broadcast-batch | cond 2.43, dustin 1.04 (ranges overlap) |")

	d = documentOf(run(cell, work.EventNanos, map[string][]float64{"loop": {2}, "broadcast-next": {1}}))
	d.better()
	require.Contains(t, d.String(), "Nowhere in this run.")
}

// More is better for some, and a share of more than all is chance.
func TestBetter_More(t *testing.T) {
	stuck := work.Cell{Workload: "stuck", Subscribers: 100, Buffer: 64}
	d := documentOf(run(stuck, work.Kept, map[string][]float64{"docker": {3}, "nats": {0.5}, "broadcast-channel": {0.8}}))
	for _, k := range contests {
		if k.workload == "stuck" {
			_, winners := d.winners(k, stuck)
			require.Equal(t, []winner{{"docker", 1.25, false}}, winners)
		}
	}
}

// A ratio is to the loop in the same run.
func TestFaster(t *testing.T) {
	d := documentOf(run(cell, work.EventNanos, map[string][]float64{"loop": {100, 200, 400}, "list": {50, 50, 50}}))
	require.Equal(t, spread{4, 2, 8, 3}, d.index.faster(cell, "list", work.EventNanos))
	require.Equal(t, spread{}, d.index.faster(cell, "nats", work.EventNanos))
}

// What loses is shown as that, in place of its figure.
func TestTables_Bad(t *testing.T) {
	results := run(cell, work.EventNanos, map[string][]float64{"loop": {100}, "list": {50}})
	for i := range results {
		if results[i].Job.Peer == "list" {
			results[i].Outcome, results[i].Detail = work.Lost, "7 | 8"
		}
	}
	d := documentOf(results)
	d.throughput()
	d.wrong()
	require.Contains(t, d.String(), "| list (unbounded) | loses events |\n")
	require.Contains(t, d.String(), "| list | throughput, 10 subscribers, buffer 64 | loses events | 7 \\| 8 |\n")
}

func TestHead(t *testing.T) {
	for _, c := range []struct {
		data Data
		want []string
	}{
		{Data{Quick: true, Only: "nats"}, []string{"go run ./benchmarks -quick -only 'nats' -workload", "**A quick run"}},
		{Data{Only: "nats"}, []string{"**Not all competitors were run.**"}},
		{Data{Left: 3, Steps: 1200}, []string{"**The time did not suffice: 3 of 1200 measurements were left out.**"}},
		{Data{Workloads: []string{"latency"}}, []string{"-workload latency"}},
	} {
		d := &document{data: c.data}
		d.head()
		for _, want := range c.want {
			require.Contains(t, d.String(), want)
		}
	}
}

func TestDigits(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 0.00123: "0.0012", 0.0123: "0.012", 0.123: "0.12", 1.234: "1.23", 9.996: "10.0",
		12.34: "12.3", 99.96: "100", 123.4: "123", 999.6: "1,000", 1234567: "1,234,567",
	} {
		require.Equal(t, want, digits(x), "%v", x)
	}
	require.Equal(t, "1.50 µs (1.00 to 2.00)", nanos(spread{1500, 1000, 2000, 2}))
	require.Equal(t, "1.50 ms", nanos(spread{1.5e6, 1.5e6, 1.5e6, 3}))
	require.Equal(t, "", nanos(spread{}))
	require.Equal(t, spread{2.5, 1, 4, 4}, spreadOf([]float64{4, 1, 3, 2}))
}

// A report that is there is replaced as a whole, and nothing is left beside it.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mine.md")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	require.NoError(t, Writable(path))
	files, err := Write(path, recorded(t))
	require.NoError(t, err)
	require.Equal(t, path, files[len(files)-1], "the report last")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, len(files))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(content), "](mine-latency.svg)")
}

// Where one file cannot be put in its place, the report stays as it was.
func TestWrite_Fails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.md")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "r-latency.svg", "full"), 0o700))
	_, err := Write(path, recorded(t))
	require.Error(t, err)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "old", string(content))
	temps, err := filepath.Glob(filepath.Join(dir, ".report-*"))
	require.NoError(t, err)
	require.Empty(t, temps)
}

func TestThisMachine(t *testing.T) {
	m := ThisMachine()
	require.Positive(t, m.Cores)
	require.NotEmpty(t, m.System)
	require.NotEmpty(t, m.Go)
}
