package scenarios

import (
	"context"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/internal/checks/sched"
)

// In turnTwoAtOnce A calls B to its turn, and has it again with event 5 before B looks.
// Time passes, so that C, who is next, would be handed the turn; and the context of B ends.
func turnTwoAtOnce(x *sched.X) {
	w := newWorld(x)
	w.canceling = true
	s := w.subscribe(broadcast.Block, 1)
	w.fill(1)
	ctx, cancel := context.WithCancel(bg)
	w.publishes("publisher A", bg, 2, 5) // with 5 it has the turn again, before B looks
	w.publishes("publisher B", ctx, 3)
	w.publishes("publisher C", bg, 4)
	w.Clock(2 * time.Millisecond)
	w.Go("consumer", func() {
		rest := func() { sched.Recv(time.After(100*time.Microsecond), "rest") }
		s.take(1)
		rest() // until the clock has passed: no time passes before
		sched.Cancel(cancel, "cancel")
		rest() // until B has seen that
		s.take(1)
		rest() // until A has returned
		s.Close()
	})
}
