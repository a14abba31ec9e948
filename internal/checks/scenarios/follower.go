package scenarios

import (
	"context"
	"slices"

	"github.com/gobroadcast/broadcast"
)

// follower is a reader with its consumer's own account.
type follower struct {
	*broadcast.Reader[int]
	policy broadcast.Policy
	keep   func(int) bool
	before int // as many events had been published for sure when NewReader was called
	after  int // as many at most when it had returned
	got    []int
	seqs   []uint64 // what Seq said of each in got; not for batches
	missed uint64
	first  uint64 // the number it joined behind
	last   error  // of the last read
}

func (w *world) follow(p broadcast.Policy, window int, opts ...broadcast.SubscribeOption) *follower {
	r := &follower{policy: p, before: w.published}
	w.joins++
	opts = append([]broadcast.SubscribeOption{broadcast.WithPolicy(p), broadcast.WithBuffer(window)}, opts...)
	r.Reader = w.hub.NewReader(opts...)
	r.after = w.begun
	r.first = r.Seq()
	w.readers = append(w.readers, r)
	return r
}

// together returns two readers with Block that park in one shard: there are two, and who
// joins takes them in turn.
func (w *world) together() [2]*follower {
	a := w.follow(broadcast.Block, 8)
	w.hub.Subscribe().Close()
	return [2]*follower{a, w.follow(broadcast.Block, 8)}
}

// reads is an actor that takes n events one by one, or fewer if the reader ends.
func (w *world) reads(name string, r *follower, ctx context.Context, n int) {
	w.Go(name, func() {
		for range n {
			if !w.next(r, ctx) {
				return
			}
		}
	})
}

// next takes one event and checks what the reader says of it.
func (w *world) next(r *follower, ctx context.Context) bool {
	before := r.Seq()
	e, err := r.Next(ctx)
	r.last = err
	if err != nil {
		if r.Missed() != 0 || r.Seq() != before {
			w.Errorf("law 2: Missed = %d, Seq = %d after an error, was %d", r.Missed(), r.Seq(), before)
		}
		return false
	}
	if r.Seq() != before+r.Missed()+1 && r.keep == nil {
		w.Errorf("law 2: Seq = %d, want %d + %d missed + 1", r.Seq(), before, r.Missed())
	}
	r.missed += r.Missed()
	r.got, r.seqs = append(r.got, e), append(r.seqs, r.Seq())
	return true
}

// batches is an actor that reads n times up to two events at once.
func (w *world) batches(name string, r *follower, ctx context.Context, n int) {
	w.Go(name, func() {
		for range n {
			var dst [2]int
			k, err := r.ReadBatch(ctx, dst[:])
			r.last = err
			if err != nil {
				return
			}
			r.missed += r.Missed()
			r.got = append(r.got, dst[:k]...)
		}
	})
}

// drain takes what is there, when nobody runs.
func (r *follower) drain() {
	for r.Stats().Len > 0 {
		e, err := r.Next(bg)
		if err != nil {
			return
		}
		r.missed += r.Missed()
		r.got = append(r.got, e)
	}
}

// follows checks one reader.
func (w *world) follows(r *follower, timeline []int) {
	st := r.Stats()
	live := r.Err() == nil
	place := -1
	for i, e := range r.got {
		at := slices.Index(timeline, e)
		if at <= place || at < 0 {
			w.Fatalf("law 1: reader %d (%v) got %v of %v", st.ID, r.policy, r.got, timeline)
		}
		if i < len(r.seqs) && uint64(at)+1 != r.seqs[i] {
			w.Errorf("law 1: reader %d got %d as number %d of %v", st.ID, e, r.seqs[i], timeline)
		}
		if i == 0 && at < int(r.first) {
			w.Errorf("law 1: reader %d got %v, but joined behind %d", st.ID, r.got, r.first)
		}
		if r.keep != nil && !r.keep(e) {
			w.Errorf("law 1: reader %d got %d, which its filter rejects", st.ID, e)
		}
		place = at
	}
	if live && r.keep == nil && st.Len == 0 && uint64(len(r.got))+r.missed != uint64(len(timeline))-r.first {
		w.Errorf("law 2: reader %d got %v and missed %d of %v, joined behind %d", st.ID, r.got, r.missed, timeline, r.first)
	}
	if live && int(st.Offered) < len(timeline)-r.after {
		w.Errorf("law 1: reader %d was offered %d of %v, joined behind %d", st.ID, st.Offered, timeline, r.after)
	}
	if r.policy == broadcast.Block && st.Dropped > 0 {
		w.Errorf("law 2: reader %d lost %d under Block", st.ID, st.Dropped)
	}
	if r.policy == broadcast.DropOldest && live && r.missed != st.Dropped {
		w.Errorf("law 2: reader %d: missed %d, Dropped = %d", st.ID, r.missed, st.Dropped)
	}
}

// Count is the consumer's own.
func (r *follower) Count() uint64 { return uint64(len(r.got)) }
