package model

import (
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/anishathalye/porcupine"
)

// verb is what an operation of a history does.
type verb uint8

const (
	doSubscribe verb = iota
	doCloseSub
	doPublish
	doReceive
	doClose
)

// input is an operation of a history, and output what came of it.
type input struct {
	verb  verb
	sub   int // of doSubscribe, doCloseSub, doReceive
	event int // of doPublish
}

type output struct {
	result result
	event  int // of doReceive
	place  int // of doPublish: of its event in the timeline, from 0
}

type result uint8

const (
	fine      result = iota // it did what it is for
	nothing                 // a receive found nothing, or a publish published nothing since its context had ended
	closed                  // a receive found the channel closed, or an operation the hub
	published               // a publish that the hub's end cut off: it counts as published
)

// timeline is the sequential specification: a set of subscriptions and a log.
// What a subscription receives is a gapless stretch of the log, from where it
// joined to where it left.
type timeline struct {
	log    []int
	subs   map[int]cursor
	closed bool
	// tight tells that subscriptions may be full: the event that is in flight
	// when one leaves may be lost to it, and to it alone.
	tight bool
}

type cursor struct {
	next int // place in the log of what it receives next
	left int // where it left, or live
}

const (
	live    = -1
	nowhere = -1 // in the timeline
)

func (t *timeline) clone() *timeline {
	c := *t
	c.subs = make(map[int]cursor, len(t.subs)+1)
	for k, v := range t.subs {
		c.subs[k] = v
	}
	return &c
}

// specification is what porcupine checks histories against. With projected, it
// is for what one subscription sees, where a receive may find nothing only if
// there is nothing. Across subscriptions that cannot be asked: a publish gives
// its event to one after the other.
func specification(tight, projected bool) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return &timeline{tight: tight} },
		Step: func(state, in, out any) (bool, any) {
			return state.(*timeline).step(in.(input), out.(output), projected)
		},
		Equal: func(a, b any) bool { return a.(*timeline).equal(b.(*timeline)) },
		Hash:  func(a any) uint64 { return a.(*timeline).hash() },
		DescribeOperation: func(in, out any) string {
			return describe(in.(input), out.(output))
		},
	}
}

func (t *timeline) step(in input, out output, projected bool) (bool, *timeline) {
	s, known := t.subs[in.sub]
	switch in.verb {
	case doSubscribe:
		n := t.clone()
		n.subs[in.sub] = cursor{next: len(t.log), left: live}
		if t.closed {
			n.subs[in.sub] = cursor{next: len(t.log), left: len(t.log)}
		}
		return !known, n
	case doCloseSub:
		if !known || s.left != live {
			return known, t
		}
		n := t.clone()
		n.subs[in.sub] = cursor{next: s.next, left: len(t.log)}
		return true, n
	case doPublish:
		switch out.result {
		case closed:
			return t.closed && out.place == nowhere, t
		case nothing:
			return out.place == nowhere, t
		}
		if t.closed || out.place != len(t.log) {
			return false, t
		}
		n := *t
		n.log = append(slices.Clip(t.log), in.event)
		return true, &n
	case doReceive:
		if !known {
			return false, t
		}
		return t.receive(in.sub, s, out, projected)
	case doClose:
		n := t.clone()
		n.closed = true
		for k, s := range t.subs {
			if s.left == live {
				n.subs[k] = cursor{next: s.next, left: len(t.log)}
			}
		}
		return true, n
	}
	return false, t
}

func (t *timeline) receive(k int, s cursor, out output, projected bool) (bool, *timeline) {
	end := s.left
	if end == live {
		end = len(t.log)
	}
	// Projected, an event that is lost to one that leaves comes after the leaving,
	// unless the hub has closed: then nothing comes after.
	mayLose := t.tight && (t.closed || !projected)
	switch out.result {
	case fine:
		if s.next >= end || t.log[s.next] != out.event {
			return false, t
		}
		n := t.clone()
		n.subs[k] = cursor{next: s.next + 1, left: s.left}
		return true, n
	case closed:
		return s.left != live && (s.next == s.left || mayLose && s.next == s.left-1), t
	default: // nothing
		return !projected || s.next == end || mayLose && s.next == end-1, t
	}
}

func (t *timeline) equal(o *timeline) bool {
	if t.closed != o.closed || len(t.subs) != len(o.subs) || !slices.Equal(t.log, o.log) {
		return false
	}
	for k, s := range t.subs {
		if other, ok := o.subs[k]; !ok || other != s {
			return false
		}
	}
	return true
}

var hashSeed = maphash.MakeSeed()

// hash is equal for what is equal. It leaves the log's events out, which differ
// seldom where their number is equal.
func (t *timeline) hash() uint64 {
	sum := uint64(len(t.log))
	for k, s := range t.subs {
		sum += maphash.Comparable(hashSeed, [3]int{k, s.next, s.left})
	}
	return sum
}

func describe(in input, out output) string {
	word := map[result]string{fine: "ok", nothing: "nothing", closed: "closed", published: "cut off, published"}[out.result]
	switch in.verb {
	case doSubscribe:
		return fmt.Sprintf("subscribe %d: %s", in.sub, word)
	case doCloseSub:
		return fmt.Sprintf("close subscription %d: %s", in.sub, word)
	case doPublish:
		return fmt.Sprintf("publish %d: %s, at %d", in.event, word, out.place)
	case doReceive:
		if out.result == fine {
			return fmt.Sprintf("receive from %d: %d", in.sub, out.event)
		}
		return fmt.Sprintf("receive from %d: %s", in.sub, word)
	}
	return "close the hub: " + word
}
