package sched

import (
	"reflect"
	"time"
)

// Case is one case of a select.
type Case interface {
	// ready tells whether the case can go on. It may have received: from a closed
	// channel, which has no effect, or a tick, which nobody else waits for.
	ready(r *run) readiness
	try() bool
	reflect() reflect.SelectCase
	got(v reflect.Value, ok bool)
	sends() uintptr // the unbuffered channel that it sends on, or 0
}

type readiness uint8

const (
	not   readiness = iota
	maybe           // only trying shows
	yes
	taken // it has received, from a sender that is no actor, and must go on
)

// Select waits until one of cases can go on and returns its index. Where several
// can, each is tried in schedules of its own.
func Select(label string, cases ...Case) int {
	r := active.Load()
	if r == nil {
		return block(cases)
	}
	a := r.point(label)
	if i, did := r.attempt(cases); did {
		return i
	}
	r.stirred = true
	r.offer(cases, 1)
	i := block(cases)
	r.offer(cases, -1)
	r.after(a, label+", done")
	return i
}

// TrySelect is Select that returns len(cases) instead of waiting.
func TrySelect(label string, cases ...Case) int {
	r := active.Load()
	if r != nil {
		r.point(label)
		if i, did := r.attempt(cases); did {
			return i
		}
		return len(cases)
	}
	for i, c := range cases {
		if c.try() {
			return i
		}
	}
	return len(cases)
}

// attempt does one of the cases that can go on, if there is one.
func (r *run) attempt(cases []Case) (done int, did bool) {
	var open []int
	for i, c := range cases {
		switch c.ready(r) {
		case taken:
			r.stirred = true
			return i, true
		case yes, maybe:
			open = append(open, i)
		}
	}
	first := 0
	if len(open) > 1 {
		first = r.choose(len(open))
	}
	for k := range open {
		i := open[(first+k)%len(open)]
		if cases[i].try() {
			r.stirred = true
			return i, true
		}
	}
	return 0, false
}

// offer tells of the sends among cases that n more actors wait for them.
func (r *run) offer(cases []Case, n int) {
	for _, c := range cases {
		if ch := c.sends(); ch != 0 {
			r.send(ch, n)
		}
	}
}

func block(cases []Case) int {
	list := make([]reflect.SelectCase, len(cases))
	for i, c := range cases {
		list[i] = c.reflect()
	}
	i, v, ok := reflect.Select(list)
	cases[i].got(v, ok)
	return i
}

// Sending is the case of a send.
type Sending[T any] struct {
	ch chan<- T
	v  T
}

// SendCase makes one.
func SendCase[T any](ch chan<- T, v T) *Sending[T] { return &Sending[T]{ch, v} }

func (s *Sending[T]) sends() uintptr { return unbuffered(s.ch, cap(s.ch)) }

func (s *Sending[T]) ready(*run) readiness {
	switch {
	case s.ch == nil:
		return not
	case len(s.ch) < cap(s.ch):
		return yes
	case cap(s.ch) == 0:
		return maybe
	}
	return not
}

func (s *Sending[T]) try() bool {
	select {
	case s.ch <- s.v:
		return true
	default:
		return false
	}
}

func (s *Sending[T]) reflect() reflect.SelectCase {
	return reflect.SelectCase{Dir: reflect.SelectSend, Chan: reflect.ValueOf(s.ch), Send: reflect.ValueOf(&s.v).Elem()}
}

func (s *Sending[T]) got(reflect.Value, bool) {}

// Receiving is the case of a receive.
type Receiving[T any] struct {
	ch  <-chan T
	v   T
	ok  bool
	did bool // received while it was asked whether it was ready
}

// RecvCase makes one.
func RecvCase[T any](ch <-chan T) *Receiving[T] { return &Receiving[T]{ch: ch} }

// Got is what was received.
func (r *Receiving[T]) Got() (T, bool) { return r.v, r.ok }

func (r *Receiving[T]) sends() uintptr { return 0 }

func (r *Receiving[T]) ready(run *run) readiness {
	if len(r.ch) > 0 || run.sends(unbuffered(r.ch, cap(r.ch))) {
		return yes
	}
	select {
	case r.v, r.ok = <-r.ch:
		r.did = true
		if _, tick := any(r.v).(time.Time); r.ok && !tick {
			return taken
		}
		return yes
	default:
		return not
	}
}

func (r *Receiving[T]) try() bool {
	if r.did {
		return true
	}
	select {
	case r.v, r.ok = <-r.ch:
		return true
	default:
		return false
	}
}

func (r *Receiving[T]) reflect() reflect.SelectCase {
	return reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(r.ch)}
}

func (r *Receiving[T]) got(v reflect.Value, ok bool) {
	reflect.ValueOf(&r.v).Elem().Set(v)
	r.ok = ok
}

// reflected is the case of a reflect.Select.
type reflected struct {
	c   reflect.SelectCase
	v   reflect.Value
	ok  bool
	did bool
}

func (r *reflected) sends() uintptr {
	if r.c.Dir != reflect.SelectSend || !r.c.Chan.IsValid() || r.c.Chan.Cap() > 0 {
		return 0
	}
	return r.c.Chan.Pointer()
}

func (r *reflected) ready(run *run) readiness {
	switch {
	case !r.c.Chan.IsValid() || r.c.Chan.IsNil():
		return not
	case r.c.Dir == reflect.SelectSend && r.c.Chan.Len() < r.c.Chan.Cap():
		return yes
	case r.c.Dir == reflect.SelectSend && r.c.Chan.Cap() > 0:
		return not
	case r.c.Dir == reflect.SelectSend:
		return maybe
	case r.c.Chan.Len() > 0 || r.c.Chan.Cap() == 0 && run.sends(r.c.Chan.Pointer()):
		return yes
	}
	if !r.try() {
		return not
	}
	r.did = true
	if _, tick := r.v.Interface().(time.Time); r.ok && !tick {
		return taken
	}
	return yes
}

func (r *reflected) try() bool {
	if r.did {
		return true
	}
	i, v, ok := reflect.Select([]reflect.SelectCase{r.c, {Dir: reflect.SelectDefault}})
	r.v, r.ok = v, ok
	return i == 0
}

func (r *reflected) reflect() reflect.SelectCase { return r.c }

func (r *reflected) got(v reflect.Value, ok bool) { r.v, r.ok = v, ok }
