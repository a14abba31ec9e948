package bridge_test

import (
	"testing"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
)

// What a bridge costs for each message beside decode, which is next to nothing here,
// and beside Publish of the hub: the difference to the sub-benchmark hub.
func BenchmarkDeliver(b *testing.B) {
	event := bridge.Event[int]{Topic: ordinary.Topic, Value: 16, Header: ordinary.Header, Position: ordinary.Position}
	b.Run("hub", func(b *testing.B) {
		hub := broadcast.New[bridge.Event[int]](1024, broadcast.DropOldest, broadcast.WithRing(4096))
		defer hub.Close()
		defer hub.NewReader().Close()
		b.ReportAllocs()
		for b.Loop() {
			if err := hub.Publish(bg, event); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, can := range map[string]bridge.Capabilities{"radio": {}, "log": {Replay: true, Pausable: true}} {
		b.Run(name, func(b *testing.B) {
			_, sink, _ := openHose(b, can)
			m := ordinary
			b.ReportAllocs()
			for b.Loop() {
				if err := sink.Deliver(bg, &m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("acks", func(b *testing.B) {
		_, sink, r := openHose(b, bridge.Capabilities{Pausable: true, Acks: true}, bridge.WithAck())
		go func() {
			dst := make([]bridge.Event[int], 256)
			for {
				if _, err := r.ReadBatch(bg, dst); err != nil {
					return
				}
			}
		}()
		m := ordinary
		b.ReportAllocs()
		for b.Loop() {
			if err := sink.Deliver(bg, &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}
