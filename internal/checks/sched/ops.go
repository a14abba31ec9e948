package sched

import (
	"context"
	"reflect"
	"runtime"
	"runtime/debug"
	"sync"
)

// Instrumented is set by the package under test when its sources were rewritten
// to report here.
var Instrumented bool

// dormant is the place of an actor whose goroutine has not begun.
const dormant = "not begun"

func stack() []byte { return debug.Stack() }

// Point is the yield before an operation on v, which it returns.
func Point[T any](v T, label string) T {
	Touch(label)
	return v
}

// Touch is the yield before an operation that does not wait.
func Touch(label string) {
	if r := active.Load(); r != nil {
		r.point(label)
	}
}

// Stir tells that the operation before may have woken somebody.
func Stir() {
	if r := active.Load(); r != nil {
		r.stirred = true
	}
}

// Gosched stands for runtime.Gosched: a yield like any other, so that letting others
// go on there costs a preemption too.
func Gosched(label string) {
	if r := active.Load(); r != nil {
		r.point(label)
		return
	}
	runtime.Gosched()
}

// Lock is m.Lock. An actor that cannot have m is not run, so it never waits.
func Lock(m *sync.Mutex, label string) {
	if r := active.Load(); r != nil {
		r.yield(r.current, m, label)
		r.held[m] = true
	}
	m.Lock()
}

// Unlock is m.Unlock. It needs no yield: whoever wants m could not go on before,
// and what others do commutes with it.
func Unlock(m *sync.Mutex) {
	if r := active.Load(); r != nil {
		delete(r.held, m)
	}
	m.Unlock()
}

// Send is ch <- v.
func Send[T any](ch chan<- T, v T, label string) {
	r := active.Load()
	if r == nil {
		ch <- v
		return
	}
	a := r.point(label)
	r.stirred = true
	place := unbuffered(ch, cap(ch))
	if place != 0 {
		r.send(place, 1)
	}
	ch <- v
	if place != 0 {
		r.send(place, -1) // the controller waits for a to park, so nobody sees it too late
	}
	r.after(a, label+", done")
}

// unbuffered is what tells an unbuffered channel from the others, or 0.
func unbuffered(ch any, capacity int) uintptr {
	if capacity > 0 {
		return 0
	}
	return reflect.ValueOf(ch).Pointer()
}

// Recv is <-ch.
func Recv[T any](ch <-chan T, label string) T {
	v, _ := Recv2(ch, label)
	return v
}

// Recv2 is <-ch with its second result.
func Recv2[T any](ch <-chan T, label string) (T, bool) {
	r := active.Load()
	if r == nil {
		v, ok := <-ch
		return v, ok
	}
	a := r.point(label)
	r.stirred = true
	v, ok := <-ch
	r.after(a, label+", done")
	return v, ok
}

// TryRecv is a receive that does not wait.
func TryRecv[T any](ch <-chan T, label string) (v T, ok, received bool) {
	Touch(label)
	select {
	case v, ok = <-ch:
		Stir()
		return v, ok, true
	default:
		return v, false, false
	}
}

// Close is close(ch).
func Close[T any](ch chan<- T, label string) {
	Touch(label)
	close(ch)
	Stir()
}

// Cancel calls cancel, which ends a context.
func Cancel(cancel func(), label string) {
	Touch(label)
	Stir() // before: it may wake somebody and go on
	cancel()
	Stir()
}

// Go is go f().
func Go(f func(), label string) {
	if r := active.Load(); r != nil {
		r.spawn(label, f)
		return
	}
	go f()
}

// AfterFunc is context.AfterFunc. The actor has its place from now on, also while
// the scenario is made, so that several which are started by one cancel have an order.
func AfterFunc(ctx context.Context, f func(), label string) func() bool {
	r := active.Load()
	if r == nil {
		r = building.Load()
	}
	if r == nil {
		return context.AfterFunc(ctx, f)
	}
	r.stirred = true // ctx may be done already
	a := r.add(label)
	a.at = dormant
	halt := context.AfterFunc(ctx, func() { adopt(a, f) })
	return func() bool {
		Touch(label + ", stop")
		return halt()
	}
}

// adopt makes the present goroutine the actor a, unless the run has not begun yet or
// is over.
func adopt(a *actor, f func()) {
	r := active.Load()
	if r == nil {
		f()
		a.done = true
		return
	}
	r.synchronise()
	a.at, a.parked = "start", true
	select {
	case r.arrived <- struct{}{}:
	default:
	}
	r.body(a, f)
}

// WaitGroupGo is wg.Go(f).
func WaitGroupGo(wg *sync.WaitGroup, f func(), label string) {
	r := active.Load()
	if r == nil {
		wg.Go(f)
		return
	}
	wg.Add(1)
	r.spawn(label, func() {
		defer func() {
			r.stirred = true
			wg.Done()
		}()
		f()
	})
}

// WaitGroupWait is wg.Wait().
func WaitGroupWait(wg *sync.WaitGroup, label string) {
	r := active.Load()
	if r == nil {
		wg.Wait()
		return
	}
	a := r.point(label)
	wg.Wait()
	r.after(a, label+", done")
}

// ReflectSelect is reflect.Select.
func ReflectSelect(cases []reflect.SelectCase, label string) (int, reflect.Value, bool) {
	list := make([]Case, len(cases))
	for i, c := range cases {
		list[i] = &reflected{c: c}
	}
	i := Select(label, list...)
	got := list[i].(*reflected)
	return i, got.v, got.ok
}
