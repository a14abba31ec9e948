package broadcast

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A reader that two read at once is a wrong program, and may panic or miss events
// itself. The other readers of its hub have done nothing wrong: they get every event.
func TestPark_ReaderReadByTwoHurtsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New[int](16, Block)
		bad, good := h.NewReader(), h.NewReader()
		good.shard = bad.shard
		for range 2 {
			go func() {
				defer func() { _ = recover() }() // that is its own
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_, _ = bad.Next(ctx)
			}()
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)
		bad.Close()
		got := 0
		go func() {
			for range good.All(context.Background()) {
				got++
			}
		}()
		for range 3 {
			synctest.Wait()
			_ = h.Publish(context.Background(), 1)
		}
		synctest.Wait()
		defer h.Close()
		defer good.Close() // even if it is lost
		require.Equal(t, 3, got)
	})
}
