package broadcast_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata instead of comparing with it")

func TestCollector_Exposition(t *testing.T) {
	bubble(t, "golden", expositionGolden)
	bubble(t, "nothing has happened", expositionOfNew)
	bubble(t, "births", expositionBirths)
	bubble(t, "native histograms", expositionNative)
	bubble(t, "a closed hub keeps its totals", expositionOfClosed)
	bubble(t, "while a publish is blocked", expositionWhileBlocked)
	bubble(t, "while a filter runs", expositionWhileFilterRuns)
	bubble(t, "goroutines", expositionGoroutines)
}

func TestCollector_Register(t *testing.T) {
	t.Run("two hubs side by side", registerTwoHubs)
	t.Run("one name twice", registerTwice)
	t.Run("unregister and register again", registerAgain)
	t.Run("unregister with another collector of the name", unregisterByName)
}

func TestCollector_Names(t *testing.T) {
	t.Run("equal names are merged", namesMerged)
	t.Run("names that are awkward", namesAwkward)
	t.Run("10,000 names", namesMany)
	t.Run("the oldest keep their series", namesOldest)
	t.Run("the oldest, however listed", namesOldestByID)
	t.Run("a hub's name", namesOfHubs)
}

func TestCollector_Fill(t *testing.T) {
	t.Run("borders of the bands", fillBorders)
	t.Run("the bands add up", fillAddsUp)
}

func TestCollector_PublishDuration(t *testing.T) {
	bubble(t, "all", durationOfAll)
	bubble(t, "the wait is in the other histogram", durationOfWaits)
	bubble(t, "all who waited are there", waitsCounted)
	bubble(t, "only what is published", durationOfFailed)
	bubble(t, "a filter that panics", durationWithPanic)
	bubble(t, "a collector made in the middle of a wait", durationOfLateCollector)
	t.Run("one of 64", sampledOneOf64)
	t.Run("one of 64 of a periodic load", sampledPeriodic)
}

func TestCollector_Handler(t *testing.T) {
	bubble(t, "durations and errors by type", handlerByType)
	bubble(t, "more types than series", handlerManyTypes)
	bubble(t, "a collector made later", handlerBeforeCollector)
}

func TestCollector_Source(t *testing.T) {
	bubble(t, "two collectors of one hub", sourceOfTwo)
	t.Run("of the user's own", sourceOfOwn)
	t.Run("that is wrong", sourceOdd)
}

// series are the samples of one scrape by name and labels, such as
// broadcast_dropped_total{reason="newest"}, without the label hub.
type series map[string]float64

// scraped collects c as a registry does that checks everything.
func scraped(t testing.TB, c prometheus.Collector) series {
	t.Helper()
	return gathered(t, registryOf(t, c))
}

func gathered(t testing.TB, g prometheus.Gatherer) series {
	t.Helper()
	families, err := g.Gather()
	require.NoError(t, err)
	all := series{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				if l.GetName() != "hub" {
					labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
				}
			}
			set := ""
			if len(labels) > 0 {
				set = "{" + strings.Join(labels, ",") + "}"
			}
			if h := m.GetHistogram(); h != nil {
				all[f.GetName()+"_count"+set] = float64(h.GetSampleCount())
				all[f.GetName()+"_sum"+set] = h.GetSampleSum()
				continue
			}
			all[f.GetName()+set] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return all
}

// of returns the series of one metric by the value of its only label.
func (s series) of(name string) map[string]float64 {
	out := map[string]float64{}
	for key, v := range s {
		if set, ok := strings.CutPrefix(key, name+"{"); ok {
			_, value, _ := strings.Cut(set, "=")
			out[strings.Trim(value, `"}`)] = v
		}
	}
	return out
}

func sum[K comparable](m map[K]float64) (sum float64) {
	for _, v := range m {
		sum += v
	}
	return sum
}

const (
	publishCount = "broadcast_publish_duration_seconds_count"
	publishSum   = "broadcast_publish_duration_seconds_sum"
	waitCount    = "broadcast_publish_wait_seconds_count"
	waitSum      = "broadcast_publish_wait_seconds_sum"
	blockedTotal = "broadcast_publish_blocked_total"
)

// order is a type of event.
type order struct{ _ int }

// expositionGolden compares everything that a hub can tell with
// testdata/metrics.prom. Time is virtual, so that the histograms are exact too.
// The dashboard and the rules are checked against that file: what changes there
// breaks them.
func expositionGolden(t *testing.T) {
	hub := newHub[any](t, 4, broadcast.Block)
	c := broadcast.NewCollector("orders", hub, broadcast.WithPublishSampling(1))
	lossy := func(p broadcast.Policy, buffer int, opts ...broadcast.SubscribeOption) {
		hub.Subscribe(append(opts, broadcast.WithPolicy(p), broadcast.WithBuffer(buffer))...)
	}
	lossy(broadcast.DropNewest, 5, broadcast.WithName("mail"))
	lossy(broadcast.DropOldest, 2, broadcast.WithName("screen"))
	lossy(broadcast.DropOldest, 3, broadcast.WithName("screen"))
	lossy(broadcast.Eject, 6)
	lossy(broadcast.DropNewest, 10, broadcast.WithFilter(func(e any) bool {
		time.Sleep(20 * time.Microsecond) // the time of a publish
		_, isText := e.(string)
		return isText
	}))
	lossy(broadcast.DropNewest, 26)
	lossy(broadcast.DropNewest, 30)
	slow := hub.Subscribe(broadcast.WithBuffer(19))
	handled(bg, hub.Subscribe(), func(_ context.Context, e any) error {
		switch e := e.(type) {
		case int:
			time.Sleep(time.Duration(e) * time.Millisecond)
		case string:
			return errTest
		case order:
			panic(e)
		}
		return nil
	})
	for i := range 12 {
		publishAll[any](t, hub, i)
		time.Sleep(time.Second)
	}
	for _, e := range []any{"text", "text", "text", order{}, order{}, nil, nil} {
		publishAll(t, hub, e)
		synctest.Wait()
	}
	for _, wait := range []time.Duration{300 * time.Microsecond, 40 * time.Millisecond} {
		p := async(func() error { return hub.Publish(bg, nil) })
		time.Sleep(wait)
		<-slow.C()
		require.NoError(t, p.returned(t, "publish with room"))
	}
	ctx, cancel := context.WithTimeout(bg, 2*time.Second)
	defer cancel()
	require.ErrorIs(t, hub.Publish(ctx, nil), context.DeadlineExceeded)
	p := async(func() error { return hub.Publish(bg, nil) })
	time.Sleep(time.Minute)
	slow.Close()
	require.NoError(t, p.returned(t, "publish whose slow subscriber left"))

	require.NoError(t, testedAgainst(c, "testdata/metrics.prom"))
	s := scraped(t, c)
	require.Equal(t, s["broadcast_published_total"], s[publishCount]+s[waitCount])
	require.Equal(t, s[blockedTotal], s[waitCount])
}

// exposition is what a scrape of c has.
func exposition(c prometheus.Collector) (string, error) {
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(c); err != nil {
		return "", err
	}
	families, err := reg.Gather()
	if err != nil {
		return "", err
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	const textPlain = 4 // expfmt.TypeTextPlain, without one dependency more
	text, err := testutil.GatherAndFormat(reg, textPlain, names...)
	return string(text), err
}

// testedAgainst compares what c collects with a file.
func testedAgainst(c prometheus.Collector, path string) error {
	if *update {
		text, err := exposition(c)
		return errors.Join(err, os.WriteFile(path, []byte(text), 0o644))
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := testutil.CollectAndCompare(c, f); err != nil {
		return fmt.Errorf("%s: %w\nif that is meant: go test -run TestCollector_Exposition -update", path, err)
	}
	return nil
}

func TestCollector_Lint(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.DropNewest)
	c := broadcast.NewCollector("busy", hub)
	s := hub.Subscribe(broadcast.WithName("slow"))
	hub.Subscribe(broadcast.WithName("slow"))
	publishAll(t, hub, 1, 2)
	s.Close()
	require.NoError(t, broadcast.Handle(bg, s, func(context.Context, int) error { return errTest }))
	problems, err := testutil.CollectAndLint(c)
	require.NoError(t, err)
	require.Empty(t, problems)
}

// Every label value that is known beforehand is there with 0: rate() needs a
// first sample.
func expositionOfNew(t *testing.T) {
	s := scraped(t, broadcast.NewCollector("new", newHub[int](t, 1, broadcast.Block)))
	require.Len(t, s, 6+5+6+5+2*2)
	require.Zero(t, sum(s), "%v", s)
	require.ElementsMatch(t, []string{"empty", "low", "mid", "high", "full"}, slices.Collect(maps.Keys(s.of("broadcast_subscribers_by_fill"))))
	require.ElementsMatch(t, []string{"newest", "oldest", "canceled", "closed", "ejected"}, slices.Collect(maps.Keys(s.of("broadcast_dropped_total"))))
}

// A counter of the hub says that it began with the hub, so that what came before
// the first scrape counts. That of a named subscription cannot: another one of
// the name may have been there before.
func expositionBirths(t *testing.T) {
	born := time.Now()
	hub := newHub[int](t, 1, broadcast.Block)
	hub.Subscribe(broadcast.WithName("one"))
	time.Sleep(time.Hour)
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(broadcast.NewCollector("old", hub)))
	families, err := reg.Gather()
	require.NoError(t, err)
	counters := 0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch created := m.GetCounter().GetCreatedTimestamp(); {
			case m.GetCounter() == nil:
			case f.GetName() == "broadcast_subscriber_dropped_total":
				require.Nil(t, created)
			default:
				counters++
				require.True(t, born.Equal(created.AsTime()), "%s: created at %v, want %v", f.GetName(), created.AsTime(), born)
			}
		}
	}
	require.Equal(t, 6+5, counters)
}

// They have both kinds of buckets.
func expositionNative(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	s := hub.Subscribe()
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(broadcast.NewCollector("native", hub, broadcast.WithPublishSampling(1))))
	h := handled(bg, s, func(context.Context, int) error { time.Sleep(time.Minute); return nil })
	publishAll(t, hub, 1, 2, 3)
	hub.Close()
	time.Sleep(time.Hour)
	require.NoError(t, h.returned(t, "Handle of a closed hub"))
	families, err := reg.Gather()
	require.NoError(t, err)
	buckets := map[string]int{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if h := m.GetHistogram(); h != nil {
				buckets[f.GetName()] = len(h.GetBucket())
				require.EqualValues(t, 3, h.GetSchema(), "%s: a factor of at most 1.1", f.GetName())
				native, inBucket := int64(h.GetZeroCount()), int64(0)
				for _, delta := range h.GetPositiveDelta() {
					inBucket += delta
					native += inBucket
				}
				require.EqualValues(t, h.GetSampleCount(), native, f.GetName())
			}
		}
	}
	require.Equal(t, map[string]int{
		"broadcast_publish_duration_seconds": 12,
		"broadcast_publish_wait_seconds":     12,
		"broadcast_handler_duration_seconds": 17,
	}, buckets)
}

func expositionOfClosed(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.DropNewest)
	c := broadcast.NewCollector("closed", hub, broadcast.WithPublishSampling(1))
	hub.Subscribe(broadcast.WithName("one"))
	hub.Subscribe()
	publishAll(t, hub, 1, 2, 3)
	before := scraped(t, c)
	hub.Close()
	require.ErrorIs(t, hub.Publish(bg, 4), broadcast.ErrClosed)
	for range 2 {
		after := scraped(t, c)
		for key := range before {
			if strings.HasPrefix(key, "broadcast_subscriber") || strings.HasPrefix(key, "broadcast_buffer") || key == "broadcast_untracked_subscribers" {
				require.Zero(t, after[key], key)
				continue
			}
			require.Equal(t, before[key], after[key], key)
		}
		require.Equal(t, 4.0, after[`broadcast_dropped_total{reason="newest"}`])
		require.Equal(t, 6.0, after["broadcast_offered_total"])
		require.NotContains(t, after, `broadcast_buffer_fill_ratio{subscriber="one"}`)
		time.Sleep(time.Hour)
	}
}

// That is when one looks. The bubble would be deadlocked if it waited.
func expositionWhileBlocked(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	c := broadcast.NewCollector("stuck", hub)
	stuck := hub.Subscribe(broadcast.WithName("stuck"))
	publishAll(t, hub, 1)
	p := async(func() error { return hub.Publish(bg, 2) })
	p.requireBlocked(t, "publish to a full subscription")
	line := async(func() error { return hub.Publish(bg, 3) })
	line.requireBlocked(t, "publish in line")
	s := scraped(t, c)
	require.Equal(t, 2.0, s["broadcast_published_total"])
	require.Equal(t, 1.0, s[blockedTotal])
	require.Equal(t, 0.0, s[waitCount], "it still waits")
	require.Equal(t, 1.0, s["broadcast_buffer_max_fill_ratio"])
	require.Equal(t, 1.0, s[`broadcast_buffer_fill_ratio{subscriber="stuck"}`])
	time.Sleep(time.Second)
	stuck.Close()
	require.NoError(t, p.returned(t, "publish whose slow subscriber left"))
	require.NoError(t, line.returned(t, "publish in line"))
	s = scraped(t, c)
	require.Equal(t, 1.0, s[waitCount])
	require.Equal(t, 1.0, s[waitSum])
}

func expositionWhileFilterRuns(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	c := broadcast.NewCollector("filter", hub)
	resume := make(chan struct{})
	hub.Subscribe(broadcast.WithFilter(func(int) bool { <-resume; return true }))
	p := async(func() error { return hub.Publish(bg, 1) })
	p.requireBlocked(t, "publish in a filter")
	require.Equal(t, 1.0, scraped(t, c)["broadcast_published_total"])
	close(resume)
	require.NoError(t, p.returned(t, "publish"))
}

// Handlers, a hook and the logger at work.
func expositionGoroutines(t *testing.T) {
	l := newLogbook()
	resume := make(chan struct{})
	hub := newHub[int](t, 1, broadcast.DropNewest, l.option(), broadcast.WithInterest(func(bool) { <-resume }))
	c := broadcast.NewCollector("goroutines", hub)
	goroutines := func() float64 {
		synctest.Wait()
		return scraped(t, c)["broadcast_goroutines"]
	}
	require.Zero(t, goroutines())
	s := hub.Subscribe()
	require.Equal(t, 1.0, goroutines(), "a hook")
	for range 3 {
		handled(bg, s, nil)
	}
	require.Equal(t, 4.0, goroutines())
	hub.Subscribe(broadcast.WithBuffer(0))
	publishAll(t, hub, 1)
	require.Equal(t, 5.0, goroutines(), "the logger, for a second")
	time.Sleep(2 * time.Second)
	close(resume)
	require.Equal(t, 3.0, goroutines())
	hub.Close()
	require.Zero(t, goroutines())
}

func registerTwoHubs(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	one, other := newHub[int](t, 1, broadcast.Block), newHub[string](t, 1, broadcast.Block)
	c := broadcast.NewCollector("one", one)
	require.NoError(t, reg.Register(c))
	require.NoError(t, reg.Register(broadcast.NewCollector("other", other)))
	publishAll(t, one, 1)
	publishAll(t, other, "1", "2")
	const published = `# HELP broadcast_published_total Events accepted.
# TYPE broadcast_published_total counter
`
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(published+`
broadcast_published_total{hub="one"} 1
broadcast_published_total{hub="other"} 2
`), "broadcast_published_total"))
	require.True(t, reg.Unregister(c))
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(published+`
broadcast_published_total{hub="other"} 2
`), "broadcast_published_total"))
}

func registerTwice(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	first := broadcast.NewCollector("one", newHub[int](t, 1, broadcast.Block))
	require.NoError(t, reg.Register(first))
	err := reg.Register(broadcast.NewCollector("one", newHub[int](t, 1, broadcast.Block)))
	var already prometheus.AlreadyRegisteredError
	require.ErrorAs(t, err, &already)
	require.Same(t, first, already.ExistingCollector)
}

func registerAgain(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	for i := range 3 {
		hub := newHub[int](t, 1, broadcast.DropNewest)
		c := broadcast.NewCollector("one", hub)
		require.NoError(t, reg.Register(c))
		// What appears later must not hinder either.
		s := hub.Subscribe(broadcast.WithName("late"))
		publishAll(t, hub, span(0, i)...)
		s.Close()
		require.NoError(t, broadcast.Handle(bg, s, func(context.Context, int) error { return errTest }))
		require.Equal(t, float64(i+1), gathered(t, reg)["broadcast_published_total"])
		require.True(t, reg.Unregister(c))
		require.Empty(t, gathered(t, reg))
	}
}

func unregisterByName(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(broadcast.NewCollector("one", newHub[int](t, 1, broadcast.Block))))
	require.False(t, reg.Unregister(broadcast.NewCollector("other", newHub[int](t, 1, broadcast.Block))))
	require.True(t, reg.Unregister(broadcast.NewCollector("one", newHub[int](t, 1, broadcast.Block))))
}

// A registry refuses one series twice, and with it the whole scrape.
func namesMerged(t *testing.T) {
	hub := newHub[int](t, 4, broadcast.DropNewest)
	c := broadcast.NewCollector("names", hub)
	for _, buffer := range []int{1, 4, 8} {
		hub.Subscribe(broadcast.WithName("same"), broadcast.WithBuffer(buffer))
	}
	other := hub.Subscribe(broadcast.WithName("other"), broadcast.WithBuffer(8))
	hub.Subscribe()
	publishAll(t, hub, span(1, 6)...)
	s := scraped(t, c)
	require.Equal(t, map[string]float64{"same": 5 + 2, "other": 0}, s.of("broadcast_subscriber_dropped_total"), "the sum")
	require.Equal(t, map[string]float64{"same": 1, "other": 0.75}, s.of("broadcast_buffer_fill_ratio"), "the fullest")
	require.Equal(t, 1.0, s["broadcast_untracked_subscribers"])
	other.Close()
	require.Equal(t, map[string]float64{"same": 1}, scraped(t, c).of("broadcast_buffer_fill_ratio"))
}

func namesAwkward(t *testing.T) {
	names := []string{
		`"`, `\`, "\n", "a\nb", `a="b"`, "{", "}", " ", "\x00", "ü", "日本", "\U0001F980",
		"\xff", "\xfe", "a\xffb", "a\xfeb", "a\uFFFDb", // two names when sanitized
		strings.Repeat("x", 1<<16), "a,b", "# HELP", "__name__",
	}
	hub := newHub[int](t, 1, broadcast.DropNewest)
	c := broadcast.NewCollector("awkward", hub)
	for _, name := range names {
		hub.Subscribe(broadcast.WithName(name))
	}
	publishAll(t, hub, 1, 2)
	s := scraped(t, c)
	drops := s.of("broadcast_subscriber_dropped_total")
	require.Equal(t, float64(len(names)), s[`broadcast_dropped_total{reason="newest"}`])
	require.Equal(t, 3.0, drops["a\uFFFDb"])
	require.Equal(t, 2.0, drops["\uFFFD"])
	require.Zero(t, s["broadcast_untracked_subscribers"])
	n, err := testutil.GatherAndCount(registryOf(t, c), "broadcast_buffer_fill_ratio")
	require.NoError(t, err)
	require.Equal(t, len(names)-3, n)
	_, err = exposition(c)
	require.NoError(t, err)
}

// The number of series is bounded, and what has none is told.
func namesMany(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	for i := range 10_000 {
		hub.Subscribe(broadcast.WithName(fmt.Sprintf("subscription-%d", i)))
	}
	text, err := exposition(broadcast.NewCollector("many", hub))
	require.NoError(t, err)
	require.LessOrEqual(t, strings.Count("\n"+text, "\nbroadcast_"), 300, "series, buckets included")
	for named, opts := range map[int][]broadcast.CollectorOption{
		100:  nil,
		0:    {broadcast.WithMaxNamed(0)},
		1000: {broadcast.WithMaxNamed(1000)},
	} {
		s := scraped(t, broadcast.NewCollector("many", hub, opts...))
		require.Len(t, s.of("broadcast_buffer_fill_ratio"), named)
		require.Len(t, s.of("broadcast_subscriber_dropped_total"), named)
		require.Equal(t, float64(10_000-named), s["broadcast_untracked_subscribers"])
		require.Equal(t, 10_000.0, s["broadcast_subscribers"])
	}
}

// Series that came and went with every scrape would grow without bound.
func namesOldest(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	c := broadcast.NewCollector("oldest", hub, broadcast.WithMaxNamed(2))
	tracked := func() []string {
		return slices.Sorted(maps.Keys(scraped(t, c).of("broadcast_buffer_fill_ratio")))
	}
	hub.Subscribe()
	first := hub.Subscribe(broadcast.WithName("z"))
	hub.Subscribe(broadcast.WithName("y"))
	for i := range 50 {
		hub.Subscribe(broadcast.WithName(fmt.Sprintf("x%02d", 49-i)))
	}
	for range 5 {
		require.Equal(t, []string{"y", "z"}, tracked())
	}
	again := hub.Subscribe(broadcast.WithName("z"))
	first.Close()
	require.Equal(t, []string{"x49", "y"}, tracked(), "z is now the newest")
	again.Close()
	require.Equal(t, []string{"x49", "y"}, tracked())
}

// In which order a source lists its subscriptions does not matter.
func namesOldestByID(t *testing.T) {
	all := oddSource{{ID: 9, Name: "a"}, {ID: 5, Name: "b"}, {ID: 1, Name: "a"}, {ID: 3, Name: "c"}}
	s := scraped(t, broadcast.NewCollector("order", all, broadcast.WithMaxNamed(2)))
	require.Equal(t, map[string]float64{"a": 0, "c": 0}, s.of("broadcast_buffer_fill_ratio"))
	require.Equal(t, 1.0, s["broadcast_untracked_subscribers"])
}

func namesOfHubs(t *testing.T) {
	for name, want := range map[string]string{
		"a\xff": `hub="a` + "\uFFFD" + `"`, `"\` + "\n": `hub="\"\\\n"`, " ": `hub=" "`,
	} {
		text, err := exposition(broadcast.NewCollector(name, newHub[int](t, 1, broadcast.Block)))
		require.NoError(t, err)
		require.Contains(t, text, "broadcast_subscribers{"+want+"} 0")
	}
}

func fillBorders(t *testing.T) {
	for _, c := range []struct {
		buffer, events int
		band           string
		fill           float64
	}{
		{10, 0, "empty", 0},
		{10, 1, "low", 0.1},
		{10, 5, "low", 0.5},
		{10, 6, "mid", 0.6},
		{10, 8, "mid", 0.8},
		{10, 9, "high", 0.9},
		{10, 10, "full", 1},
		{10, 11, "full", 1},
		{1, 0, "empty", 0},
		{1, 1, "full", 1},
		{3, 1, "low", 1. / 3},
		{3, 2, "mid", 2. / 3},
		{1000, 1, "low", 0.001},
		{1000, 501, "mid", 0.501},
		{1000, 801, "high", 0.801},
		{1000, 999, "high", 0.999},
		{0, 0, "empty", 0}, // nothing is ever in it
		{0, 3, "empty", 0},
	} {
		what := fmt.Sprintf("%d events in a buffer of %d", c.events, c.buffer)
		hub := newHub[int](t, c.buffer, broadcast.DropNewest)
		hub.Subscribe(broadcast.WithName("it"))
		publishAll(t, hub, span(1, c.events)...)
		s := scraped(t, broadcast.NewCollector("fill", hub))
		for band, n := range s.of("broadcast_subscribers_by_fill") {
			require.Equal(t, band == c.band, n == 1, "%s: %v in band %s", what, n, band)
		}
		require.Equal(t, c.fill, s["broadcast_buffer_max_fill_ratio"], what)
		require.Equal(t, c.fill, s[`broadcast_buffer_fill_ratio{subscriber="it"}`], what)
	}
}

func fillAddsUp(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.DropNewest)
	c := broadcast.NewCollector("fill", hub)
	var subs []*broadcast.Subscription[int]
	for i := range 50 {
		subs = append(subs, hub.Subscribe(broadcast.WithBuffer(i)))
	}
	for i := range 50 {
		publishAll(t, hub, i)
		if i%7 == 0 {
			subs[i].Close()
		}
		s := scraped(t, c)
		require.Equal(t, float64(hub.Len()), sum(s.of("broadcast_subscribers_by_fill")))
		require.Equal(t, float64(hub.Len()), s["broadcast_subscribers"])
		require.Equal(t, float64(hub.Len()), s["broadcast_untracked_subscribers"])
	}
	require.EqualValues(t, 42, hub.Len())
}

// With WithPublishSampling(1) the count is that of all that did not wait.
func durationOfAll(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.DropNewest)
	c := broadcast.NewCollector("all", hub, broadcast.WithPublishSampling(1))
	hub.Subscribe()
	hub.Subscribe(broadcast.WithFilter(func(e int) bool { time.Sleep(time.Duration(e) * time.Millisecond); return true }))
	publishAll(t, hub, span(1, 100)...)
	s := scraped(t, c)
	require.Equal(t, 100.0, s[publishCount])
	require.InDelta(t, 5.050, s[publishSum], 1e-9, "a filter's time is the publish's")
	require.Zero(t, s[waitCount])
	_, err := hub.PublishBatch(bg, span(1, 9))
	require.NoError(t, err)
	require.Equal(t, 100.0, scraped(t, c)[publishCount], "a batch is not timed")
}

// A publish that is sampled and then waits is only in the other histogram.
func durationOfWaits(t *testing.T) {
	hub := newHub[int](t, 2, broadcast.Block)
	c := broadcast.NewCollector("waits", hub, broadcast.WithPublishSampling(1))
	slow := hub.Subscribe()
	publishAll(t, hub, 1, 2)
	for i, wait := range []time.Duration{time.Millisecond, 20 * time.Millisecond, 3 * time.Second} {
		p := async(func() error { return hub.Publish(bg, 3) })
		time.Sleep(wait)
		<-slow.C()
		require.NoError(t, p.returned(t, "publish with room"))
		s := scraped(t, c)
		require.Equal(t, 2.0, s[publishCount])
		require.Equal(t, float64(i+1), s[waitCount])
	}
	s := scraped(t, c)
	require.InDelta(t, 3.021, s[waitSum], 1e-9)
	require.Zero(t, s[publishSum])
	// And the next one that finds room is in the first again.
	<-slow.C()
	publishAll(t, hub, 4)
	require.Equal(t, 3.0, scraped(t, c)[publishCount])
}

// However the wait ends, and also in a batch, as many are observed as the hub
// has counted as blocked, whatever is sampled.
func waitsCounted(t *testing.T) {
	for _, sampling := range []int{1, 64, 1 << 30} {
		hub := newHub[int](t, 1, broadcast.Block)
		c := broadcast.NewCollector("waits", hub, broadcast.WithPublishSampling(sampling))
		waited := func(what string, want int) {
			t.Helper()
			s := scraped(t, c)
			require.Equal(t, float64(want), s[waitCount], what)
			require.Equal(t, float64(want), s[blockedTotal], what)
		}
		slow := hub.Subscribe()
		publishAll(t, hub, 1)
		waited("room", 0)

		p := async(func() error { return hub.Publish(bg, 2) })
		p.requireBlocked(t, "publish to a full subscription")
		line := async(func() error { return hub.Publish(bg, 3) })
		line.requireBlocked(t, "publish in line")
		<-slow.C()
		require.NoError(t, p.returned(t, "publish"))
		<-slow.C()
		require.NoError(t, line.returned(t, "publish in line"))
		waited("room in the end", 2)

		ctx, cancel := context.WithTimeout(bg, time.Second)
		require.Error(t, hub.Publish(ctx, 4))
		require.Error(t, hub.Publish(ctx, 5), "it has ended, so nothing is published")
		cancel()
		waited("canceled", 3)

		batch := async(func() error { _, err := hub.PublishBatch(bg, []int{6, 7, 8}); return err })
		for range 3 {
			synctest.Wait()
			<-slow.C()
		}
		require.NoError(t, batch.returned(t, "batch with room"))
		waited("batch", 6)

		bounded := hub.Subscribe(broadcast.WithPolicy(broadcast.BlockFor(time.Second, broadcast.DropNewest)), broadcast.WithBuffer(0))
		<-slow.C()
		publishAll(t, hub, 9)
		waited("BlockFor", 7)
		bounded.Close()

		rude := broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { panic(errTest) })
		bounded = hub.Subscribe(broadcast.WithPolicy(broadcast.BlockFor(time.Second, rude)), broadcast.WithBuffer(0))
		<-slow.C()
		require.PanicsWithValue(t, errTest, func() { _ = hub.Publish(bg, 10) })
		waited("a policy that panics after the wait", 8)
		bounded.Close()

		p = async(func() error { return hub.Publish(bg, 11) })
		p.requireBlocked(t, "publish to a full subscription")
		hub.Close()
		require.ErrorIs(t, p.returned(t, "publish whose hub closed"), broadcast.ErrPartial)
		require.ErrorIs(t, hub.Publish(bg, 12), broadcast.ErrClosed)
		waited("closed", 9)
		if sampling == 1 {
			require.Equal(t, 1.0, scraped(t, c)[publishCount], "the first one")
		}
	}
}

// What published nothing is no publish: with a closed hub, a context that is
// done, or one that ends in line.
func durationOfFailed(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	c := broadcast.NewCollector("failed", hub, broadcast.WithPublishSampling(1))
	hub.Subscribe()
	publishAll(t, hub, 1)
	ctx, cancel := context.WithCancel(bg)
	p := async(func() error { return hub.Publish(bg, 2) })
	p.requireBlocked(t, "publish to a full subscription")
	line := async(func() error { return hub.Publish(ctx, 3) })
	line.requireBlocked(t, "publish in line")
	cancel()
	require.Equal(t, context.Canceled, line.returned(t, "publish whose context ended"))
	require.Equal(t, context.Canceled, hub.Publish(ctx, 3))
	hub.Close()
	require.Error(t, p.returned(t, "publish whose hub closed"))
	require.ErrorIs(t, hub.Publish(bg, 3), broadcast.ErrClosed)
	s := scraped(t, c)
	require.Equal(t, 1.0, s[publishCount])
	require.Equal(t, 1.0, s[waitCount])
}

// Such a publish has published, and the next one is not mistaken for it.
func durationWithPanic(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.DropNewest)
	c := broadcast.NewCollector("panics", hub, broadcast.WithPublishSampling(1))
	hub.Subscribe(broadcast.WithFilter(func(e int) bool {
		time.Sleep(time.Second)
		if e == 1 {
			panic(errTest)
		}
		return true
	}))
	require.PanicsWithValue(t, errTest, func() { _ = hub.Publish(bg, 1) })
	time.Sleep(time.Hour)
	publishAll(t, hub, 2)
	s := scraped(t, c)
	require.Equal(t, 2.0, s[publishCount])
	require.Equal(t, 2.0, s[publishSum])
}

// There is no start to count from; it must not be observed as centuries.
func durationOfLateCollector(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	slow := hub.Subscribe()
	publishAll(t, hub, 1)
	p := async(func() error { return hub.Publish(bg, 2) })
	p.requireBlocked(t, "publish to a full subscription")
	c := broadcast.NewCollector("late", hub, broadcast.WithPublishSampling(1))
	time.Sleep(time.Second)
	<-slow.C()
	require.NoError(t, p.returned(t, "publish"))
	s := scraped(t, c)
	require.LessOrEqual(t, s[waitSum], 1.0)
	require.Zero(t, s[publishCount])
}

// The sample is chosen by the number of the event, so this has no luck in it:
// the bounds are four standard deviations of a fair choice.
func sampledOneOf64(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	c := broadcast.NewCollector("sampled", hub)
	const n = 64 * 1600
	for i := range n {
		if err := hub.Publish(bg, i); err != nil {
			t.Fatal(err)
		}
	}
	require.InDelta(t, 1600, scraped(t, c)[publishCount], 4*40)
}

// Batches are not timed, so they leave any period between two publishes. A
// choice without mixing, by a Weyl sequence of the golden ratio, takes one of
// these 1,600 where every 68th or 76th event is a publish.
func sampledPeriodic(t *testing.T) {
	for _, period := range []int{2, 64, 68, 76, 1024} {
		hub := newHub[int](t, 1, broadcast.Block)
		c := broadcast.NewCollector("periodic", hub)
		between := make([]int, period-1)
		const n = 64 * 25
		for i := range n {
			publishAll(t, hub, i)
			_, err := hub.PublishBatch(bg, between)
			require.NoError(t, err)
		}
		require.EqualValues(t, n*period, hub.Stats().Published)
		require.InDelta(t, 25, scraped(t, c)[publishCount], 4*5, "every %d. event", period)
	}
}

func handlerByType(t *testing.T) {
	hub := newHub[any](t, 100, broadcast.Block)
	c := broadcast.NewCollector("handlers", hub)
	handled(bg, hub.Subscribe(), func(_ context.Context, e any) error {
		switch e := e.(type) {
		case int:
			time.Sleep(time.Duration(e) * time.Second)
		case string:
			time.Sleep(time.Minute)
			return errTest
		case *order:
			panic(e)
		case nil:
			return errTest
		}
		return nil
	})
	publishAll[any](t, hub, 1, 2, 3, "a", "b", &order{}, nil, order{}, errTest, map[string]int{}, (*order)(nil))
	time.Sleep(time.Hour)
	s := scraped(t, c)
	require.Equal(t, map[string]float64{
		"int": 3, "string": 2, "*broadcast_test.order": 2, "nil": 1, "broadcast_test.order": 1, "*errors.errorString": 1, "map[string]int": 1,
	}, s.of("broadcast_handler_duration_seconds_count"))
	require.Equal(t, 6.0, s[`broadcast_handler_duration_seconds_sum{event="int"}`])
	require.Equal(t, 120.0, s[`broadcast_handler_duration_seconds_sum{event="string"}`])
	for event, want := range map[string][2]float64{ // errors, panics
		"int": {}, "string": {2, 0}, "*broadcast_test.order": {0, 2}, "nil": {1, 0}, "broadcast_test.order": {}, "*errors.errorString": {}, "map[string]int": {},
	} {
		for i, kind := range []string{"error", "panic"} {
			key := fmt.Sprintf("broadcast_handler_errors_total{event=%q,kind=%q}", event, kind)
			require.Contains(t, s, key, "there from the type's first event on")
			require.Equal(t, want[i], s[key], key)
		}
	}
	require.EqualValues(t, 3, hub.Stats().HandlerErrors)
	require.EqualValues(t, 2, hub.Stats().HandlerPanics)
}

func handlerManyTypes(t *testing.T) {
	hub := newHub[any](t, 100, broadcast.Block)
	c := broadcast.NewCollector("types", hub)
	h := handled(bg, hub.Subscribe(), func(context.Context, any) error { return errTest })
	array := func(n int) any { return reflect.Zero(reflect.ArrayOf(n, reflect.TypeFor[int]())).Interface() }
	for i := range 30 {
		publishAll(t, hub, array(i))
	}
	publishAll(t, hub, array(3), array(25), nil)
	require.Len(t, h.events(), 33)
	s := scraped(t, c)
	calls := s.of("broadcast_handler_duration_seconds_count")
	require.Len(t, calls, 20+1)
	require.Equal(t, 33.0, sum(calls))
	require.Equal(t, 2.0, calls["[3]int"])
	require.Equal(t, 1.0, calls["[19]int"])
	require.Equal(t, float64(10+1+1), calls["other"])
	require.Equal(t, 12.0, s[`broadcast_handler_errors_total{event="other",kind="error"}`])
}

// What failed before is only in the hub's Stats.
func handlerBeforeCollector(t *testing.T) {
	hub := newHub[int](t, 100, broadcast.Block)
	h := handled(bg, hub.Subscribe(), func(context.Context, int) error { return errTest })
	publishAll(t, hub, 1, 2)
	require.Len(t, h.events(), 2)
	c := broadcast.NewCollector("late", hub)
	require.Empty(t, scraped(t, c).of("broadcast_handler_errors_total"))
	publishAll(t, hub, 3)
	require.Len(t, h.events(), 3)
	require.Equal(t, 1.0, scraped(t, c)[`broadcast_handler_errors_total{event="int",kind="error"}`])
	require.EqualValues(t, 3, hub.Stats().HandlerErrors)
}

// Both have all there is from when they were made on; how many publishes are
// timed is up to the later one.
func sourceOfTwo(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	slow := hub.Subscribe(broadcast.WithName("slow"))
	first := broadcast.NewCollector("first", hub, broadcast.WithPublishSampling(1<<30))
	h := handled(bg, hub.Subscribe(broadcast.WithBuffer(9)), func(context.Context, int) error { return errTest })
	publishAll(t, hub, 1)
	require.Len(t, h.events(), 1)
	second := broadcast.NewCollector("second", hub, broadcast.WithPublishSampling(1))
	<-slow.C()
	publishAll(t, hub, 2)
	p := async(func() error { return hub.Publish(bg, 3) })
	p.requireBlocked(t, "publish to a full subscription")
	slow.Close()
	require.NoError(t, p.returned(t, "publish"))
	publishAll(t, hub, 4)
	require.Len(t, h.events(), 4)
	reg := registryOf(t, first, second)
	_, err := reg.Gather()
	require.NoError(t, err, "one registry has both")
	one, two := scraped(t, first), scraped(t, second)
	for _, s := range []series{one, two} {
		require.Equal(t, 4.0, s["broadcast_published_total"])
		require.Equal(t, 1.0, s[waitCount])
	}
	require.Equal(t, 2.0, two[publishCount])
	require.GreaterOrEqual(t, one[publishCount], two[publishCount])
	require.Equal(t, 4.0, one[`broadcast_handler_errors_total{event="int",kind="error"}`])
	require.Equal(t, 3.0, two[`broadcast_handler_errors_total{event="int",kind="error"}`])
}

func registryOf(t testing.TB, all ...prometheus.Collector) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	for _, c := range all {
		require.NoError(t, reg.Register(c))
	}
	return reg
}

// topics is a StatsSource of the user's own: several hubs as one.
type topics []*broadcast.Hub[int]

func (hubs topics) Stats() (sum broadcast.Stats) {
	for _, hub := range hubs {
		s := hub.Stats()
		sum.Subscribers += s.Subscribers
		sum.Published += s.Published
		sum.Offered += s.Offered
		sum.Dropped += s.Dropped
		sum.DroppedBy.Newest += s.DroppedBy.Newest
	}
	return sum
}

func (hubs topics) Subscriptions() iter.Seq[broadcast.SubscriptionStats] {
	return func(yield func(broadcast.SubscriptionStats) bool) {
		for _, hub := range hubs {
			for s := range hub.Subscriptions() {
				if !yield(s) {
					return
				}
			}
		}
	}
}

func sourceOfOwn(t *testing.T) {
	var hubs topics
	for i := range 5 {
		hub := newHub[int](t, 2, broadcast.DropNewest)
		hub.Subscribe(broadcast.WithName("every topic"))
		hub.Subscribe()
		publishAll(t, hub, span(0, i)...)
		hubs = append(hubs, hub)
	}
	c := broadcast.NewCollector("topics", hubs, broadcast.WithPublishSampling(1))
	s := scraped(t, c)
	require.Equal(t, 15.0, s["broadcast_published_total"])
	require.Equal(t, 30.0, s["broadcast_offered_total"])
	require.Equal(t, float64(2*(1+2+3)), s[`broadcast_dropped_total{reason="newest"}`])
	require.Equal(t, 6.0, s[`broadcast_subscriber_dropped_total{subscriber="every topic"}`])
	require.Equal(t, 5.0, s["broadcast_untracked_subscribers"])
	require.Equal(t, map[string]float64{"empty": 0, "low": 2, "mid": 0, "high": 0, "full": 8}, s.of("broadcast_subscribers_by_fill"))
	require.NotContains(t, s, publishCount, "only a hub is timed")
	require.NotContains(t, s, waitCount)
	require.True(t, registryOf(t, c).Unregister(broadcast.NewCollector("topics", hubs)))
}

// No scrape fails for a source that contradicts itself.
func sourceOdd(t *testing.T) {
	c := broadcast.NewCollector("odd", oddSource{
		{Len: 3, Cap: 2}, {Len: 3}, {Name: "\xff"}, {Name: "\xff", Reader: true}, {ID: 1, Name: "\xfe"},
	})
	s := scraped(t, c)
	require.Equal(t, 1.0, s["broadcast_buffer_max_fill_ratio"])
	require.Equal(t, 5.0, sum(s.of("broadcast_subscribers_by_fill")))
	require.Equal(t, 2.0, s["broadcast_untracked_subscribers"])
}

type oddSource []broadcast.SubscriptionStats

func (oddSource) Stats() broadcast.Stats { return broadcast.Stats{} }

func (o oddSource) Subscriptions() iter.Seq[broadcast.SubscriptionStats] { return slices.Values(o) }

func TestCollector_WrongPrograms(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	const noName = "broadcast: NewCollector: empty name or nil source: pass a name for the label hub, and a hub"
	require.PanicsWithValue(t, noName, func() { broadcast.NewCollector("", hub) })
	require.PanicsWithValue(t, noName, func() { broadcast.NewCollector("hub", nil) })
	require.PanicsWithValue(t, "broadcast: WithMaxNamed: negative number: pass 0 or more", func() { broadcast.WithMaxNamed(-1) })
	for _, n := range []int{0, -1} {
		require.PanicsWithValue(t, "broadcast: WithPublishSampling: pass 1 (all) or more", func() { broadcast.WithPublishSampling(n) })
	}
}

// Scrapes, publishers that wait and others, handlers, and subscriptions that
// come and go: no counter ever goes back, and in the end all is exact.
func TestCollector_ConcurrentSafe(t *testing.T) {
	hub := newHub[int](t, 4, broadcast.Block)
	c := broadcast.NewCollector("all", hub, broadcast.WithPublishSampling(1))
	const publishers, events = 4, 500
	var handlers, working, scraping sync.WaitGroup
	for range 3 {
		s := hub.Subscribe(broadcast.WithName("handler"))
		handlers.Go(func() {
			_ = broadcast.Handle(bg, s, func(_ context.Context, e int) error {
				if e%2 == 0 {
					return errTest
				}
				return nil
			})
		})
	}
	done := make(chan struct{})
	for range 2 {
		scraping.Go(func() {
			if err := scrapeUntil(done, c); err != nil {
				t.Error(err)
			}
		})
	}
	for p := range publishers {
		working.Go(func() {
			for i := range events {
				if err := hub.Publish(bg, p*events+i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	working.Go(func() {
		for i := range 200 {
			s := hub.Subscribe(broadcast.WithPolicy(broadcast.DropOldest), broadcast.WithName(fmt.Sprintf("n%d", i)))
			if i%2 == 0 {
				s.Close()
			}
		}
	})
	working.Wait()
	close(done)
	scraping.Wait()
	s := scraped(t, c)
	require.Equal(t, float64(publishers*events), s["broadcast_published_total"])
	require.Equal(t, float64(publishers*events), s[publishCount]+s[waitCount])
	require.Equal(t, s[blockedTotal], s[waitCount])
	hub.Close()
	handlers.Wait()
	s = scraped(t, c)
	require.Equal(t, float64(3*publishers*events), s[`broadcast_handler_duration_seconds_count{event="int"}`])
	require.Equal(t, float64(3*publishers*events/2), s[`broadcast_handler_errors_total{event="int",kind="error"}`])
}

// scrapeUntil scrapes c again and again, and fails if a counter goes back.
func scrapeUntil(done chan struct{}, c prometheus.Collector) error {
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(c); err != nil {
		return err
	}
	last := map[string]float64{}
	for {
		families, err := reg.Gather()
		if err != nil {
			return err
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if m.GetCounter() == nil || f.GetName() == "broadcast_subscriber_dropped_total" { // who leaves takes that along
					continue
				}
				key, v := f.GetName()+fmt.Sprint(m.GetLabel()), m.GetCounter().GetValue()
				if v < last[key] {
					return fmt.Errorf("%s = %v, want at least %v, as before", key, v, last[key])
				}
				last[key] = v
			}
		}
		select {
		case <-done:
			return nil
		default:
		}
	}
}
