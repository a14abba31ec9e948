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

// A ring whose readers are all waited for uses its chunks again; one that a reader
// may skip ahead in leaves them to the collector until that reader has left.
func TestRing_UsesChunksAgain(t *testing.T) {
	const chunk = 64
	hub := newHub[wide](t, 1, broadcast.Block, broadcast.WithRing(chunk))
	publishChunk := func() {
		for range chunk {
			_ = hub.Publish(bg, wide{})
		}
	}
	perChunk := func(publish func()) float64 {
		for range 10 { // the directory turns over
			publish()
		}
		return testing.AllocsPerRun(100, publish)
	}
	require.Zero(t, perChunk(publishChunk), "without readers")

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
	require.Zero(t, perChunk(publishAndRead), "Next and ReadBatch")
	many.Close()
	one.Close()

	for _, policy := range []broadcast.Policy{
		broadcast.DropOldest, broadcast.Eject, broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { return broadcast.DropOldest }),
	} {
		skips := hub.NewReader(broadcast.WithPolicy(policy))
		read := func() {
			publishChunk()
			for skips.Err() == nil && skips.Stats().Len > 0 {
				_, _ = skips.ReadBatch(bg, batch)
			}
		}
		require.EqualValues(t, 1, perChunk(read), "%v", policy)
		skips.Close()
		require.Zero(t, perChunk(publishChunk), "when that has left")
	}
}

// Readers of all kinds come and are closed by others in the middle of a read, while
// the smallest ring uses its chunks again. Nobody reads what is being written: the race
// detector sees that, and the events show it.
func TestRing_ReuseBesideThoseWhoComeAndGo(t *testing.T) {
	hub := newHub[wide](t, 1, broadcast.Block, broadcast.WithRing(1))
	var reading sync.WaitGroup
	var stop atomic.Bool
	for i := range 4 {
		reading.Go(func() {
			for life := 0; !stop.Load(); life++ {
				opts := []broadcast.SubscribeOption{broadcast.WithReplay(1)}
				switch (i + life) % 4 {
				case 1:
					opts = append(opts, broadcast.WithFilter(func(wide) bool { return true }))
				case 2:
					opts = append(opts, broadcast.WithPolicy(broadcast.DropOldest))
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
