package bridge

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// NewCollector returns a Prometheus collector of what b has received, with the
// constant label bridge=name: the network's side. What subscribers lose is in the
// stats of the hubs (see Topics). Register it, and unregister it when the bridge is
// done with: a closed bridge goes on reporting its final totals.
//
// Patterns are labels, at most 100: the first ones that the bridge has had keep their
// series, and all others are summed up as "other". That is up to 16 series for each. Totals
// go on when a topic has stopped and starts again. Lag and warnings are exported only
// if the source is a Lagger or Warner; for lag, only while it is known.
//
// A collection waits for no publisher and no network. It costs O(topics), and holds
// a lock that Subscribe takes for the copying of their list. NewCollector panics if
// name is empty or b is nil. Bytes that are not UTF-8 are replaced.
func NewCollector[T any](name string, b *Bridge[T]) prometheus.Collector {
	if name == "" || b == nil {
		panic("bridge: NewCollector: empty name or nil bridge: pass a name for the label bridge, and a bridge")
	}
	c := &collector[T]{b: b, desc: map[string]*prometheus.Desc{}}
	labels := prometheus.Labels{"bridge": strings.ToValidUTF8(name, "\uFFFD")}
	for _, m := range metrics {
		c.desc[m.name] = prometheus.NewDesc(m.name, m.help, m.labels, labels)
	}
	_, c.warns = b.src.(Warner)
	return c
}

type collector[T any] struct {
	b     *Bridge[T]
	desc  map[string]*prometheus.Desc
	warns bool
}

const (
	messagesTotal   = "broadcast_bridge_messages_total"
	bytesTotal      = "broadcast_bridge_bytes_total"
	decodeTotal     = "broadcast_bridge_decode_errors_total"
	gapsTotal       = "broadcast_bridge_gaps_total"
	lostTotal       = "broadcast_bridge_lost_messages_total"
	reconnectsTotal = "broadcast_bridge_reconnects_total"
	failuresTotal   = "broadcast_bridge_failures_total"
	warningsTotal   = "broadcast_bridge_slow_consumer_warnings_total"
	ackedTotal      = "broadcast_bridge_acknowledged_total"
	ackErrorsTotal  = "broadcast_bridge_acknowledge_errors_total"
	lagGauge        = "broadcast_bridge_lag_messages"
	liveGauge       = "broadcast_bridge_live_topics"
	topicsGauge     = "broadcast_bridge_topics"
	untrackedGauge  = "broadcast_bridge_untracked_topics"
	durationGauge   = "broadcast_bridge_collect_duration_seconds"
)

// metrics is the table of what is exported: a name, what it means, its labels.
var metrics = []struct {
	name, help string
	labels     []string
}{
	{messagesTotal, "Messages received, poison included.", []string{"pattern"}},
	{bytesTotal, "Bytes of keys and data received.", []string{"pattern"}},
	{decodeTotal, "Messages that decode refused or panicked at, or that were too large.", []string{"pattern"}},
	{gapsTotal, "Gaps that the source reported or the bridge made.", []string{"pattern", "reason"}},
	{lostTotal, "Messages lost in gaps whose size was known.", []string{"pattern"}},
	{reconnectsTotal, "Times that a topic was live again.", []string{"pattern"}},
	{failuresTotal, "Times that the source failed.", []string{"pattern"}},
	{warningsTotal, "Slow-consumer warnings of the system.", []string{"pattern"}},
	{ackedTotal, "Messages acknowledged.", []string{"pattern"}},
	{ackErrorsTotal, "Acknowledgements that failed.", []string{"pattern"}},
	{lagGauge, "Messages that the system has and that were not delivered yet.", []string{"pattern"}},
	{liveGauge, "Topics whose network subscription is confirmed.", []string{"pattern"}},
	{topicsGauge, "Topics by state.", []string{"state"}},
	{untrackedGauge, "Topics without series of their own.", nil},
	{durationGauge, "How long this collection took.", nil},
}

// Describe lists all descriptors, also of what appears later.
func (c *collector[T]) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.desc {
		ch <- d
	}
}

// Collect may run any number of times at once.
func (c *collector[T]) Collect(ch chan<- prometheus.Metric) {
	start := time.Now()
	view := c.look()
	gauge := func(name string, v float64, label ...string) {
		ch <- prometheus.MustNewConstMetric(c.desc[name], prometheus.GaugeValue, v, label...)
	}
	for label, p := range view.patterns {
		c.totals(ch, label, p.counters)
		gauge(liveGauge, float64(p.live), label)
		if p.lagKnown {
			gauge(lagGauge, float64(p.lag), label)
		}
	}
	for i, s := range states {
		gauge(topicsGauge, float64(view.states[i]), s.String())
	}
	gauge(untrackedGauge, float64(view.untracked))
	gauge(durationGauge, time.Since(start).Seconds())
}

// totals exports the counters of one label.
func (c *collector[T]) totals(ch chan<- prometheus.Metric, label string, of *counters) {
	total := func(name string, v uint64, labels ...string) {
		labels = slices.Insert(labels, 0, label)
		ch <- prometheus.MustNewConstMetricWithCreatedTimestamp(c.desc[name], prometheus.CounterValue, float64(v), c.b.since, labels...)
	}
	total(messagesTotal, of.messages.Load())
	total(bytesTotal, of.bytes.Load())
	total(decodeTotal, of.poison.Load())
	for i, r := range reasons {
		total(gapsTotal, of.gaps[i].Load(), r.String())
	}
	if unknown := of.gaps[len(reasons)].Load(); unknown > 0 {
		total(gapsTotal, unknown, "unknown")
	}
	total(lostTotal, of.lost.Load())
	total(reconnectsTotal, of.reconnects.Load())
	total(failuresTotal, of.failures.Load())
	if c.warns {
		total(warningsTotal, of.warnings.Load())
	}
	if c.b.acker != nil {
		total(ackedTotal, of.acked.Load())
		total(ackErrorsTotal, of.ackErrors.Load())
	}
}

// view is what one pass over the topics finds.
type view struct {
	patterns  map[string]*patternView // by label
	states    [len(states)]int
	untracked int
}

// patternView is one label: a pattern, or all of those without a label.
type patternView struct {
	*counters
	live     int
	lag      uint64
	lagKnown bool
}

func (c *collector[T]) look() view {
	topics := c.b.all()
	for _, t := range topics {
		t.sampleWarnings()
	}
	v := view{patterns: map[string]*patternView{otherLabel: {counters: &c.b.ledger.other}}}
	byCounters := map[*counters]*patternView{&c.b.ledger.other: v.patterns[otherLabel]}
	for label, of := range c.b.ledger.all() {
		v.patterns[label] = &patternView{counters: of}
		byCounters[of] = v.patterns[label]
	}
	for _, t := range topics {
		p := byCounters[t.all]
		if t.all == &c.b.ledger.other {
			v.untracked++
		}
		s := t.state()
		v.states[s-Starting]++
		if s == Live || s == Lingering {
			p.live++
		}
		if l, ok := t.b.src.(Lagger); ok {
			if n, known := l.Lag(t.pattern); known {
				p.lag, p.lagKnown = p.lag+n, true
			}
		}
	}
	return v
}

// all returns the counters of the patterns that have a label.
func (l *ledger) all() map[string]*counters {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.known)
}
