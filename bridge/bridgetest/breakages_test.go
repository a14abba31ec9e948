package bridgetest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
)

// breakage is one way to break a rule, and the row that must see it.
type breakage struct {
	row  int
	name string
	kind string // of memories
	run  runFunc
	ack  func(m *bridgetest.Memory) func(ctx context.Context, pattern string, n uint64) error
	// bend changes the harness.
	bend func(m *bridgetest.Memory, h *bridgetest.Harness)
	want string // part of what the row is to say
}

// lateReturn is a Run that takes its time.
func lateReturn(m *bridgetest.Memory, ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
	err := m.Run(ctx, pattern, from, sink)
	time.Sleep(time.Second)
	return err
}

// noGaps keeps its gaps to itself.
func noGaps() *bent {
	return &bent{gap: func(context.Context, bridge.Sink, bridge.Gap) error { return nil }}
}

var breakages = []breakage{
	{row: 0, name: "wraps the error of the sink", kind: "radio", want: "unchanged", run: func(m *bridgetest.Memory, ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
		return fmt.Errorf("wrapped: %w", m.Run(ctx, pattern, from, sink))
	}},
	{row: 0, name: "goes on after an error of the sink", kind: "radio", want: "after an error of Deliver", run: bending(func() *bent {
		return &bent{deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error { _ = s.Deliver(ctx, m); return nil }}
	})},
	{row: 0, name: "delivers before Live", kind: "radio", want: "before Live", run: func(m *bridgetest.Memory, ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
		if err := sink.Deliver(ctx, &bridge.Message{Topic: pattern, Data: []byte("0")}); err != nil {
			return err
		}
		return m.Run(ctx, pattern, from, sink)
	}},
	{row: 0, name: "never is live", kind: "radio", want: "has not called Live", run: bending(func() *bent { return &bent{live: func(bridge.Sink) {}} })},
	{row: 0, name: "returns late", kind: "radio", want: "after its context had ended", run: lateReturn},
	{row: 0, name: "returns nil at once", kind: "radio", want: "before Live", run: func(*bridgetest.Memory, context.Context, string, bridge.Position, bridge.Sink) error { return nil }},
	{row: 0, name: "calls the sink from two goroutines", kind: "radio", want: "another call of the sink", run: bending(func() *bent {
		return &bent{deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error {
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() { _ = s.Deliver(ctx, m) })
			}
			wg.Wait()
			return s.Deliver(ctx, m)
		}}
	})},
	{row: 0, name: "calls the sink after Run", kind: "radio", want: "after Run had returned", run: func(m *bridgetest.Memory, ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
		err := m.Run(ctx, pattern, from, sink)
		go func() {
			time.Sleep(time.Millisecond)
			sink.Live()
		}()
		return err
	}},
	{row: 0, name: "opens two subscriptions", kind: "radio", want: "2 subscriptions", run: twice},
	{row: 0, name: "ignores the position", kind: "log", want: "delivered nothing", run: func(m *bridgetest.Memory, ctx context.Context, pattern string, _ bridge.Position, sink bridge.Sink) error {
		return m.Run(ctx, pattern, "", sink)
	}},
	{row: 0, name: "is no Acker", kind: "queue", want: "bridge.Acker", bend: func(m *bridgetest.Memory, h *bridgetest.Harness) {
		h.Source = struct{ bridge.Source }{m}
	}},
	{row: 0, name: "changes the topic", kind: "radio", want: "delivered topic", run: bending(func() *bent {
		return &bent{deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error {
			m.Topic += "."
			return s.Deliver(ctx, m)
		}}
	})},
	{row: 1, name: "tells of no gap", kind: "radio", want: "without a gap", run: bending(noGaps)},
	{row: 1, name: "tells of the gap too late", kind: "vague", want: "without a gap before it", run: bending(func() *bent {
		var held []bridge.Gap
		return &bent{
			gap: func(_ context.Context, _ bridge.Sink, g bridge.Gap) error { held = append(held, g); return nil },
			deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error {
				err := s.Deliver(ctx, m)
				for _, g := range held {
					err = errors.Join(err, s.Gap(ctx, g))
				}
				held = nil
				return err
			},
		}
	})},
	{row: 1, name: "does not come back", kind: "radio", want: "has come within", run: bending(func() *bent {
		lives := 0
		return &bent{
			live: func(s bridge.Sink) { lives++; s.Live() },
			deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error {
				if lives > 1 {
					return nil
				}
				return s.Deliver(ctx, m)
			},
		}
	})},
	{row: 1, name: "comes back too late", kind: "radio", want: "has come within", run: func(m *bridgetest.Memory, ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
		lives := 0
		return m.Run(ctx, pattern, from, &bent{Sink: sink, live: func(s bridge.Sink) {
			if lives++; lives > 1 {
				select {
				case <-time.After(5 * time.Second):
				case <-ctx.Done():
				}
			}
			s.Live()
		}})
	}},
	{row: 2, name: "tells of no gap", kind: "vague", want: "without a gap", run: bending(noGaps)},
	{row: 2, name: "loses the first message of a connection", kind: "log", want: "no gap between", run: bending(losesFirst)},
	{row: 2, name: "loses the first message of a connection, and does not deliver it again", kind: "queue", want: "have not come within", run: bending(losesFirst)},
	{row: 2, name: "delivers twice", kind: "log", want: "not marked", run: bending(func() *bent {
		var last bridge.Message
		lives := 0
		return &bent{
			live: func(s bridge.Sink) { lives++; s.Live() },
			deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error {
				if lives > 1 {
					lives = 1
					if err := s.Deliver(ctx, &last); err != nil {
						return err
					}
				}
				last = *m
				last.Data = bytes.Clone(m.Data)
				return s.Deliver(ctx, m)
			},
		}
	})},
	{row: 2, name: "spoils a message", kind: "log", want: "nobody has sent", run: bending(func() *bent {
		return &bent{deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error {
			m.Data = append(m.Data, "?"...)
			return s.Deliver(ctx, m)
		}}
	})},
	{row: 2, name: "reports a gap where nothing is lost", kind: "log", want: "the system keeps", run: bending(func() *bent {
		lives, due := 0, false
		return &bent{
			live: func(s bridge.Sink) { lives++; due = lives > 1; s.Live() },
			deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error {
				if due {
					due = false
					if err := s.Gap(ctx, bridge.Gap{Reason: bridge.Disconnected}); err != nil {
						return err
					}
				}
				return s.Deliver(ctx, m)
			},
		}
	})},
	{row: 2, name: "leaks a goroutine for each connection", kind: "radio", want: "left behind", run: bending(func() *bent {
		return &bent{live: func(s bridge.Sink) {
			go time.Sleep(time.Hour)
			s.Live()
		}}
	})},
	{row: 2, name: "positions fall", kind: "log", want: "position", run: bending(func() *bent {
		n := 1000
		return &bent{deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error {
			n--
			m.Position = bridge.Position(fmt.Sprint(n))
			return s.Deliver(ctx, m)
		}}
	})},
	{row: 2, name: "has no positions", kind: "log", want: "without a position", run: bending(func() *bent {
		return &bent{deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error {
			m.Position = ""
			return s.Deliver(ctx, m)
		}}
	})},
	{row: 3, name: "does not notice", kind: "radio", want: "no gap within", bend: func(m *bridgetest.Memory, h *bridgetest.Harness) {
		bridgetest.WithKeepAlive(time.Minute)(m)
	}},
	{row: 3, name: "notices late", kind: "radio", want: "no gap within", bend: func(m *bridgetest.Memory, h *bridgetest.Harness) {
		bridgetest.WithKeepAlive(250 * time.Millisecond)(m)
	}},
	{row: 4, name: "does not look at its context", kind: "radio", want: "after its context had ended", run: lateReturn},
	{row: 4, name: "is live without an answer", kind: "radio", want: "want the cause of its ctx", run: early(0)},
	{row: 5, name: "drops now and then", kind: "radio", want: "no gap between", run: bending(func() *bent {
		n := 0
		return &bent{deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error {
			if n++; n%500 == 0 {
				return nil
			}
			return s.Deliver(ctx, m)
		}}
	})},
	{row: 5, name: "is slow in the eyes of the system", kind: "radio", want: "found a consumer slow", bend: func(m *bridgetest.Memory, h *bridgetest.Harness) {
		slow := uint64(0)
		h.SlowConsumers = func() uint64 { slow++; return slow }
	}},
	{row: 6, name: "tells of no gap", kind: "radio", want: "no gap", run: bending(noGaps)},
	{row: 6, name: "counts wrong", kind: "radio", want: "the gaps count", run: bending(func() *bent {
		return &bent{gap: func(ctx context.Context, s bridge.Sink, g bridge.Gap) error { g.Count--; return s.Gap(ctx, g) }}
	})},
	{row: 7, name: "does not end with the verdict", kind: "radio", want: "want an error that wraps it", run: bending(func() *bent {
		return &bent{deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error { _ = s.Deliver(ctx, m); return nil }}
	})},
	{row: 7, name: "delivers poison again", kind: "log", want: "one came again", run: func(m *bridgetest.Memory, ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
		if from != "" {
			n := 0
			_, _ = fmt.Sscan(string(from), &n)
			from = bridge.Position(fmt.Sprint(n - 1))
		}
		return m.Run(ctx, pattern, from, sink)
	}},
	{row: 7, name: "hands the data out too late", kind: "radio", want: "the handler was given", run: bending(func() *bent {
		return &bent{deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error {
			m.Data = []byte(strings.ToUpper(string(m.Data)))
			return s.Deliver(ctx, m)
		}}
	})},
	{row: 8, name: "keeps what is large to itself", kind: "radio", want: "1001 bytes", run: bending(func() *bent {
		return &bent{deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error {
			if len(m.Data) > 1000 {
				return nil
			}
			return s.Deliver(ctx, m)
		}}
	})},
	{row: 8, name: "takes what is too large", kind: "radio", want: "returned nil", bend: func(m *bridgetest.Memory, h *bridgetest.Harness) { h.TooLarge = 1 << 20 }},
	{row: 9, name: "tells of no gap", kind: "log", want: "gap", run: bending(noGaps)},
	{row: 9, name: "tells a wrong range", kind: "log", want: "the gap is from", run: bending(func() *bent {
		return &bent{gap: func(ctx context.Context, s bridge.Sink, g bridge.Gap) error { g.From = "1"; return s.Gap(ctx, g) }}
	})},
	{row: 10, name: "opens two subscriptions", kind: "radio", want: "2 subscriptions", run: twice},
	{row: 10, name: "leaves its subscription behind", kind: "radio", want: "behind the linger", run: func(m *bridgetest.Memory, ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
		left, cancel := context.WithTimeout(context.Background(), time.Minute)
		go func() { defer cancel(); _ = m.Run(left, pattern, "", &bent{Sink: deaf{}}) }()
		return m.Run(ctx, pattern, from, sink)
	}},
	{row: 11, name: "is live too early", kind: "radio", want: "has not come", run: early(time.Millisecond)},
	{row: 12, name: "acknowledges what it delivers", kind: "queue", want: "are acknowledged", run: func(m *bridgetest.Memory, ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
		n := uint64(0)
		return m.Run(ctx, pattern, from, &bent{Sink: sink, deliver: func(ctx context.Context, s bridge.Sink, msg *bridge.Message) error {
			n++
			if err := m.Ack(ctx, pattern, n); err != nil {
				return err
			}
			return s.Deliver(ctx, msg)
		}})
	}},
	{row: 12, name: "acknowledges one too many", kind: "queue", want: "has released", ack: func(m *bridgetest.Memory) func(context.Context, string, uint64) error {
		return func(ctx context.Context, pattern string, n uint64) error { return m.Ack(ctx, pattern, n+1) }
	}},
	{row: 12, name: "does not acknowledge", kind: "queue", want: "an acknowledgement", ack: func(*bridgetest.Memory) func(context.Context, string, uint64) error {
		return func(context.Context, string, uint64) error { return nil }
	}},
	{row: 12, name: "does not mark", kind: "queue", want: "is not marked", run: bending(func() *bent {
		return &bent{deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error {
			m.Redelivered = false
			return s.Deliver(ctx, m)
		}}
	})},
	{row: 12, name: "does not deliver again", kind: "queue", want: "have not come again", run: bending(func() *bent {
		return &bent{deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error {
			if m.Redelivered {
				return nil
			}
			return s.Deliver(ctx, m)
		}}
	})},
	{row: 13, name: "returns late", kind: "radio", want: "took", run: lateReturn},
	{row: 13, name: "leaves its subscription behind", kind: "radio", want: "no subscription after", run: func(m *bridgetest.Memory, ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
		left, cancel := context.WithTimeout(context.Background(), time.Minute)
		go func() { defer cancel(); _ = m.Run(left, pattern, "", &bent{Sink: deaf{}}) }()
		return m.Run(ctx, pattern, from, sink)
	}},
}

// deaf is a sink that does not listen.
type deaf struct{}

func (deaf) Live()                                          {}
func (deaf) Deliver(context.Context, *bridge.Message) error { return nil }
func (deaf) Gap(context.Context, bridge.Gap) error          { return nil }

// losesFirst loses the first message of each connection but the first.
func losesFirst() *bent {
	fresh := false
	lives := 0
	return &bent{
		live: func(s bridge.Sink) { lives++; fresh = lives > 1; s.Live() },
		deliver: func(ctx context.Context, s bridge.Sink, m *bridge.Message) error {
			if fresh {
				fresh = false
				return nil
			}
			return s.Deliver(ctx, m)
		},
	}
}

// twice opens a second subscription beside each.
func twice(m *bridgetest.Memory, ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	live := make(chan struct{})
	wg.Go(func() { _ = m.Run(ctx, pattern, "", &bent{Sink: deaf{}, live: func(bridge.Sink) { close(live) }}) })
	select {
	case <-live:
	case <-ctx.Done():
	}
	return m.Run(ctx, pattern, from, sink)
}

// early is live before the system has confirmed.
func early(by time.Duration) runFunc {
	return func(m *bridgetest.Memory, ctx context.Context, pattern string, from bridge.Position, sink bridge.Sink) error {
		sink.Live()
		time.Sleep(by)
		return m.Run(ctx, pattern, from, &bent{Sink: sink, live: func(bridge.Sink) {}})
	}
}
