package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/stretchr/testify/require"
)

func newAckBridge(t testing.TB, m bridge.Source, opts ...bridge.Option) *bridge.Bridge[string] {
	t.Helper()
	return newBridge(t, m, append(opts, bridge.WithAck())...)
}

func acked(m *bridgetest.Memory) uint64 {
	synctest.Wait()
	return m.Acked("a")
}

// Only what every reader has released is acknowledged.
func TestAck_TheSlowest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(queue)
		b := newAckBridge(t, m)
		quick, slow := newReader(t, b, "a"), newReader(t, b, "a")
		publish(m, "a", "1", "2", "3", "4", "5")
		next(t, quick, 5)
		require.Zero(t, acked(m))
		next(t, slow, 1)
		require.Zero(t, acked(m), "returned is not released")
		next(t, slow, 1)
		require.Equal(t, uint64(1), acked(m))
		next(t, slow, 3)
		require.Equal(t, uint64(4), acked(m), "neither has released the last one")
		slow.Close()
		require.Equal(t, uint64(4), acked(m))
		none := async(func() error { _, err := quick.Next(bg); return err })
		require.Equal(t, uint64(5), acked(m))
		require.Equal(t, uint64(5), only(t, b).Acknowledged)
		b.Close()
		require.ErrorIs(t, none.returned(t, "Next"), broadcast.ErrClosed)
	})
}

// A batch is released as a whole.
func TestAck_Batch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(queue)
		b := newAckBridge(t, m)
		r := newReader(t, b, "a")
		for i := range 100 {
			publish(m, "a", strconv.Itoa(i))
		}
		synctest.Wait()
		dst := make([]bridge.Event[string], 60)
		for _, want := range []struct {
			n     int
			acked uint64
		}{{60, 0}, {40, 60}} {
			n, err := r.ReadBatch(bg, dst)
			require.NoError(t, err)
			require.Equal(t, want.n, n)
			require.Equal(t, want.acked, acked(m))
		}
	})
}

// With no reader the intake pauses, and the next one starts behind what was
// acknowledged.
func TestAck_NextReader(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		bubble(t, fmt.Sprintf("stopped=%v", stopped), func(t *testing.T) {
			m := bridgetest.NewMemory(queue)
			b := newAckBridge(t, m)
			r := newReader(t, b, "a")
			publish(m, "a", "1", "2", "3", "4", "5")
			require.Equal(t, []string{"1", "2", "3"}, next(t, r, 3))
			synctest.Wait() // the others have come too
			r.Close()
			require.Equal(t, uint64(2), acked(m))
			publish(m, "a", "6", "7")
			synctest.Wait()
			require.Equal(t, uint64(5), only(t, b).Messages, "the intake pauses")
			want := []string{"3", "4", "5", "6", "7"}
			if stopped {
				time.Sleep(5 * time.Second)
				synctest.Wait()
				require.Empty(t, states(b))
				want = []string{"3 again", "4 again", "5 again", "6", "7"}
				// What the Run had taken and not delivered may be marked too: it is the source's to say.
			}
			r = newReader(t, b, "a")
			got := next(t, r, 5)
			if stopped && got[3] == "6 again" {
				want[3] = got[3]
			}
			require.Equal(t, want, got)
			require.Equal(t, uint64(6), acked(m))
		})
	}
}

// The reader that comes when nobody was there gets all that is in hand, also where
// the ring was full of it and whatever window it asks for.
func TestAck_NextReaderGetsAFullRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(queue)
		const ring = 10
		b := newAckBridge(t, m, bridge.WithHub(1, broadcast.Block, broadcast.WithRing(ring)))
		r := newReader(t, b, "a")
		for i := range 100 {
			publish(m, "a", strconv.Itoa(i))
		}
		// A batch that is not released, and the ring behind it: the intake must not go on.
		dst := make([]bridge.Event[string], ring)
		n, err := r.ReadBatch(bg, dst)
		require.NoError(t, err)
		synctest.Wait()
		require.LessOrEqual(t, only(t, b).Hub.Published, uint64(ring))
		r.Close()
		synctest.Wait()
		require.Zero(t, m.Acked("a"))

		r = newReader(t, b, "a", broadcast.WithBuffer(2), broadcast.WithResumeAfter(7))
		got := next(t, r, 100)
		require.Zero(t, r.Missed())
		require.Equal(t, dst[0].Value, got[0])
		for i := range got {
			require.Equal(t, strconv.Itoa(i), got[i])
		}
		require.Equal(t, uint64(99), acked(m))
		require.Positive(t, n)
	})
}

// Whatever waits for a place in the ring, all that is released is acknowledged at
// once, and not only when more comes.
func TestAck_AtOnce(t *testing.T) {
	for ring := 1; ring <= 4; ring++ {
		bubble(t, fmt.Sprint("ring=", ring), func(t *testing.T) {
			m := bridgetest.NewMemory(queue)
			b := newAckBridge(t, m, bridge.WithHub(1, broadcast.Block, broadcast.WithRing(ring)))
			r := newReader(t, b, "a")
			for i := range 500 {
				publish(m, "a", strconv.Itoa(i))
			}
			for i := range 250 {
				next(t, r, 2)
				require.Equal(t, uint64(2*i+1), acked(m))
			}
		})
	}
}

// Poison that was skipped is done in its turn.
func TestAck_Poison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(queue)
		b := newAckBridge(t, m)
		r := newReader(t, b, "a")
		publish(m, "a", "bad", "bad")
		require.Equal(t, uint64(2), acked(m), "nothing stands before it")
		publish(m, "a", "1", "bad", "bad", "2", "bad")
		require.Equal(t, uint64(2), acked(m))
		next(t, r, 1)
		require.Equal(t, uint64(2), acked(m))
		next(t, r, 1)
		require.Equal(t, uint64(5), acked(m))
		_ = async(func() error { _, err := r.Next(bg); return err })
		require.Equal(t, uint64(7), acked(m))
		b.Close()
	})
}

// Poison whose verdict ends the topic is not acknowledged.
func TestAck_PoisonThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(queue)
		b := newAckBridge(t, m, bridge.WithPoison(func(*bridge.Message, error) error { return errBad }))
		r := newReader(t, b, "a")
		publish(m, "a", "1", "bad", "2")
		require.Equal(t, []string{"1"}, next(t, r, 1))
		_, err := r.Next(bg)
		require.ErrorIs(t, err, errBad)
		require.LessOrEqual(t, acked(m), uint64(1))
	})
}

// A Run that fails has what was not acknowledged delivered again, marked, and there
// is no gap.
func TestAck_Redelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(queue)
		b := newAckBridge(t, m)
		r := newReader(t, b, "a")
		publish(m, "a", "1", "2", "3")
		require.Equal(t, []string{"1", "2", "3"}, next(t, r, 3))
		require.Equal(t, uint64(2), acked(m))
		m.Fail("a", errBad)
		synctest.Wait()
		publish(m, "a", "4")
		require.Equal(t, []string{"3 again", "4"}, next(t, r, 2))
		require.Equal(t, uint64(3), acked(m))
		publish(m, "a", "5")
		require.Equal(t, []string{"5"}, next(t, r, 1))
		require.Equal(t, uint64(4), acked(m))
		require.Zero(t, only(t, b).Gaps)
	})
}

// What is released while a Run has ended and the next one has not begun is delivered
// again: it cannot be told any more. It is not taken for the new Run's either.
func TestAck_NotOfTheNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(queue)
		b := newAckBridge(t, m)
		r := newReader(t, b, "a")
		publish(m, "a", "1", "2", "3")
		synctest.Wait()
		next(t, r, 1)
		m.Refuse(errBad)
		m.Fail("a", errBad)
		time.Sleep(time.Minute)
		next(t, r, 2)
		require.Zero(t, acked(m))
		m.Refuse(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Zero(t, acked(m), "the next Run has delivered them again, and nobody has released that")
		require.Equal(t, []string{"1 again", "2 again", "3 again"}, next(t, r, 3))
		require.Equal(t, uint64(2), acked(m))
	})
}

// An acknowledgement that fails is tried again.
func TestAck_Fails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(queue)
		src := &failingAcks{Memory: m}
		src.fail.Store(true)
		b := newAckBridge(t, src)
		r := newReader(t, b, "a")
		publish(m, "a", "1", "2", "3")
		next(t, r, 3)
		time.Sleep(time.Hour)
		require.Zero(t, acked(m))
		src.fail.Store(false)
		time.Sleep(time.Second)
		require.Equal(t, uint64(2), acked(m))
	})
}

// failingAcks is a source whose acknowledgements may fail.
type failingAcks struct {
	*bridgetest.Memory
	fail atomic.Bool
}

func (f *failingAcks) Ack(ctx context.Context, pattern string, n uint64) error {
	if f.fail.Load() {
		return errors.New("no")
	}
	return f.Memory.Ack(ctx, pattern, n)
}

// With WithAck there are only readers with Block.
func TestAck_OnlyBlockReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(queue)
		b := newAckBridge(t, m)
		_, err := b.Subscribe(bg, "a", broadcast.WithPolicy(broadcast.Block))
		require.ErrorContains(t, err, "use NewReader")
		for _, p := range []broadcast.Policy{broadcast.DropOldest, broadcast.Eject, broadcast.BlockFor(0, broadcast.DropOldest)} {
			_, err = b.NewReader(bg, "a", broadcast.WithPolicy(p))
			require.ErrorContains(t, err, "must not lose", "%v", p)
		}
		require.Panics(t, func() { _, _ = b.NewReader(bg, "a", broadcast.WithPolicy(broadcast.DropNewest)) })
		for _, n := range []int{0, 1} {
			_, err = b.NewReader(bg, "a", broadcast.WithReplay(n))
			require.ErrorContains(t, err, "leave WithReplay out")
		}
		require.Zero(t, m.Runs("a"))
		newReader(t, b, "a", broadcast.WithPolicy(broadcast.Block), broadcast.WithName("n")).Close()

		// One that waits for a bounded time is taken for one that waits.
		r := newReader(t, b, "b", broadcast.WithPolicy(broadcast.BlockFor(1, broadcast.Eject)))
		for i := range 10000 {
			publish(m, "b", strconv.Itoa(i))
		}
		time.Sleep(time.Hour)
		require.Len(t, next(t, r, 10000), 10000)
	})
}
