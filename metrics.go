package broadcast

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// StatsSource is what a collector reads: a *Hub, or whatever sums up several.
// Both methods must be safe to call at any time, from any number of goroutines,
// and must not wait for a publisher.
type StatsSource interface {
	Stats() Stats
	Subscriptions() iter.Seq[SubscriptionStats]
}

// CollectorOption configures a collector.
type CollectorOption interface{ applyCollector(*collectorConfig) }

type collectorConfig struct {
	maxNamed int
	every    int
}

type collectorOption func(*collectorConfig)

func (o collectorOption) applyCollector(c *collectorConfig) { o(c) }

// WithMaxNamed bounds how many named subscriptions have series of their own, two
// each; without it, 100. The oldest ones have them; the others are counted by
// broadcast_untracked_subscribers. 0 gives none their own. It panics if n is
// negative.
func WithMaxNamed(n int) CollectorOption {
	if n < 0 {
		panic("broadcast: WithMaxNamed: negative number: pass 0 or more")
	}
	return collectorOption(func(c *collectorConfig) { c.maxNamed = n })
}

// WithPublishSampling has one of about n publishes timed for
// broadcast_publish_duration_seconds; without it, one of 64. With 1 all are,
// which costs two readings of the clock and an observation for each. It panics
// if n is less than 1.
func WithPublishSampling(n int) CollectorOption {
	if n < 1 {
		panic("broadcast: WithPublishSampling: pass 1 (all) or more")
	}
	return collectorOption(func(c *collectorConfig) { c.every = n })
}

// NewCollector returns a Prometheus collector of what src counts, with the
// constant label hub=name; src is a hub or any other StatsSource. Register it,
// and unregister it when the hub is done with: a closed hub goes on reporting
// its final totals. Two hubs of one name do not register side by side: the
// registry says so.
//
// A collection reads state: it waits for no publisher, blocked or not, and costs
// one pass over the live subscriptions. Its series are bounded, however many
// subscriptions there are: 52, two for each named one (see WithMaxNamed), and 22
// for each type of event that handlers have had, up to 20 types.
//
// Each call switches histograms of the hub on, for good, so make one collector
// for a hub and keep it: with several, each timed publish is observed by each,
// and the sampling of the newest holds. What a publish pays is in the README. A
// PublishBatch is in the histogram of waits only.
//
// NewCollector panics if name is empty or src is nil. Bytes of names that are
// not UTF-8 are replaced.
func NewCollector(name string, src StatsSource, opts ...CollectorOption) prometheus.Collector {
	if name == "" || src == nil {
		panic("broadcast: NewCollector: empty name or nil source: pass a name for the label hub, and a hub")
	}
	c := collectorConfig{maxNamed: 100, every: 64}
	for _, o := range opts {
		o.applyCollector(&c)
	}
	labels := prometheus.Labels{"hub": validUTF8(name)}
	col := &collector{src: src, maxNamed: c.maxNamed, desc: newDescs(labels)}
	if hub, ok := src.(measurable); ok {
		col.hub = hub
		col.meters = newMeters(labels, c.every)
		hub.measure(col.meters)
	}
	return col
}

// measurable is a hub of this package, which tells a collector more than Stats.
type measurable interface {
	measure(m *meters)
	vitals() (since time.Time, goroutines int)
}

type collector struct {
	src      StatsSource
	maxNamed int
	desc     map[string]*prometheus.Desc
	hub      measurable // src, or nil if it is the user's own
	meters   *meters    // nil if hub is
}

// metric is one line of the table of what is exported: a name, what it means,
// and its label.
type metric struct{ name, help, label string }

// gauges and totals are told apart because a total that was born with its hub
// says so.
var (
	gauges = []metric{
		{"broadcast_subscribers", "Live subscriptions and readers.", ""},
		{"broadcast_readers", "Live readers of the ring.", ""},
		{"broadcast_subscribers_by_fill", "Live subscriptions by buffer fill: 0, up to 0.5, up to 0.8, below 1, 1.", "fill"},
		{"broadcast_buffer_max_fill_ratio", "Fill of the fullest buffer.", ""},
		{"broadcast_buffer_fill_ratio", "Fill of the buffer of a named subscription.", "subscriber"},
		{"broadcast_goroutines", "Goroutines that the hub owns or that run Handle.", ""},
		{"broadcast_untracked_subscribers", "Live subscriptions without series of their own.", ""},
		{"broadcast_collect_duration_seconds", "How long this collection took.", ""},
	}
	totals = []metric{
		{"broadcast_published_total", "Events accepted.", ""},
		{"broadcast_offered_total", "One for each event and live subscription.", ""},
		{"broadcast_dropped_total", "Deliveries not made.", "reason"},
		{"broadcast_subscriber_dropped_total", "Deliveries not made to a named subscription.", "subscriber"},
		{"broadcast_filtered_total", "Deliveries that a filter kept away.", ""},
		{"broadcast_coalesced_total", "Values replaced before delivery.", ""},
		{"broadcast_ejected_total", "Subscriptions ended because they were too slow.", ""},
		{"broadcast_publish_blocked_total", "Publishes that waited for room.", ""},
	}
)

func newDescs(labels prometheus.Labels) map[string]*prometheus.Desc {
	descs := map[string]*prometheus.Desc{}
	for _, m := range slices.Concat(gauges, totals) {
		var label []string
		if m.label != "" {
			label = []string{m.label}
		}
		descs[m.name] = prometheus.NewDesc(m.name, m.help, label, labels)
	}
	return descs
}

// Describe lists all descriptors, also of what appears later: a collector that
// does not can never be unregistered.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.desc {
		ch <- d
	}
	if c.meters != nil {
		c.meters.Describe(ch)
	}
}

// Collect may run any number of times at once.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	start := time.Now()
	var since time.Time
	var goroutines int
	if c.hub != nil {
		since, goroutines = c.hub.vitals()
	}
	st := c.src.Stats()
	gauge := func(name string, v float64, label ...string) {
		ch <- prometheus.MustNewConstMetric(c.desc[name], prometheus.GaugeValue, v, label...)
	}
	total := func(name string, v uint64, label ...string) {
		if since.IsZero() {
			ch <- prometheus.MustNewConstMetric(c.desc[name], prometheus.CounterValue, float64(v), label...)
			return
		}
		ch <- prometheus.MustNewConstMetricWithCreatedTimestamp(c.desc[name], prometheus.CounterValue, float64(v), since, label...)
	}
	gauge("broadcast_subscribers", float64(st.Subscribers))
	gauge("broadcast_readers", float64(st.Readers))
	gauge("broadcast_goroutines", float64(goroutines))
	total("broadcast_published_total", st.Published)
	total("broadcast_offered_total", st.Offered)
	total("broadcast_dropped_total", st.DroppedBy.Newest, "newest")
	total("broadcast_dropped_total", st.DroppedBy.Oldest, "oldest")
	total("broadcast_dropped_total", st.DroppedBy.Canceled, "canceled")
	total("broadcast_dropped_total", st.DroppedBy.Closed, "closed")
	total("broadcast_dropped_total", st.DroppedBy.Ejected, "ejected")
	total("broadcast_filtered_total", st.Filtered)
	total("broadcast_coalesced_total", st.Coalesced)
	total("broadcast_ejected_total", st.Ejected)
	total("broadcast_publish_blocked_total", st.Blocked)

	live := survey(c.src.Subscriptions(), st.Subscribers)
	for band, n := range live.bands {
		gauge("broadcast_subscribers_by_fill", float64(n), bandNames[band])
	}
	gauge("broadcast_buffer_max_fill_ratio", live.fullest)
	tracked := 0
	for _, n := range live.oldest(c.maxNamed) {
		tracked += n.members
		gauge("broadcast_buffer_fill_ratio", n.fill, n.name)
		// Without its birth, which is not known: a new one of the same name restarts.
		ch <- prometheus.MustNewConstMetric(c.desc["broadcast_subscriber_dropped_total"], prometheus.CounterValue, float64(n.dropped), n.name)
	}
	gauge("broadcast_untracked_subscribers", float64(live.members-tracked))
	if c.meters != nil {
		c.meters.Collect(ch)
	}
	gauge("broadcast_collect_duration_seconds", time.Since(start).Seconds())
}

// bandNames are the values of the label fill, in the order of band.
var bandNames = [...]string{"empty", "low", "mid", "high", "full"}

func band(fill float64) int {
	switch {
	case fill == 0:
		return 0
	case fill <= 0.5:
		return 1
	case fill <= 0.8:
		return 2
	case fill < 1:
		return 3
	}
	return 4
}

// picture is what one pass over the live subscriptions finds.
type picture struct {
	members int
	bands   [len(bandNames)]int
	fullest float64
	named   []named
}

// named are the live subscriptions of one name: their losses together, and the
// fill of the fullest. A registry refuses the same series twice, and with it
// the whole scrape.
type named struct {
	name    string
	first   uint64 // the smallest ID
	members int
	dropped uint64
	fill    float64
}

// survey makes the picture of about n subscriptions.
func survey(subs iter.Seq[SubscriptionStats], n int) *picture {
	p := &picture{}
	var places map[string]int // of names in p.named
	for s := range subs {
		fill := 0.0
		if s.Cap > 0 {
			fill = min(1, float64(s.Len)/float64(s.Cap))
		}
		p.members++
		p.bands[band(fill)]++
		p.fullest = max(p.fullest, fill)
		if s.Name == "" {
			continue
		}
		if places == nil {
			n = max(0, min(n, 1<<17)) // whatever a source of the user's own says
			places = make(map[string]int, n)
			p.named = make([]named, 0, n)
		}
		name := validUTF8(s.Name)
		place, known := places[name]
		if !known {
			place = len(p.named)
			places[name] = place
			p.named = append(p.named, named{name: name, first: s.ID})
		}
		n := &p.named[place]
		n.first = min(n.first, s.ID)
		n.members++
		n.dropped += s.Dropped
		n.fill = max(n.fill, fill)
	}
	return p
}

// oldest returns the limit names that are there longest: those that have series
// keep them. Sorting numbers first and only the chosen names after that is what
// a scrape of many names is spared (BenchmarkCollect).
func (p *picture) oldest(limit int) []named {
	if limit == 0 {
		return nil
	}
	chosen := p.named
	if len(chosen) > limit {
		ids := make([]uint64, len(chosen))
		for i, n := range chosen {
			ids[i] = n.first
		}
		slices.Sort(ids)
		chosen = slices.DeleteFunc(chosen, func(n named) bool { return n.first > ids[limit-1] })
	}
	slices.SortFunc(chosen, func(a, b named) int {
		// By name too: a source of several hubs may have one number twice.
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.name, b.name))
	})
	return chosen[:min(limit, len(chosen))]
}

func validUTF8(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
