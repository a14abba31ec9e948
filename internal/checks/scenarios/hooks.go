package scenarios

import (
	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

// interested is a world without a reference, whose hooks keep what they are told.
func interested(x *sched.X) *world {
	var edges []bool
	ejects := 0
	w := &world{X: x, outcomes: map[int]error{}}
	w.hub = broadcast.New[int](1, broadcast.Block,
		broadcast.WithInterest(func(active bool) {
			sched.Touch("hook of interest")
			edges = append(edges, active)
		}),
		broadcast.WithOnEject(func(broadcast.SubscriptionStats) {
			sched.Touch("hook of ejects")
			ejects++
		}))
	x.Check(func() {
		for i, active := range edges {
			if active != (i%2 == 0) {
				x.Errorf("law 8: edges of interest %v do not alternate", edges)
			}
		}
		live := w.hub.Len() > 0
		if len(edges) > 0 && edges[len(edges)-1] != live {
			x.Errorf("law 8: edges %v, though %d are live", edges, w.hub.Len())
		}
		if got := w.hub.Stats().Ejected; uint64(ejects) != got {
			x.Errorf("law 8: told of %d ejects of %d", ejects, got)
		}
	})
	x.Check(w.laws)
	return w
}

func interest(x *sched.X) {
	w := interested(x)
	w.Go("subscriber A", func() { w.subscribe(broadcast.Block, 1).Close() })
	w.Go("subscriber B", func() { w.subscribe(broadcast.Block, 1) })
}

func interestEject(x *sched.X) {
	w := interested(x)
	w.subscribe(broadcast.Eject, 1)
	w.publishes("publisher", bg, 1, 2)
	w.Go("subscriber", func() { w.subscribe(broadcast.DropNewest, 1).Close() })
}

func hookPublishes(x *sched.X) {
	var w *world
	w = newWorld(x, broadcast.WithOnEject(func(broadcast.SubscriptionStats) {
		w.publish(bg, 100)
		w.hub.Close()
	}))
	w.closing = true
	w.subscribe(broadcast.Eject, 1)
	w.publishes("publisher A", bg, 1, 2)
	w.publishes("publisher B", bg, 11)
}
