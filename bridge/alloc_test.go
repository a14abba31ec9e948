package bridge_test

import (
	"context"
	"testing"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/stretchr/testify/require"
)

// hose is a source of one topic that hands its sink out.
type hose struct {
	can  bridge.Capabilities
	sink chan bridge.Sink
}

func (h *hose) Capabilities() bridge.Capabilities { return h.can }

func (h *hose) Run(ctx context.Context, _ string, _ bridge.Position, sink bridge.Sink) error {
	sink.Live()
	h.sink <- sink
	<-ctx.Done()
	return ctx.Err()
}

func (h *hose) Ack(context.Context, string, uint64) error { return nil }

// openHose makes a bridge of numbers and a sink that belongs to the caller, for
// messages that decode without an allocation.
func openHose(t testing.TB, can bridge.Capabilities, opts ...bridge.Option) (*bridge.Bridge[int], bridge.Sink, *broadcast.Reader[bridge.Event[int]]) {
	t.Helper()
	src := &hose{can, make(chan bridge.Sink, 1)}
	b, err := bridge.New(src, func(m *bridge.Message) (int, error) { return len(m.Data), nil }, opts...)
	require.NoError(t, err)
	t.Cleanup(b.Close)
	r, err := b.NewReader(bg, "a")
	require.NoError(t, err)
	return b, <-src.sink, r
}

var ordinary = bridge.Message{
	Topic: "orders.7", Data: []byte("0123456789abcdef"), Position: "12345", Header: bridge.Header{"k": {"v"}},
}

// A message costs no allocation beside what decode makes and at most one chunk of the
// ring for 64 events, with WithAck too.
func TestAllocs_Deliver(t *testing.T) {
	for name, opts := range map[string][]bridge.Option{"plain": nil, "acks": {bridge.WithAck()}} {
		t.Run(name, func(t *testing.T) {
			_, sink, r := openHose(t, bridge.Capabilities{Replay: true, Pausable: true, Acks: true}, opts...)
			m := ordinary
			dst := make([]bridge.Event[int], 64)
			require.LessOrEqual(t, testing.AllocsPerRun(10, func() {
				for range 64 {
					if err := sink.Deliver(bg, &m); err != nil {
						t.Fatal(err)
					}
				}
				for left := 64; left > 0; {
					n, err := r.ReadBatch(bg, dst)
					if err != nil {
						t.Fatal(err)
					}
					left -= n
				}
			}), 8.0, "for 64 messages")
		})
	}
}
