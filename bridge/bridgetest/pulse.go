package bridgetest

import (
	"sync/atomic"
	"time"
)

// pulse is a timer that comes back at once. By how much it is late is how long this
// process was not run though it was to be: on a machine that has other work, that is
// no fault of a source.
type pulse struct {
	began time.Time
	last  atomic.Int64 // ns behind began
	late  atomic.Int64 // ns in all, up to last
}

const beat = 10 * time.Millisecond

// start returns a function that ends the pulse and waits for its goroutine.
func (p *pulse) start() (stop func()) {
	p.began = time.Now()
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		next := time.NewTimer(beat)
		defer next.Stop()
		for {
			select {
			case <-next.C:
			case <-quit:
				return
			}
			late, now := p.behind()
			p.late.Store(int64(late))
			p.last.Store(int64(now))
			next.Reset(beat)
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// behind is how late the pulse is in all.
func (p *pulse) behind() (late, now time.Duration) {
	last := time.Duration(p.last.Load())
	now = time.Since(p.began)
	return time.Duration(p.late.Load()) + max(0, now-last-beat), now
}

// stopwatch begins to measure. What it returns says how long this process has had since
// then: the time, less that in which it was not run. With virtual time that is the time.
func (e *env) stopwatch() func() time.Duration {
	began := time.Now()
	if e.pulse == nil {
		return func() time.Duration { return time.Since(began) }
	}
	before, _ := e.pulse.behind()
	return func() time.Duration {
		late, _ := e.pulse.behind()
		return time.Since(began) - max(0, late-before)
	}
}
