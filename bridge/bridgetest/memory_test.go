package bridgetest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/stretchr/testify/require"
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
	for _, kind := range []string{"radio", "log", "queue"} {
		t.Run(kind, func(t *testing.T) { bridgetest.RunInBubbles(t, harness(memories[kind])) })
	}
	for _, kind := range []string{"vague", "log queue"} { // what is special about these
		t.Run(kind, func(t *testing.T) {
			for _, n := range []int{0, 1, 2, 3, 4, 6, 7, 8, 9, 12, 13} {
				said := watchRow(t, n, harness(memories[kind]))
				require.Empty(t, said.errors, "row %d", n)
			}
		})
	}
}

// In real time too.
func TestMemory_ConformanceInRealTime(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for black holes")
	}
	bridgetest.Run(t, harness(memories["radio"]))
}

// A decode that keeps the data of a message is found out.
func TestMemory_LendsItsData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(memories["log"])
		b, err := bridge.New(m, func(m *bridge.Message) ([]byte, error) { return m.Data, nil })
		require.NoError(t, err)
		defer b.Close()
		sub, err := b.Subscribe(context.Background(), "a")
		require.NoError(t, err)
		data := []byte("abc")
		require.NoError(t, m.Publish(context.Background(), "a", data))
		copy(data, "xyz") // the system has its own
		synctest.Wait()
		require.Equal(t, []byte{0, 0, 0}, (<-sub.C()).Value)
	})
}

// A Memory tells what there is to ask for.
func TestMemory_Tells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(memories["log"])
		_, known := m.Lag("a")
		require.False(t, known)
		gate := make(chan struct{})
		b, err := bridge.New(m, func(*bridge.Message) (int, error) { <-gate; return 0, nil })
		require.NoError(t, err)
		defer b.Close()
		_, err = b.Subscribe(context.Background(), "a")
		require.NoError(t, err)
		for range 3 {
			require.NoError(t, m.Publish(context.Background(), "a", nil))
			require.NoError(t, m.Publish(context.Background(), "b", nil))
		}
		synctest.Wait()
		lag, known := m.Lag("a")
		require.True(t, known)
		require.Equal(t, uint64(2), lag, "one is being decoded")
		require.Equal(t, 1, m.Subscriptions("a"))
		require.Equal(t, 1, m.Runs("a"))
		m.Warn("a")
		require.Equal(t, uint64(1), m.Warnings("a"))
		require.Error(t, m.Ack(context.Background(), "a", 1), "it does not acknowledge")
		close(gate)
	})
}
