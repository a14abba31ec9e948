package bridgetest_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
)

// A wire is the smallest system there is, and its source: who is connected to a topic
// gets what is sent, and what finds a full queue is dropped. docs/source.md shows it.
type wire struct {
	mu    sync.Mutex
	plugs map[string][]*plug // by topic; guarded by mu
}

// plug is one connection.
type plug struct {
	queue chan parcel
	lost  uint64 // since the last one that found room; guarded by wire.mu
}

// parcel is a message, and how many were lost just before it.
type parcel struct {
	*bridge.Message
	lost uint64
}

const queueLen = 4096

func (w *wire) Capabilities() bridge.Capabilities { return bridge.Capabilities{ExactGaps: true} }

func (w *wire) Run(ctx context.Context, topic string, _ bridge.Position, sink bridge.Sink) error {
	p := w.connect(topic)
	defer w.disconnect(topic, p)
	sink.Live() // from here on nothing that is sent is lost without a word
	for {
		select {
		case m := <-p.queue:
			if m.lost > 0 {
				if err := sink.Gap(ctx, bridge.Gap{Reason: bridge.SourceDropped, Count: m.lost}); err != nil {
					return err
				}
			}
			if err := sink.Deliver(ctx, m.Message); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (w *wire) connect(topic string) *plug {
	p := &plug{queue: make(chan parcel, queueLen)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plugs[topic] = append(w.plugs[topic], p)
	return p
}

func (w *wire) disconnect(topic string, p *plug) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plugs[topic] = slices.DeleteFunc(w.plugs[topic], func(q *plug) bool { return q == p })
}

// Send is what whoever publishes calls.
func (w *wire) Send(topic string, data []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.plugs[topic] {
		select {
		case p.queue <- parcel{&bridge.Message{Topic: topic, Data: slices.Clone(data), Time: time.Now()}, p.lost}:
			p.lost = 0
		default:
			p.lost++
		}
	}
}

// A source of one's own passes the suite with one call.
func TestRunInBubbles_OwnSource(t *testing.T) {
	bridgetest.RunInBubbles(t, func(testing.TB) *bridgetest.Harness {
		w := &wire{plugs: map[string][]*plug{}}
		return &bridgetest.Harness{
			Source: w,
			Publish: func(_ context.Context, topic string, data []byte) error {
				w.Send(topic, data)
				return nil
			},
			Subscriptions: func(topic string) int {
				w.mu.Lock()
				defer w.mu.Unlock()
				return len(w.plugs[topic])
			},
			Overrun: bridgetest.Overrun{Messages: 2 * queueLen},
		}
	})
}
