package scenarios

import (
	"errors"
	"slices"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/broadcasttest"
)

// laws checks everything that holds when all actors have ended, then closes the
// hub and checks again.
func (w *world) laws() {
	w.conservation()
	w.counts()
	for _, s := range w.all {
		s.took = len(s.got)
		s.drain()
	}
	for _, r := range w.readers {
		r.drain()
	}
	w.conservation()
	defer w.end()
	if w.reference == nil {
		return
	}
	timeline := w.reference.got
	stats := w.hub.Stats()
	if int(stats.Published) != len(timeline) && w.reference.Err() == nil {
		w.Fatalf("law 2: Published = %d, but the timeline is %v", stats.Published, timeline)
	}
	for e, err := range w.outcomes {
		there := slices.Contains(timeline, e)
		if want := err == nil || errors.Is(err, broadcast.ErrPartial); there != want {
			w.Errorf("law 4: Publish(%d) = %v, but the timeline is %v", e, err, timeline)
		}
		if err != nil && !errors.Is(err, broadcast.ErrClosed) && !w.canceling {
			w.Errorf("law 4: Publish(%d) = %v, though nothing was canceled", e, err)
		}
		if errors.Is(err, broadcast.ErrClosed) && !w.closing {
			w.Errorf("law 5: Publish(%d) = %v, though the hub did not close", e, err)
		}
	}
	for _, s := range w.all {
		w.one(s, timeline)
	}
	for _, r := range w.readers {
		w.follows(r, timeline)
	}
}

// one checks one subscription.
func (w *world) one(s *witness, timeline []int) {
	st := s.Stats()
	place := s.before - 1
	for _, e := range s.got {
		at := slices.Index(timeline, e)
		if at <= place {
			w.Fatalf("law 1: subscription %d (%v) got %v of %v, joined behind %d to %d", st.ID, s.policy, s.got, timeline, s.before, s.after)
		}
		if s.keep != nil && !s.keep(e) {
			w.Errorf("law 1: subscription %d got %d, which its filter rejects", st.ID, e)
		}
		place = at
	}
	if s.Err() == nil && int(st.Offered) < len(timeline)-s.after {
		w.Errorf("law 1: subscription %d was offered %d of %v, joined behind %d", st.ID, st.Offered, timeline, s.after)
	}
	live := s.Err() == nil
	first := len(timeline) - int(st.Offered) // of those that it was offered, if it lived until now
	switch s.policy {
	case broadcast.Block:
		if live && !w.canceling && st.Dropped > 0 {
			w.Errorf("law 2: subscription %d lost %d under Block", st.ID, st.Dropped)
		}
		if st.Dropped > 1 && !w.canceling {
			w.Errorf("law 2: subscription %d lost %d by its end", st.ID, st.Dropped)
		}
		for e, err := range w.outcomes {
			at := slices.Index(timeline, e)
			to := live || w.closing && !s.leaves && at < first+int(st.Offered)
			if to && err == nil && at >= first && s.keep == nil && !slices.Contains(s.got, e) {
				w.Errorf("law 2: Publish(%d) = nil, but subscription %d got %v", e, st.ID, s.got)
			}
		}
	case broadcast.DropOldest, broadcast.DropNewest:
		if live && s.keep == nil && st.Offered > 0 && cap(s.C()) > 0 {
			w.kept(s, timeline[first:])
		}
	case broadcast.Eject:
		if st.Dropped > 1 || live && st.Dropped > 0 {
			w.Errorf("law 2: subscription %d lost %d under Eject, err = %v", st.ID, st.Dropped, s.Err())
		}
	}
	if !live && !s.drained {
		w.Errorf("law 5: subscription %d ended with %v, but its channel is open", st.ID, s.Err())
	}
}

// kept checks what s, which drops for room, has of what it was offered.
func (w *world) kept(s *witness, offered []int) {
	dropped, most := int(s.Stats().Dropped), max(0, len(offered)-cap(s.C())) // with nobody receiving
	if dropped > most || s.took == 0 && dropped != most {
		w.Errorf("law 6: %v, buffer of %d: lost %d of %v, %d were received meanwhile", s.policy, cap(s.C()), dropped, offered, s.took)
	}
	oldest, newest := offered[:len(offered)-most], offered[most:]
	switch {
	case s.policy == broadcast.DropNewest && (len(s.got) == 0 || s.got[0] != offered[0] || s.took == 0 && !slices.Equal(s.got, oldest)):
		w.Errorf("law 6: DropNewest, buffer of %d: got %v of %v, without the oldest", cap(s.C()), s.got, offered)
	case s.policy == broadcast.DropOldest:
		missing := 0
		for _, e := range newest {
			if !slices.Contains(s.got, e) {
				missing++
			}
		}
		// One more than needed, if the consumer made room at the same moment.
		if missing > min(1, s.took) || s.got[len(s.got)-1] != offered[len(offered)-1] {
			w.Errorf("law 6: DropOldest, buffer of %d: got %v of %v, without the newest", cap(s.C()), s.got, offered)
		}
	}
}

// counts checks what the hub counts beside what becomes of events.
func (w *world) counts() {
	st := w.hub.Stats()
	ejected := uint64(0)
	for _, s := range w.all {
		if errors.Is(s.Err(), broadcast.ErrEjected) {
			ejected++
		}
	}
	for _, r := range w.readers {
		if errors.Is(r.Err(), broadcast.ErrEjected) {
			ejected++
		}
	}
	if st.Ejected != ejected {
		w.Errorf("law 2: Ejected = %d, but %d have seen that they were", st.Ejected, ejected)
	}
	// Whoever gave somebody up when its context ended had waited, and of the others at
	// most all, once each.
	least := uint64(0)
	for _, err := range w.outcomes {
		if errors.Is(err, broadcast.ErrPartial) && !errors.Is(err, broadcast.ErrClosed) {
			least++
		}
	}
	if most := uint64(w.begun - w.filled); st.Blocked < least || st.Blocked > most {
		w.Errorf("law 2: Blocked = %d, want %d to %d", st.Blocked, least, most)
	}
}

// end closes the hub and checks that everything has ended.
func (w *world) end() {
	w.hub.Close()
	for _, s := range w.all {
		s.drain()
		if s.Err() == nil || !s.drained {
			w.Errorf("law 5: subscription %d after Close: err = %v, channel closed: %v", s.Stats().ID, s.Err(), s.drained)
		}
	}
	for _, r := range w.readers {
		r.drain()
		if r.Err() == nil {
			w.Errorf("law 5: reader %d lives after Close", r.Stats().ID)
		}
	}
	if err := w.hub.Publish(bg, -1); !errors.Is(err, broadcast.ErrClosed) {
		w.Errorf("law 5: Publish after Close = %v", err)
	}
	w.conservation()
}

// conservation is law 2, with what the consumers counted.
func (w *world) conservation() {
	var consumers []broadcasttest.Consumer
	for _, s := range w.all {
		consumers = append(consumers, s)
	}
	for _, r := range w.readers {
		consumers = append(consumers, r)
	}
	before := w.Failed()
	broadcasttest.CheckConservation(w, w.hub, consumers...)
	if !before && w.Failed() {
		w.Fatal("law 2 is broken")
	}
}
