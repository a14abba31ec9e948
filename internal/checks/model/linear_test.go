package model

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/gobroadcast/broadcast"
)

var (
	histories = flag.Int("histories", 200, "how many histories TestLinearizable checks")
	length    = flag.Int("length", 100, "about how many operations a history has")
	seed      = flag.Uint64("seed", 0, "of the first history; 0: a random one")
)

// TestLinearizable lets goroutines use a hub on the real scheduler, records when
// each operation was called and returned and with what, and has porcupine find
// an order of all operations, each at one moment between its call and its
// return, in which a set and a log give the same results.
func TestLinearizable(t *testing.T) {
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	total, overlapping := 0, 0
	for i := range uint64(*histories) {
		h := record(first+i, *length)
		if err := h.check(); err != nil {
			t.Fatalf("%v\nthe same program, though not the same schedule: go test ./internal/checks/model -run TestLinearizable -histories 1 -length %d -seed %d\n%s",
				err, *length, first+i, h.listing())
		}
		total += len(h.ops)
		overlapping += h.overlapping()
	}
	t.Logf("%d histories of %d operations in all, %d of which overlap the one before (seed %d)", *histories, total, overlapping, first)
}

// history is one run.
type history struct {
	hub   *broadcast.Hub[int]
	tight bool
	clock atomic.Int64

	mu   sync.Mutex
	ops  []porcupine.Operation
	lens []measured

	subs   atomic.Int64
	events atomic.Int64
}

// measured is a call of Len.
type measured struct {
	call, ret int64
	n         int
}

// did records an operation and does it.
func (h *history) did(who int, in input, do func() output) output {
	call := h.clock.Add(1)
	out := do()
	ret := h.clock.Add(1)
	h.mu.Lock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: who, Input: in, Output: out, Call: call, Return: ret})
	h.mu.Unlock()
	return out
}

func record(seed uint64, length int) *history {
	rng := func(who int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(who))) }
	dice := rng(-1)
	h := &history{tight: dice.IntN(2) == 0}
	buffer := length // nobody is ever full
	if h.tight {
		buffer = dice.IntN(3)
	}
	h.hub = broadcast.New[int](buffer, broadcast.Block)
	// The reference is never full, and so has the timeline.
	reference := h.hub.Subscribe(broadcast.WithBuffer(length))

	const publishers, subscribers = 2, 2
	var running sync.WaitGroup
	var busy atomic.Int64 // workers that are not done
	start := make(chan struct{})
	worker := func(who int, work func(who int, rng *rand.Rand)) {
		busy.Add(1)
		running.Go(func() {
			defer busy.Add(-1)
			<-start
			work(who, rng(who))
		})
	}
	for who := range publishers {
		worker(who, func(who int, rng *rand.Rand) { h.publish(who, rng, length/6) })
	}
	for who := range subscribers {
		worker(publishers+who, func(who int, rng *rand.Rand) { h.consume(who, rng, length/4) })
	}
	worker(publishers+subscribers, func(_ int, rng *rand.Rand) { h.measure(rng, length/10) })
	if dice.IntN(3) == 0 {
		worker(publishers+subscribers+1, func(who int, rng *rand.Rand) {
			for at := int64(rng.IntN(2 * length)); h.clock.Load() < at && busy.Load() > 1; {
				runtime.Gosched()
			}
			h.close(who)
			pause(rng)
			h.close(who)
		})
	}
	close(start)
	running.Wait()
	h.close(0)

	place := map[int]int{}
	for e := range reference.C() {
		place[e] = len(place)
	}
	for i, op := range h.ops {
		if in, out := op.Input.(input), op.Output.(output); in.verb == doPublish {
			at, there := place[in.event]
			if !there {
				at = nowhere
			}
			out.place = at
			h.ops[i].Output = out
		}
	}
	return h
}

// pause varies the schedule.
func pause(rng *rand.Rand) {
	for range max(0, rng.IntN(12)-8) {
		runtime.Gosched()
	}
}

func (h *history) publish(who int, rng *rand.Rand, n int) {
	for range n {
		pause(rng)
		ctx, cancel := context.WithCancel(context.Background())
		canceling := make(chan struct{})
		if !h.tight && rng.IntN(4) == 0 {
			go func() {
				cancel()
				close(canceling)
			}()
			pause(rng)
		} else {
			close(canceling)
		}
		event := int(h.events.Add(1))
		h.did(who, input{verb: doPublish, event: event}, func() output {
			return output{result: outcome(h.hub.Publish(ctx, event))}
		})
		cancel()
		<-canceling
	}
}

func outcome(err error) result {
	switch {
	case err == nil:
		return fine
	case errors.Is(err, broadcast.ErrPartial):
		return published
	case errors.Is(err, broadcast.ErrClosed):
		return closed
	}
	return nothing
}

// consume subscribes, receives without waiting, and closes, in turns, with up to
// two subscriptions at a time.
func (h *history) consume(who int, rng *rand.Rand, n int) {
	subs := map[int]*broadcast.Subscription[int]{}
	keys := func() []int { return slices.Sorted(maps.Keys(subs)) }
	for range n {
		pause(rng)
		switch dice := rng.IntN(10); {
		case len(subs) == 0 || len(subs) < 2 && dice < 2:
			k := int(h.subs.Add(1))
			h.did(who, input{verb: doSubscribe, sub: k}, func() output {
				subs[k] = h.hub.Subscribe()
				return output{}
			})
		case dice == 2:
			k := keys()[rng.IntN(len(subs))]
			h.leave(who, k, subs[k])
			delete(subs, k)
		default:
			k := keys()[rng.IntN(len(subs))]
			h.did(who, input{verb: doReceive, sub: k}, func() output {
				select {
				case e, ok := <-subs[k].C():
					return received(e, ok)
				default:
					return output{result: nothing}
				}
			})
		}
	}
	for _, k := range keys() {
		h.leave(who, k, subs[k])
	}
}

func received(e int, ok bool) output {
	if !ok {
		return output{result: closed}
	}
	return output{event: e}
}

// leave closes a subscription and receives what it holds.
func (h *history) leave(who, k int, s *broadcast.Subscription[int]) {
	h.did(who, input{verb: doCloseSub, sub: k}, func() output {
		s.Close()
		return output{}
	})
	for more := true; more; {
		out := h.did(who, input{verb: doReceive, sub: k}, func() output {
			e, ok := <-s.C()
			return received(e, ok)
		})
		more = out.result == fine
	}
}

func (h *history) measure(rng *rand.Rand, n int) {
	for range n {
		pause(rng)
		call := h.clock.Add(1)
		n := h.hub.Len()
		ret := h.clock.Add(1)
		h.lens = append(h.lens, measured{call, ret, n})
	}
}

func (h *history) close(who int) {
	h.did(who, input{verb: doClose}, func() output {
		h.hub.Close()
		return output{}
	})
}

const checkTimeout = 20 * time.Second

// check is whether the history as a whole is linearizable, and what each
// subscription sees of it.
func (h *history) check() error {
	all := slices.DeleteFunc(slices.Clone(h.ops), func(op porcupine.Operation) bool {
		return op.Input.(input).verb == doReceive && op.Output.(output).result == nothing
	})
	if got := porcupine.CheckOperationsTimeout(specification(h.tight, false), all, checkTimeout); got != porcupine.Ok {
		return fmt.Errorf("the history: %v, want it linearizable (tight: %v)", got, h.tight)
	}
	for k := range int(h.subs.Load()) {
		its := slices.DeleteFunc(slices.Clone(h.ops), func(op porcupine.Operation) bool {
			in := op.Input.(input)
			return in.verb != doPublish && in.verb != doClose && in.sub != k+1
		})
		if got := porcupine.CheckOperationsTimeout(specification(h.tight, true), its, checkTimeout); got != porcupine.Ok {
			return fmt.Errorf("what subscription %d sees: %v, want it linearizable (tight: %v)", k+1, got, h.tight)
		}
	}
	return h.checkLens()
}

// checkLens is whether every Len lies between how many were live all the time
// and how many may have been live at some time during the call. That is less than
// linearizability: it does not compare one Len with another.
func (h *history) checkLens() error {
	type life struct{ from, fromRet, to, toRet int64 }
	lives := map[int]life{0: {}} // 0: the reference
	hubClose := life{to: h.clock.Load(), toRet: h.clock.Load()}
	for _, op := range h.ops {
		if op.Input.(input).verb == doClose {
			// Of several, the first that is called may be the one, or another that
			// has returned before it.
			hubClose.to = min(hubClose.to, op.Call)
			hubClose.toRet = min(hubClose.toRet, op.Return)
		}
	}
	for _, op := range h.ops {
		if in := op.Input.(input); in.verb == doSubscribe {
			lives[in.sub] = life{from: op.Call, fromRet: op.Return}
		}
	}
	for k, l := range lives {
		l.to, l.toRet = hubClose.to, hubClose.toRet
		for _, op := range h.ops {
			if in := op.Input.(input); in.verb == doCloseSub && in.sub == k {
				l.to, l.toRet = min(l.to, op.Call), min(l.toRet, op.Return)
			}
		}
		lives[k] = l
	}
	for _, m := range h.lens {
		least, most := 0, 0
		for _, l := range lives {
			if l.fromRet < m.call && l.to > m.ret {
				least++
			}
			if l.from < m.ret && l.toRet > m.call {
				most++
			}
		}
		if m.n < least || m.n > most {
			return fmt.Errorf("Len = %d at %d to %d, want from %d to %d", m.n, m.call, m.ret, least, most)
		}
	}
	return nil
}

// overlapping is how many operations began before all earlier ones were over.
func (h *history) overlapping() (n int) {
	ops := slices.Clone(h.ops)
	slices.SortFunc(ops, byCall)
	last := int64(0)
	for _, op := range ops {
		if op.Call < last {
			n++
		}
		last = max(last, op.Return)
	}
	return n
}

func byCall(a, b porcupine.Operation) int { return int(a.Call - b.Call) }

func (h *history) listing() string {
	var b strings.Builder
	ops := slices.Clone(h.ops)
	slices.SortFunc(ops, byCall)
	for _, op := range ops {
		fmt.Fprintf(&b, "%4d to %4d, goroutine %d: %s\n", op.Call, op.Return, op.ClientId, describe(op.Input.(input), op.Output.(output)))
	}
	return b.String()
}
