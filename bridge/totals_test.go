package bridge_test

import (
	"reflect"
	"testing"
	"testing/synctest"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

var _ broadcast.StatsSource = (*bridge.Bridge[string])(nil)

// The sums of all hubs go on when a topic has stopped, and the root's collector takes
// a bridge for a hub.
func TestStats_OfAllTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m, bridge.WithLinger(0), bridge.WithHub(1, broadcast.DropOldest))
		subscribe(t, b, "b", broadcast.WithName("stays"))
		newReader(t, b, "b")
		for range 3 {
			s := subscribe(t, b, "a")
			publish(m, "a", "1", "2", "3")
			publish(m, "b", "1")
			synctest.Wait()
			s.Close()
			synctest.Wait()
		}
		require.Len(t, states(b), 1)
		st := b.Stats()
		require.Equal(t, uint64(12), st.Published)
		require.Equal(t, uint64(15), st.Offered)
		require.Equal(t, uint64(8), st.Dropped)
		require.Equal(t, st.Dropped, st.DroppedBy.Oldest)
		require.Equal(t, 2, st.Subscribers)
		require.Equal(t, 1, st.Readers)
		names := 0
		for s := range b.Subscriptions() {
			if s.Name == "stays" {
				names++
				require.Equal(t, uint64(2), s.Dropped)
			}
		}
		require.Equal(t, 1, names)
		problems, err := testutil.CollectAndLint(broadcast.NewCollector("bridge", b))
		require.NoError(t, err)
		require.Empty(t, problems)
		b.Close()
		st.Subscribers, st.Readers = 0, 0
		require.Equal(t, st, b.Stats(), "the final totals")
	})
}

// A topic that is ending counts too: no scrape sees a sum go back.
func TestStats_Monotone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowEnd{Memory: bridgetest.NewMemory(radio), leave: make(chan struct{})}
		b := newBridge(t, slow, bridge.WithLinger(0))
		s := subscribe(t, b, "a")
		publish(slow.Memory, "a", "1")
		synctest.Wait()
		s.Close()
		synctest.Wait()
		require.Equal(t, uint64(1), b.Stats().Published)
		next := async(func() error { _, err := b.Subscribe(bg, "a"); return err })
		next.requireBlocked(t, "Subscribe")
		require.Equal(t, uint64(1), b.Stats().Published, "another one has taken its place")
		close(slow.leave)
		require.NoError(t, next.returned(t, "Subscribe"))
		require.Equal(t, uint64(1), b.Stats().Published)
	})
}

// Every counter that a hub has is summed up.
func TestStats_AllCounters(t *testing.T) {
	var one, sum broadcast.Stats
	n := fill(reflect.ValueOf(&one).Elem(), 0)
	require.Positive(t, n)
	bridge.Add(&sum, one)
	one.Subscribers, one.Readers = 0, 0
	require.Equal(t, one, sum)
}

// fill gives each number of v a value of its own.
func fill(v reflect.Value, n int) int {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Struct:
			n = fill(f, n)
		case reflect.Uint64:
			n++
			f.SetUint(uint64(n))
		}
	}
	return n
}
