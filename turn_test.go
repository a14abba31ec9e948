package broadcast_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// Nobody starves: of publishers that all want the turn all the time, each that
// has waited for a millisecond has it before any other has it again.
func TestTurn_IsFair(t *testing.T) {
	bubble(t, "five publishers", func(t *testing.T) {
		const publishers = 5
		hub := newHub[int](t, 0, broadcast.Block)
		s := hub.Subscribe()
		ctx, cancel := context.WithCancel(bg)
		var writers sync.WaitGroup
		for p := range publishers {
			writers.Go(func() {
				for hub.Publish(ctx, p) == nil {
					continue
				}
			})
		}
		counts := make([]int, publishers)
		for range 20 * publishers {
			time.Sleep(time.Millisecond)
			synctest.Wait()
			counts[<-s.C()]++
		}
		cancel()
		writers.Wait()
		for _, n := range counts {
			require.InDelta(t, 20, n, 1)
		}
	})
}

// Who was called and found the turn taken by one that was quicker is still the
// first in line.
func TestTurn_LoserStaysFirst(t *testing.T) {
	bubble(t, "called in vain", func(t *testing.T) {
		for range 100 {
			a := newAudit(newHub[int](t, 9, broadcast.Block))
			a.refer(9)
			resume := make(chan struct{})
			a.subscribe(broadcast.Block, 9, broadcast.WithFilter(func(e int) bool {
				if e <= 2 {
					<-resume
				}
				return true
			}))
			quick := async(func() error { return errors.Join(a.hub.Publish(bg, 1), a.hub.Publish(bg, 2)) })
			quick.requireBlocked(t, "publish in the filter")
			var line []running[error]
			for e := 3; e <= 5; e++ {
				line = append(line, async(func() error { return a.hub.Publish(bg, e) }))
				synctest.Wait()
			}
			resume <- struct{}{} // its second publish may come before the first in line
			synctest.Wait()
			close(resume)
			require.NoError(t, quick.returned(t, "both publishes"))
			for _, p := range line {
				require.NoError(t, p.returned(t, "publish in line"))
			}
			checkLaws(t, a)
			order := slices.DeleteFunc(slices.Clone(a.timeline), func(e int) bool { return e == 2 })
			require.Equal(t, []int{1, 3, 4, 5}, order)
		}
	})
}

// A publisher whose context ends just as it is given the turn gives it on.
func TestTurn_GrantAgainstCancel(t *testing.T) {
	bubble(t, "at the same instant", func(t *testing.T) {
		for i := range 200 {
			b := newBlockedHub(t, 1, false)
			ctx, cancel := context.WithCancelCause(bg)
			first := async(func() error { return b.hub.Publish(ctx, 3) })
			synctest.Wait()
			second := async(func() error { return b.hub.Publish(bg, 4) })
			synctest.Wait()
			time.Sleep(time.Duration(i%3) * time.Millisecond) // who waits for longer is handed the turn
			go b.full[0].consume()
			go cancel(errTest)
			synctest.Wait()
			require.NoError(t, b.publish.returned(t, "publish with room"))
			switch err := first.returned(t, "publish whose context ended"); {
			case err == nil:
				b.timeline = append(b.timeline, 3)
			case errors.Is(err, broadcast.ErrPartial): // it ended only when this one waited for room
				require.ErrorIs(t, err, errTest)
				b.timeline, b.canceling = append(b.timeline, 3), true
			default:
				require.Equal(t, errTest, err)
			}
			require.NoError(t, second.returned(t, "the next in line"))
			b.timeline = append(b.timeline, 4)
			b.other.drain()
			checkLaws(t, b.audit)
			b.hub.Close()
		}
	})
}

// Its context ends just before: it has woken up for that, and is handed the turn
// all the same, because it does not know yet.
func TestTurn_HandedAfterCancel(t *testing.T) {
	bubble(t, "by the filter of the publish before", func(t *testing.T) {
		for range 100 {
			a := newAudit(newHub[int](t, 9, broadcast.Block))
			ctx, cancel := context.WithCancelCause(bg)
			w := a.subscribe(broadcast.Block, 9, broadcast.WithFilter(func(e int) bool {
				if e == 1 {
					time.Sleep(time.Second) // who waits for that long is handed the turn
					cancel(errTest)
				}
				return true
			}))
			before := async(func() error { return a.hub.Publish(bg, 1) })
			synctest.Wait()
			canceled := async(func() error { return a.hub.Publish(ctx, 2) })
			synctest.Wait()
			next := async(func() error { return a.hub.Publish(bg, 3) })
			time.Sleep(time.Minute)
			require.NoError(t, before.returned(t, "publish in the filter"))
			require.Equal(t, errTest, canceled.returned(t, "publish whose context ended"))
			require.NoError(t, next.returned(t, "the next in line"))
			a.timeline = []int{1, 3}
			require.Equal(t, a.timeline, w.drain())
			checkLaws(t, a)
		}
	})
}

// The same for one that is given the turn just as the hub closes.
func TestTurn_GrantAgainstClose(t *testing.T) {
	bubble(t, "at the same instant", func(t *testing.T) {
		for i := range 200 {
			b := newBlockedHub(t, 1, false)
			var line []running[error]
			for e := 3; e <= 5; e++ {
				line = append(line, async(func() error { return b.hub.Publish(bg, e) }))
				synctest.Wait()
			}
			time.Sleep(time.Duration(i%3) * time.Millisecond)
			go b.full[0].consume()
			go b.hub.Close()
			synctest.Wait()
			if err := b.publish.returned(t, "publish whose hub closed"); err != nil {
				require.ErrorIs(t, err, broadcast.ErrPartial)
			}
			for e, p := range line {
				err := p.returned(t, "publish in line")
				if err == nil || errors.Is(err, broadcast.ErrPartial) {
					b.timeline = append(b.timeline, 3+e)
				} else {
					require.Equal(t, broadcast.ErrClosed, err)
				}
			}
			b.other.drain()
			checkLaws(t, b.audit)
		}
	})
}

// A context that is done wins over the turn, however both came about.
func TestTurn_DoneContextWins(t *testing.T) {
	bubble(t, "deadline and room at the same instant", func(t *testing.T) {
		for range 50 {
			hub := newHub[int](t, 1, broadcast.Block)
			s := hub.Subscribe(broadcast.WithFilter(func(e int) bool {
				if e == 1 {
					time.Sleep(time.Second)
				}
				return true
			}))
			go func() { _ = hub.Publish(bg, 1) }()
			synctest.Wait()
			ctx, cancel := context.WithCancelCause(bg)
			cause := async(func() error { return hub.Publish(ctx, 2) })
			synctest.Wait()
			time.Sleep(time.Second - 1)
			cancel(errTest)
			require.Equal(t, errTest, cause.returned(t, "publish whose context ended"))
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			require.Equal(t, 1, <-s.C())
			require.EqualValues(t, 1, hub.Stats().Published)
		}
	})
}
