package bridge_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/stretchr/testify/require"
)

// A policy that can block is refused where the source is not Pausable.
func TestPolicy_NotPausable(t *testing.T) {
	answers := broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { return broadcast.DropOldest })
	blocking := map[string]broadcast.Policy{
		"Block": broadcast.Block, "BlockFor": broadcast.BlockFor(time.Second, broadcast.DropOldest), "own": answers,
	}
	lossy := map[string]broadcast.Policy{
		"DropNewest": broadcast.DropNewest, "DropOldest": broadcast.DropOldest, "Eject": broadcast.Eject,
		"BlockFor 0": broadcast.BlockFor(0, broadcast.Eject),
	}
	for name, p := range blocking {
		t.Run("New/"+name, func(t *testing.T) {
			_, err := bridge.New(bridgetest.NewMemory(radio), text, bridge.WithHub(1, p))
			require.ErrorContains(t, err, "not Pausable")
			b, err := bridge.New(bridgetest.NewMemory(log), text, bridge.WithHub(1, p))
			require.NoError(t, err)
			b.Close()
		})
	}
	for name, p := range lossy {
		t.Run("New/"+name, func(t *testing.T) {
			b, err := bridge.New(bridgetest.NewMemory(radio), text, bridge.WithHub(1, p))
			require.NoError(t, err)
			b.Close()
		})
	}
	for hubPolicy, p := range lossy {
		bubble(t, "subscribe/hub="+hubPolicy, func(t *testing.T) {
			m := bridgetest.NewMemory(radio)
			// A ring of its own size: what a subscriber may ask for depends on it.
			b := newBridge(t, m, bridge.WithHub(8, p, broadcast.WithRing(16)))
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			asked := false
			others := [][]broadcast.SubscribeOption{
				{},
				{broadcast.WithName("n"), broadcast.WithContext(ctx), broadcast.WithBuffer(16)},
				{broadcast.WithFilter(func(bridge.Event[string]) bool { asked = true; return true })},
				{broadcast.WithReplay(3)},
				{broadcast.WithReplay(0)},
			}
			for i, opts := range others {
				for name, p := range blocking {
					with := append(opts[:len(opts):len(opts)], broadcast.WithPolicy(p))
					_, err := b.Subscribe(bg, "a", with...)
					require.ErrorContains(t, err, "not Pausable", "Subscribe %s %d", name, i)
					_, err = b.NewReader(bg, "a", with...)
					require.ErrorContains(t, err, "not Pausable", "NewReader %s %d", name, i)
				}
				for name, p := range lossy {
					with := append(opts[:len(opts):len(opts)], broadcast.WithPolicy(p))
					s, err := b.Subscribe(bg, "a", with...)
					require.NoError(t, err, "Subscribe %s %d", name, i)
					s.Close()
					if name == "DropNewest" {
						require.Panics(t, func() { _, _ = b.NewReader(bg, "a", with...) }, "as of a hub")
						continue
					}
					r, err := b.NewReader(bg, "a", with...)
					require.NoError(t, err, "NewReader %s %d", name, i)
					r.Close()
				}
				s, err := b.Subscribe(bg, "a", opts...)
				require.NoError(t, err)
				s.Close()
				r, err := b.NewReader(bg, "a", opts...)
				require.NoError(t, err)
				r.Close()
			}
			_, err := b.NewReader(bg, "a", broadcast.WithResumeAfter(1), broadcast.WithPolicy(broadcast.Block))
			require.ErrorContains(t, err, "not Pausable")
			r, err := b.NewReader(bg, "a", broadcast.WithResumeAfter(1))
			require.NoError(t, err)
			r.Close()
			require.False(t, asked, "no code of the user's is run to find out")
		})
	}
}

// On a Pausable source Block holds up the intake, and loses nothing.
func TestPolicy_Pausable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(log)
		b := newBridge(t, m, bridge.WithHub(2, broadcast.Block))
		s := subscribe(t, b, "a")
		for i := range 100 {
			publish(m, "a", strconv.Itoa(i))
		}
		synctest.Wait()
		require.Equal(t, uint64(3), only(t, b).Messages, "two in the buffer, one that waits")
		for i := range 100 {
			require.Equal(t, strconv.Itoa(i), (<-s.C()).Value)
		}
	})
}

// What a slow subscriber loses is in its counts, under each lossy policy, and the
// others lose nothing.
func TestPolicy_StuckSubscriber(t *testing.T) {
	for _, p := range []broadcast.Policy{broadcast.DropNewest, broadcast.DropOldest, broadcast.Eject} {
		bubble(t, fmt.Sprint(p), func(t *testing.T) {
			m := bridgetest.NewMemory(radio)
			b := newBridge(t, m, bridge.WithHub(4, p))
			stuck := subscribe(t, b, "a")
			good := newReader(t, b, "a", broadcast.WithPolicy(broadcast.DropOldest))
			for i := range 1000 {
				publish(m, "a", strconv.Itoa(i))
				require.Equal(t, []string{strconv.Itoa(i)}, next(t, good, 1))
			}
			synctest.Wait()
			st := stuck.Stats()
			require.Equal(t, st.Offered, st.Received+uint64(st.Len)+st.Dropped)
			require.NotZero(t, st.Dropped)
			require.Zero(t, good.Stats().Dropped)
		})
	}
}
