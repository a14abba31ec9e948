package broadcast

import (
	"math"
	"reflect"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of the histograms' classic buckets. Those of handlers are 10 us to 1 ms
// and then what OpenTelemetry advises for messaging.process.duration, so that
// one set feeds both worlds.
var (
	publishBuckets = []float64{100e-9, 250e-9, 500e-9, 1e-6, 2.5e-6, 10e-6, 100e-6, 1e-3, 10e-3, 100e-3, 1, 10}
	handlerBuckets = []float64{10e-6, 100e-6, 1e-3, .005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
)

// maxEventTypes bounds the values of the label event; further types are "other".
const maxEventTypes = 20

// meters are what a hub measures once a collector has been made for it. All
// methods may be called at once, and those that observe on nil.
type meters struct {
	limit   uint64 // a publish is timed if the hash of its number is at most this
	publish prometheus.Histogram
	wait    prometheus.Histogram
	handler *prometheus.HistogramVec
	failed  *prometheus.CounterVec
	next    *meters // of an older collector of the same hub, which is then sampled as this one; written once

	mu    sync.RWMutex
	types map[reflect.Type]*typeMeters // guarded by mu
}

// typeMeters are those of one type of event.
type typeMeters struct {
	took             prometheus.Observer
	failed, panicked prometheus.Counter
}

func newMeters(labels prometheus.Labels, every int) *meters {
	histogram := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{
			Name: name, Help: help, ConstLabels: labels, Buckets: buckets,
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  160,
			NativeHistogramMinResetDuration: time.Hour,
		}
	}
	return &meters{
		limit: math.MaxUint64 / uint64(every),
		publish: prometheus.NewHistogram(histogram("broadcast_publish_duration_seconds",
			"Time in a Publish that did not wait for room, of a sample: a shape, not a count.", publishBuckets)),
		wait: prometheus.NewHistogram(histogram("broadcast_publish_wait_seconds",
			"Time that a publish waited for room, of all that did.", publishBuckets)),
		handler: prometheus.NewHistogramVec(histogram("broadcast_handler_duration_seconds",
			"Time in a handler that Handle called.", handlerBuckets), []string{"event"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcast_handler_errors_total", Help: "Calls of a handler that failed.", ConstLabels: labels,
		}, []string{"event", "kind"}),
		types: map[reflect.Type]*typeMeters{},
	}
}

func (m *meters) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range []prometheus.Collector{m.publish, m.wait, m.handler, m.failed} {
		c.Describe(ch)
	}
}

func (m *meters) Collect(ch chan<- prometheus.Metric) {
	for _, c := range []prometheus.Collector{m.publish, m.wait, m.handler, m.failed} {
		c.Collect(ch)
	}
}

// sampled tells whether the publish that finds the hub at seq is timed: by a
// hash, because every n-th of a periodic load would be the same one each time.
// The steps are those of the finalizer of SplitMix64 (Steele, Lea and Flood,
// 2014), shortened.
func (m *meters) sampled(seq uint64) bool {
	seq *= 0x9e3779b97f4a7c15
	seq ^= seq >> 32
	seq *= 0xbf58476d1ce4e5b9
	seq ^= seq >> 29
	return seq <= m.limit
}

func (m *meters) published(took time.Duration) {
	for ; m != nil; m = m.next {
		m.publish.Observe(took.Seconds())
	}
}

func (m *meters) waited(took time.Duration) {
	for ; m != nil; m = m.next {
		m.wait.Observe(took.Seconds())
	}
}

func (m *meters) handled(event reflect.Type, took time.Duration, panicked *PanicError, err error) {
	for ; m != nil; m = m.next {
		t := m.of(event)
		t.took.Observe(took.Seconds())
		switch {
		case panicked != nil:
			t.panicked.Inc()
		case err != nil:
			t.failed.Inc()
		}
	}
}

// of returns the meters of a type of event; nil is the type of a nil event.
func (m *meters) of(event reflect.Type) *typeMeters {
	m.mu.RLock()
	t := m.types[event]
	if t == nil {
		t = m.types[otherEvents] // there once all labels are given away
	}
	m.mu.RUnlock()
	if t != nil {
		return t
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.types[event]; t != nil {
		return t
	}
	label := "nil"
	switch {
	case len(m.types) >= maxEventTypes:
		label, event = "other", otherEvents
	case event != nil:
		label = event.String()
	}
	t = &typeMeters{
		took:     m.handler.WithLabelValues(label),
		failed:   m.failed.WithLabelValues(label, "error"),
		panicked: m.failed.WithLabelValues(label, "panic"),
	}
	m.types[event] = t
	return t
}

// otherEvents stands for all types beyond maxEventTypes.
var otherEvents = reflect.TypeFor[struct{ other bool }]()
