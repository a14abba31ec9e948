package bridgetest_test

import (
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"go.uber.org/goleak"
)

// When all tests are over, nothing runs.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memories are what a Memory can be.
var memories = map[string]bridge.Capabilities{
	"radio":     {Wildcards: true, ExactGaps: true},
	"vague":     {},
	"log":       {Replay: true, Pausable: true, ExactGaps: true},
	"queue":     {Pausable: true, Acks: true, ExactGaps: true},
	"log queue": {Replay: true, Pausable: true, Acks: true, ExactGaps: true},
}

// harness is a Memory with all that the suite can ask for.
func harness(can bridge.Capabilities) bridgetest.Factory {
	return func(testing.TB) *bridgetest.Harness {
		return harnessOf(bridgetest.NewMemory(can, bridgetest.WithQueue(1000)))
	}
}

func harnessOf(m *bridgetest.Memory) *bridgetest.Harness {
	refuse := func(on bool) {
		if on {
			m.Refuse(bridgetest.ErrDown)
		} else {
			m.Refuse(nil)
		}
	}
	h := &bridgetest.Harness{
		Source:        sourceOf(m),
		Publish:       m.Publish,
		Again:         func() bridge.Source { return sourceOf(m) },
		Subscriptions: m.Subscriptions,
		Acked:         m.Acked,
		SlowConsumers: func() uint64 { return 0 },
		Restart: func(down time.Duration) {
			refuse(true)
			time.Sleep(down)
			refuse(false)
		},
		Cut:       m.Cut,
		Blackhole: m.Blackhole,
		Mute:      m.Mute,
		Refuse:    refuse,
		Less:      func(a, b bridge.Position) bool { return len(a) < len(b) || len(a) == len(b) && a < b },
		KeepAlive: 100 * time.Millisecond,
	}
	if m.Capabilities().Replay {
		h.Truncate = m.Truncate
	}
	if can := m.Capabilities(); !can.Replay && !can.Acks {
		h.Overrun = bridgetest.Overrun{Messages: 1500}
	}
	return h
}

// sourceOf hides that a Memory is an Acker where it cannot acknowledge.
func sourceOf(m *bridgetest.Memory) bridge.Source {
	if m.Capabilities().Acks {
		return m
	}
	return struct{ bridge.Source }{m}
}

// A Memory passes the suite.
func TestMemory_Conformance(t *testing.T) {
	for name, can := range memories {
		t.Run(name, func(t *testing.T) { bridgetest.RunInBubbles(t, harness(can)) })
	}
}
