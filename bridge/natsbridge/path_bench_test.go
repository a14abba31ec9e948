package natsbridge

import (
	"context"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

type nothing struct{ delivered int }

func (n *nothing) Live()                                          {}
func (n *nothing) Gap(context.Context, bridge.Gap) error          { return nil }
func (n *nothing) Deliver(context.Context, *bridge.Message) error { n.delivered++; return nil }

// What a message costs from the callback of the client to Deliver, on one goroutine,
// so without what it costs to wake the other one. BenchmarkCore_Overhead has it all,
// and is as noisy as the machine.
func BenchmarkCorePath(b *testing.B) {
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		b.Fatal(err)
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.PingInterval(time.Minute))
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("a")
	if err != nil {
		b.Fatal(err)
	}
	c, err := NewCore(nc)
	if err != nil {
		b.Fatal(err)
	}
	sink := &nothing{}
	r := newCoreRun(b.Context(), c, "a", sink)
	m := &nats.Msg{Subject: "a", Data: make([]byte, 128), Sub: sub}
	b.ReportAllocs()
	var done *chunk
	n := 0
	for b.Loop() {
		r.receive(m)
		if n++; n%len(done.parcels) != 0 {
			continue
		}
		done, _ = r.queue.take(done)
		if err := r.deliver(done); err != nil {
			b.Fatal(err)
		}
	}
	if sink.delivered < n-len(done.parcels) {
		b.Fatalf("%d of %d were delivered", sink.delivered, n)
	}
}
