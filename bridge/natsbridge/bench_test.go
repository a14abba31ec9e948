package natsbridge_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/natsbridge"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	benchSubject = "bench"
	benchBurst   = 2000 // messages, as many as every reader's ring holds
	benchSize    = 128  // bytes of each
	benchReaders = 100
)

// pairs runs a and b one after the other, b.N times in each of several rounds, and
// reports the median of each in deliveries per second, and their ratio. Each returns
// how long its burst took, and how many deliveries it has counted.
func pairs(b *testing.B, deliveries int, bridged, bare func() time.Duration) {
	b.Helper()
	const rounds = 9
	bridged() // warm
	bare()
	for b.Loop() {
		var with, without []float64
		for range rounds {
			with = append(with, float64(deliveries)/bridged().Seconds())
			without = append(without, float64(deliveries)/bare().Seconds())
		}
		b.ReportMetric(median(with), "bridge/s")
		b.ReportMetric(median(without), "nats/s")
		b.ReportMetric(median(with)/median(without), "ratio")
	}
	b.ReportMetric(0, "ns/op")
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// benchPublish publishes a burst of numbers.
func benchPublish(b *testing.B, nc *nats.Conn, messages int) {
	data := make([]byte, benchSize)
	for i := range messages {
		copy(data, strconv.Itoa(i)+" ")
		if err := nc.Publish(benchSubject, data); err != nil {
			b.Error(err)
		}
	}
	if err := nc.Flush(); err != nil {
		b.Error(err)
	}
}

// benchNumber takes the number out of the data of benchPublish.
func benchNumber(data []byte) (n int) {
	for _, c := range data {
		if c < '0' || c > '9' {
			return n
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// benchConnect connects without the quick pings of the tests: a server that holds up a
// quick publisher answers them late.
func benchConnect(b *testing.B, s *server.Server) *nats.Conn {
	return connect(b, s.ClientURL(), nats.PingInterval(time.Minute))
}

func benchBridge(b *testing.B, nc *nats.Conn, opts ...bridge.Option) *bridge.Bridge[int] {
	b.Helper()
	src, err := natsbridge.NewCore(nc)
	if err != nil {
		b.Fatal(err)
	}
	br, err := bridge.New(src, func(m *bridge.Message) (int, error) { return benchNumber(m.Data), nil }, opts...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(br.Close)
	return br
}

// A hundred subscribers of one process: one subscription of a bridge and its fan-out,
// against a hundred subscriptions on one connection. Each delivery is counted, and
// its number is the next one.
func BenchmarkCore_FanOut(b *testing.B) {
	srv := embedded(b, onTCP)
	publisher := benchConnect(b, srv)
	pairs(b, benchBurst*benchReaders,
		func() time.Duration { return benchFanOut(b, benchConnect(b, srv), publisher) },
		func() time.Duration { return benchHundred(b, benchConnect(b, srv), publisher) })
}

func benchFanOut(b *testing.B, nc, publisher *nats.Conn) time.Duration {
	defer nc.Close()
	br := benchBridge(b, nc)
	defer br.Close()
	var all sync.WaitGroup
	for range benchReaders {
		r, err := br.NewReader(bg, benchSubject)
		if err != nil {
			b.Fatal(err)
		}
		all.Go(func() { benchRead(b, r, benchBurst) })
	}
	begin := time.Now()
	benchPublish(b, publisher, benchBurst)
	all.Wait()
	return time.Since(begin)
}

// benchRead reads n numbers, and checks that they are the next ones.
func benchRead(b *testing.B, r *broadcast.Reader[bridge.Event[int]], n int) {
	defer r.Close()
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	batch := make([]bridge.Event[int], 256)
	for want := 0; want < n; {
		got, err := r.ReadBatch(ctx, batch)
		if err != nil {
			b.Errorf("%v, before number %d", err, want)
			return
		}
		for _, e := range batch[:got] {
			if e.Gap != nil || e.Value != want {
				b.Errorf("got %+v, want number %d", e, want)
				return
			}
			want++
		}
	}
}

func benchHundred(b *testing.B, nc, publisher *nats.Conn) time.Duration {
	defer nc.Close()
	var all sync.WaitGroup
	for range benchReaders {
		all.Add(1)
		benchCallback(b, nc, benchBurst, all.Done)
	}
	if err := nc.Flush(); err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	benchPublish(b, publisher, benchBurst)
	all.Wait()
	return time.Since(begin)
}

// benchCallback subscribes, and calls done behind number n.
func benchCallback(b *testing.B, nc *nats.Conn, n int, done func()) {
	want := 0
	sub, err := nc.Subscribe(benchSubject, func(m *nats.Msg) {
		if got := benchNumber(m.Data); got != want {
			b.Errorf("got number %d, want %d", got, want)
		}
		if want++; want == n {
			done()
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		b.Fatal(err)
	}
}

// benchLong is a burst for one subscriber.
const benchLong = 100 * benchBurst

// One subscriber, through a bridge and with a callback of the client.
func BenchmarkCore_One(b *testing.B) {
	srv := embedded(b, onTCP)
	publisher := benchConnect(b, srv)
	pairs(b, benchLong,
		func() time.Duration { return benchOneBridge(b, benchConnect(b, srv), publisher) },
		func() time.Duration { return benchOneBare(b, benchConnect(b, srv), publisher) })
}

func benchOneBridge(b *testing.B, nc, publisher *nats.Conn) time.Duration {
	defer nc.Close()
	br := benchBridge(b, nc, bridge.WithHub(1, broadcast.DropOldest, broadcast.WithRing(2*benchLong)))
	defer br.Close()
	r, err := br.NewReader(bg, benchSubject)
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() { benchPublish(b, publisher, benchLong) })
	benchRead(b, r, benchLong)
	took := time.Since(begin)
	wg.Wait()
	return took
}

func benchOneBare(b *testing.B, nc, publisher *nats.Conn) time.Duration {
	defer nc.Close()
	done := make(chan struct{})
	benchCallback(b, nc, benchLong, func() { close(done) })
	if err := nc.Flush(); err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() { benchPublish(b, publisher, benchLong) })
	<-done
	took := time.Since(begin)
	wg.Wait()
	return took
}

// countingSink counts, and does nothing else.
type countingSink struct {
	live chan struct{}
	all  chan struct{} // closed behind the last one
	left int
	gaps int
}

func (s *countingSink) Live() { close(s.live) }

func (s *countingSink) Deliver(context.Context, *bridge.Message) error {
	if s.left--; s.left == 0 {
		close(s.all)
	}
	return nil
}

func (s *countingSink) Gap(context.Context, bridge.Gap) error { s.gaps++; return nil }

func benchSinkRun(b *testing.B, nc, publisher *nats.Conn) {
	defer nc.Close()
	src, err := natsbridge.NewCore(nc)
	if err != nil {
		b.Fatal(err)
	}
	s := &countingSink{live: make(chan struct{}), all: make(chan struct{}), left: benchLong}
	ctx, cancel := context.WithCancel(bg)
	var wg sync.WaitGroup
	wg.Go(func() { _ = src.Run(ctx, benchSubject, "", s) })
	<-s.live
	benchPublish(b, publisher, benchLong)
	<-s.all
	cancel()
	wg.Wait()
	if s.gaps > 0 {
		b.Fatalf("%d gaps", s.gaps)
	}
}

func benchSinkBare(b *testing.B, nc, publisher *nats.Conn) {
	defer nc.Close()
	left, all := benchLong, make(chan struct{})
	_, err := nc.Subscribe(benchSubject, func(*nats.Msg) {
		if left--; left == 0 {
			close(all)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		b.Fatal(err)
	}
	benchPublish(b, publisher, benchLong)
	<-all
}
