package broadcast_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

// An eject in the middle of a pass makes the hub smaller, also where that is the moment
// to give back the lists of the flight: those who are to be waited for stay on them.
// After a flight to 100, the hub is brought to each size, so one of these is the moment.
func TestLaw2_EjectInPassLosesNobody(t *testing.T) {
	for size := range 100 {
		synctest.Test(t, func(t *testing.T) {
			hub := broadcast.New[int](1, broadcast.Block)
			defer hub.Close()
			ejected := hub.Subscribe(broadcast.WithPolicy(broadcast.Eject), broadcast.WithBuffer(2))
			subs := make([]*broadcast.Subscription[int], 99)
			for i := range subs {
				subs[i] = hub.Subscribe()
			}
			publish := func(event int) (done chan error) {
				done = make(chan error, 1)
				go func() { done <- hub.Publish(context.Background(), event) }()
				synctest.Wait()
				return done
			}
			take := func(event int) {
				for _, s := range subs {
					require.Equal(t, event, <-s.C())
				}
			}
			require.NoError(t, <-publish(1))
			done := publish(2)
			take(1)
			require.NoError(t, <-done)
			for _, s := range subs[size:] {
				s.Close()
			}
			subs = subs[:size]

			done = publish(3) // everyone is full
			require.ErrorIs(t, ejected.Err(), broadcast.ErrEjected)
			take(2)
			require.NoError(t, <-done)
			for _, s := range subs {
				require.Len(t, s.C(), 1, "of %d, %+v", size, s.Stats())
			}
			take(3)
		})
	}
}
