package broadcast_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/broadcasttest"
	"github.com/stretchr/testify/require"
)

type change = broadcast.Update[int, int]

// world is a small reference model of a CoalescingHub: maps, and no log.
type world struct {
	t     testing.TB
	hub   *broadcast.CoalescingHub[int, int]
	seq   uint64
	state map[int]change // the latest change of every key there ever was
	subs  []*observer

	deletes bool // keys are deleted
}

// observer is a subscription, and what the model knows of its consumer.
type observer struct {
	*broadcast.CoalescingSubscription[int, int]
	w       *world
	mode    string // of reading, and with which filter
	joined  uint64 // the version it joined behind
	left    uint64 // and where it ended; 0: live
	initial map[int]uint64
	view    map[int]change // the last that it was given of each key
	todo    map[int]bool   // keys that the pass still owes
	count   uint64
	gone    [2]uint64 // filtered, dropped
}

func (w *world) live() (n int) {
	for _, u := range w.state {
		if !u.Deleted {
			n++
		}
	}
	return n
}

func (w *world) publish(key, value int) {
	require.NoError(w.t, w.hub.Publish(key, value))
	w.seq++
	w.state[key] = change{Key: key, Value: value, Version: w.seq}
}

func (w *world) remove(key int) {
	require.NoError(w.t, w.hub.Delete(key))
	if u, ok := w.state[key]; !ok || u.Deleted {
		return
	}
	w.seq++
	w.state[key] = change{Key: key, Deleted: true, Version: w.seq}
	for _, o := range w.subs {
		delete(o.initial, key)
	}
}

func (w *world) subscribe(mode string) {
	o := &observer{w: w, mode: mode, joined: w.seq, view: map[int]change{}, initial: map[int]uint64{}}
	for k, u := range w.state {
		if !u.Deleted {
			o.initial[k] = u.Version
		}
	}
	opts := []broadcast.SubscribeOption{broadcast.WithName(mode)}
	if mode == "filter" {
		opts = append(opts, broadcast.WithFilter(o.keep))
	}
	o.joined -= uint64(len(o.initial))
	o.CoalescingSubscription = w.hub.Subscribe(opts...)
	require.Equal(w.t, len(o.initial) == 0, o.Synced())
	w.subs = append(w.subs, o)
}

var errFilter = errors.New("filter")

func (o *observer) keep(u change) bool {
	o.observe(u)
	switch u.Version % 5 {
	case 0:
		o.gone[1]++
		panic(errFilter)
	case 1, 2:
		o.gone[0]++
		return false
	}
	return true
}

// owed tells whether o is to get key: it has changed since, and a deletion
// matters only to who has seen what was deleted.
func (o *observer) owed(key int) bool {
	now, last := o.w.state[key], o.view[key]
	return now.Version > last.Version && (!now.Deleted || last.Version > 0 && !last.Deleted)
}

func (o *observer) owes() (n int) {
	for k := range o.w.state {
		if o.owed(k) {
			n++
		}
	}
	return n
}

// observe checks one update when the consumer or the filter has it.
func (o *observer) observe(u change) {
	t := o.w.t
	if now := o.w.state[u.Key]; u != now || !o.owed(u.Key) {
		t.Fatalf("law 6: got %+v when the value of the moment was %+v, and the last got was %+v", u, now, o.view[u.Key])
	}
	if len(o.todo) == 0 {
		o.todo = map[int]bool{}
		for k := range o.w.state {
			if o.owed(k) {
				o.todo[k] = true
			}
		}
	}
	if !o.w.deletes { // else a key may be gone when the pass is there, and back later
		require.Contains(t, o.todo, u.Key, "law 6: full passes: %+v comes before the pass is over", u)
	}
	delete(o.todo, u.Key)
	delete(o.initial, u.Key)
	o.view[u.Key] = u
}

// read reads once, with a deadline that matters only if nothing is owed.
func (o *observer) read(r *rand.Rand) {
	ctx, cancel := context.WithTimeout(bg, time.Second)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			require.Equal(o.w.t, any(errFilter), v)
		}
	}()
	owes := o.owes()
	var got []change
	var err error
	if o.mode == "batch" {
		dst := make([]change, 1+r.IntN(5))
		var n int
		n, err = o.ReadBatch(ctx, dst)
		got = dst[:n]
	} else {
		var u change
		if u, err = o.Next(ctx); err == nil {
			got = append(got, u)
		}
	}
	switch {
	case o.mode == "filter":
		if err == nil {
			require.Contains(o.w.t, []uint64{3, 4}, got[0].Version%5)
		}
	case owes == 0:
		require.Error(o.w.t, err)
	default:
		require.NoError(o.w.t, err)
	}
	o.count += uint64(len(got))
	if o.mode != "filter" {
		for _, u := range got {
			o.observe(u)
		}
	}
	if err != nil {
		require.Zero(o.w.t, o.owes(), "%v, though something is owed", err)
		if o.Err() == nil {
			require.Equal(o.w.t, context.DeadlineExceeded, err)
		}
		require.Zero(o.w.t, o.Stats().Len)
		require.True(o.w.t, o.Synced())
	}
	if o.Synced() {
		require.Empty(o.w.t, o.initial, "synced, but part of the state was not returned")
	}
}

// check is law 2 for everybody.
func (w *world) check() {
	t := w.t
	require.Equal(t, w.seq, w.hub.Stats().Published)
	require.Equal(t, w.live(), w.hub.Keys())
	var all []broadcasttest.Consumer
	for _, o := range w.subs {
		all = append(all, broadcasttest.Counted[change](o.CoalescingSubscription, o.count))
		s := o.Stats()
		upTo := w.seq
		if o.left > 0 {
			upTo = o.left - 1
		} else if owes := o.owes(); s.Len < owes {
			t.Fatalf("law 2: %+v: Len is less than the %d it is owed", s, owes)
		}
		if s.Offered != upTo-o.joined || s.Filtered != o.gone[0] || s.Dropped != o.gone[1] {
			t.Fatalf("law 2: %+v: want Offered %d, Filtered and Dropped %v", s, upTo-o.joined, o.gone)
		}
	}
	broadcasttest.CheckConservation(t, w.hub, all...)
}

// Random programs against the model: law 2 after each step, law 6 for each
// update, and what each consumer ends with.
func TestCoalescing_RandomPrograms(t *testing.T) {
	programs := 100
	if testing.Short() {
		programs = 10
	}
	base := uint64(time.Now().UnixNano())
	for i := range programs {
		seed := base + uint64(i)
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { randomProgram(t, seed) }) {
			return
		}
	}
}

// Programs that once failed, or whose like did while this was built.
func TestCoalescing_KnownPrograms(t *testing.T) {
	for seed := range uint64(50) {
		t.Logf("seed %d", seed)
		randomProgram(t, seed)
	}
}

func randomProgram(t *testing.T, seed uint64) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := &world{t: t, hub: broadcast.NewCoalescing[int, int](), state: map[int]change{}}
		defer w.hub.Close()
		keys, kinds := 1+r.IntN(12), []string{"next", "batch", "filter"}
		bias := r.IntN(8)
		w.deletes = r.IntN(3) > 0
		for range 400 {
			switch op := r.IntN(20); {
			case op < 3+bias:
				w.publish(r.IntN(keys), r.Int())
			case op < 5+bias && w.deletes:
				w.remove(r.IntN(keys))
			case op < 6+bias && len(w.subs) < 12:
				w.subscribe(kinds[r.IntN(3)])
			case op == 19 && r.IntN(4) == 0 && len(w.subs) > 0:
				o := w.subs[r.IntN(len(w.subs))]
				o.Close()
				if o.left == 0 {
					o.left = w.seq + 1
				}
			default:
				if len(w.subs) > 0 {
					if o := w.subs[r.IntN(len(w.subs))]; o.left == 0 {
						o.read(r)
					}
				}
			}
			w.check()
		}
		w.hub.Close()
		w.finish(r)
	})
}

// finish drains everybody who did not leave, and compares what they end with.
func (w *world) finish(r *rand.Rand) {
	want := map[int]int{}
	for k, u := range w.state {
		if !u.Deleted {
			want[k] = u.Value
		}
	}
	for _, o := range w.subs {
		for o.left == 0 && o.Stats().Len > 0 {
			o.read(r)
		}
		w.check()
		if o.left > 0 {
			continue
		}
		got := map[int]int{}
		for k, u := range o.view {
			if !u.Deleted {
				got[k] = u.Value
			}
		}
		require.True(w.t, maps.Equal(want, got), "law 6: ends with %v, want %v", got, want)
		_, err := o.Next(bg)
		require.Equal(w.t, broadcast.ErrClosed, err)
	}
}
