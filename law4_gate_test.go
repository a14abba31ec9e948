package broadcast_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// Readers leave while a publisher goes over so many that it lets others at the mutex
// in between. One that takes a leaver's place is looked at once: when it leaves too,
// nobody waits for it.
func TestRegression_GateListsAReaderOnce(t *testing.T) {
	const all, some, rounds = 5000, 8, 60
	hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(8))
	var readers []*broadcast.Reader[int]
	join := func(n int) {
		for range n {
			readers = append(readers, hub.NewReader(broadcast.WithBuffer(1)))
		}
	}
	publish := func() {
		ctx, cancel := context.WithTimeout(bg, 10*time.Second)
		defer cancel()
		rescue := context.AfterFunc(ctx, hub.Close) // it spun, and only that ended it
		defer rescue()
		require.NoError(t, hub.Publish(ctx, 1))
	}
	publishAndRead := func(meanwhile func()) {
		publish()
		meanwhile()
		for _, r := range readers {
			_, err := r.Next(bg)
			require.NoError(t, err)
		}
	}
	join(all)
	for range rounds {
		join(some) // which has the publisher look at all of them
		publishAndRead(func() {})
		var leaving sync.WaitGroup
		for _, r := range readers[:some] {
			leaving.Go(r.Close)
		}
		publishAndRead(func() {
			leaving.Wait()
			readers = readers[some:]
		})
		for range some { // those that have taken the places
			readers[len(readers)-1].Close()
			readers = readers[:len(readers)-1]
		}
		publishAndRead(func() {})
		join(some)
	}
}
