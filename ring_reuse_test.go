package broadcast_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// wide is an event of which a torn read shows.
type wide [8]uint64

func wideOf(n int) (w wide) {
	for i := range w {
		w[i] = uint64(n)
	}
	return w
}

// number is the event's, 0 if it is torn.
func (w wide) number() uint64 {
	if w != wideOf(int(w[0])) {
		return 0
	}
	return w[0]
}

const chunk = 64 // as many events come in one piece

var skipAhead = broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { return broadcast.DropOldest })

// requireAllocations has publish, which publishes a chunk, allocate once for that or not at
// all. AllocsPerRun rounds down, so it is given all rounds at once.
func requireAllocations(t *testing.T, perChunk int, publish func(), about ...any) {
	t.Helper()
	for range 10 { // the directory turns over
		publish()
	}
	const chunks = 100
	got := testing.AllocsPerRun(1, func() {
		for range chunks {
			publish()
		}
	})
	require.InDelta(t, perChunk*chunks, got, 5, about...)
}

// A ring uses its chunks again while its readers keep up, whether they are waited for or
// not; where very many are not, it leaves them to the collector.
func TestRing_UsesChunksAgain(t *testing.T) {
	hub := newHub[wide](t, 1, broadcast.Block, broadcast.WithRing(chunk))
	publishChunk := func() {
		for range chunk {
			_ = hub.Publish(bg, wide{})
		}
	}
	requireAllocations(t, 0, publishChunk, "without readers")

	one, many := hub.NewReader(), hub.NewReader()
	batch := make([]wide, chunk)
	publishAndRead := func() {
		publishChunk()
		for range chunk {
			_, _ = one.Next(bg)
		}
		for got := 0; got < chunk; {
			n, _ := many.ReadBatch(bg, batch)
			got += n
		}
	}
	requireAllocations(t, 0, publishAndRead, "Next and ReadBatch")
	many.Close()
	one.Close()

	for _, policy := range []broadcast.Policy{broadcast.DropOldest, broadcast.Eject, skipAhead} {
		const most = 64
		var loose []*broadcast.Reader[wide]
		join := func() { loose = append(loose, hub.NewReader(broadcast.WithPolicy(policy))) }
		read := func() {
			publishChunk()
			for _, r := range loose {
				for r.Stats().Len > 0 {
					_, _ = r.ReadBatch(bg, batch)
				}
			}
		}
		for range most {
			join()
		}
		requireAllocations(t, 0, read, "%v, %d readers", policy, most)
		join()
		requireAllocations(t, 1, read, "%v, %d readers", policy, most+1)
		for _, r := range loose {
			require.NoError(t, r.Err())
			r.Close()
		}
		requireAllocations(t, 0, publishChunk, "when they have left")
	}
}

// A reader that has stopped in the middle of a chunk keeps that one, and no other.
func TestRing_UsesAgainWhatAStalledReaderDoesNotHold(t *testing.T) {
	hub := newHub[wide](t, 1, broadcast.Block, broadcast.WithRing(chunk))
	stalled := hub.NewReader(broadcast.WithPolicy(broadcast.DropOldest))
	never := hub.NewReader(broadcast.WithPolicy(broadcast.DropOldest))
	n := 0
	publishChunk := func() {
		for range chunk {
			n++
			_ = hub.Publish(bg, wideOf(n))
		}
	}
	publishChunk()
	_, err := stalled.Next(bg)
	require.NoError(t, err)
	requireAllocations(t, 0, publishChunk)

	for _, r := range []*broadcast.Reader[wide]{stalled, never} {
		event, err := r.Next(bg)
		require.NoError(t, err)
		require.EqualValues(t, n-chunk+1, event.number())
		require.EqualValues(t, n-chunk+1, r.Seq())
	}
	require.EqualValues(t, n-chunk-1, stalled.Missed())
	require.EqualValues(t, n-chunk, never.Missed())
}

// While the filter of a reader that nobody waits for looks at an event, publishers go
// round the ring many times. The event is still what it was.
func TestLaw7_WhatAReaderHoldsIsNotOverwritten(t *testing.T) {
	hub := newHub[wide](t, 1, broadcast.DropOldest, broadcast.WithRing(1))
	asked, answer := make(chan struct{}), make(chan struct{})
	r := hub.NewReader(broadcast.WithFilter(func(e wide) bool {
		if e.number() == 1 {
			close(asked)
			<-answer
		}
		return true
	}))
	require.NoError(t, hub.Publish(bg, wideOf(1)))
	var (
		reading sync.WaitGroup
		event   wide
		err     error
	)
	reading.Go(func() { event, err = r.Next(bg) })
	<-asked
	for n := 2; n < 20*chunk; n++ {
		require.NoError(t, hub.Publish(bg, wideOf(n)))
	}
	close(answer)
	reading.Wait()
	require.NoError(t, err)
	require.EqualValues(t, 1, event.number(), "%v", event)
}

// Readers of all kinds come and are closed by others in the middle of a read, while
// the smallest ring uses its chunks again. Nobody reads what is being written: the race
// detector sees that, and the events show it.
func TestRing_ReuseBesideThoseWhoComeAndGo(t *testing.T) {
	hub := newHub[wide](t, 1, broadcast.Block, broadcast.WithRing(1))
	kinds := [...]broadcast.Policy{broadcast.Block, broadcast.DropOldest, broadcast.Block, skipAhead, broadcast.Eject}
	var reading sync.WaitGroup
	var stop atomic.Bool
	for i := range 4 {
		reading.Go(func() {
			for life := 0; !stop.Load(); life++ {
				opts := []broadcast.SubscribeOption{broadcast.WithReplay(1)}
				kind := (i + life) % len(kinds)
				opts = append(opts, broadcast.WithPolicy(kinds[kind]))
				if life%2 == 1 {
					opts = append(opts, broadcast.WithFilter(func(e wide) bool {
						if e.number() == 0 {
							t.Errorf("the filter was asked about %v", e)
						}
						return true
					}))
				}
				readUntilClosed(t, hub.NewReader(opts...), life)
			}
		})
	}
	events := 30_000
	if testing.Short() {
		events = 3000
	}
	for n := 1; n <= events; n++ {
		require.NoError(t, hub.Publish(bg, wideOf(n)))
	}
	stop.Store(true)
	hub.Close()
	reading.Wait()
}

// readUntilClosed reads while another goroutine closes r, after some events.
func readUntilClosed(t *testing.T, r *broadcast.Reader[wide], life int) {
	var closing sync.WaitGroup
	defer closing.Wait()
	defer r.Close()
	last := uint64(0)
	for got := 0; ; got++ {
		if got == 50+life%100 {
			closing.Go(r.Close)
		}
		event, err := r.Next(bg)
		if err != nil {
			return
		}
		if n := event.number(); n != r.Seq() || n <= last {
			t.Errorf("got %v as number %d, behind %d", event, r.Seq(), last)
			return
		}
		last = r.Seq()
	}
}
