package scenarios

import (
	"errors"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

func policyCloses(x *sched.X) {
	w := newWorld(x)
	var other *witness
	s := w.subscribe(broadcast.PolicyFunc(func(o broadcast.Overflow) broadcast.Action {
		if want := (broadcast.Overflow{ID: 2, Cap: 1}); o != want {
			x.Errorf("law 6: its policy was told %+v, want %+v", o, want)
		}
		other.Close()
		return broadcast.Eject
	}), 1)
	other = w.subscribe(broadcast.Block, 1)
	w.fill(1)
	w.publishes("publisher", bg, 2, 3)
	w.Go("closer", func() {
		s.Close()
		other.Close()
	})
}

func policyFunc(x *sched.X) {
	w := newWorld(x)
	answers := []broadcast.Action{broadcast.DropNewest, broadcast.DropOldest, broadcast.Eject}
	var asked []broadcast.Overflow
	s := w.subscribe(broadcast.PolicyFunc(func(o broadcast.Overflow) broadcast.Action {
		sched.Touch("policy")
		if n := len(asked); n > 0 && o.Consecutive != 0 && o.Consecutive != asked[n-1].Consecutive+1 || n == 0 && o.Consecutive != 0 {
			x.Errorf("law 6: Consecutive = %d after %+v", o.Consecutive, asked)
		}
		asked = append(asked, o)
		// The first event is lost for certain; the second makes room, unless the consumer does.
		if n := uint64(len(asked) - 1); o.Dropped > n || o.Dropped < min(n, 1) || o.ID != 2 || o.Cap != 1 {
			x.Errorf("law 6: its policy was told %+v", asked)
		}
		return answers[len(asked)-1]
	}), 1)
	w.publishes("publisher A", bg, 1, 2)
	w.publishes("publisher B", bg, 11, 12)
	w.receives("consumer", s, 1)
	x.Check(func() {
		if ejected := len(asked) == 3; ejected != errors.Is(s.Err(), broadcast.ErrEjected) || s.Stats().Dropped > uint64(len(asked)) {
			x.Errorf("law 6: asked %+v, Err = %v, %d lost", asked, s.Err(), s.Stats().Dropped)
		}
	})
}

func blockFor(x *sched.X) {
	w := newWorld(x)
	a := w.subscribe(broadcast.BlockFor(time.Second, broadcast.DropNewest), 1)
	b := w.subscribe(broadcast.BlockFor(2*time.Second, broadcast.Eject), 1)
	w.fill(1)
	start := time.Now()
	w.Go("publisher", func() {
		w.publish(bg, 2)
		took, dropped := time.Since(start), w.hub.Stats().DroppedBy
		// The clock may pass a second more before the publisher goes on.
		if dropped.Newest > 0 && took < time.Second || dropped.Ejected > 0 && took < 2*time.Second || took > 3*time.Second {
			x.Errorf("law 3: it waited %v, one for 1 s and one for 2 s at most: %+v", took, dropped)
		}
	})
	w.receives("consumer", a, 1)
	w.Clock(time.Second)
	w.Go("closer", b.Close)
}
