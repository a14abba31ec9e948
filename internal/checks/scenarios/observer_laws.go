package scenarios

import (
	"errors"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/broadcasttest"
)

// laws checks everything that holds when all actors have ended, then closes the
// hub and checks again.
func (w *keyed) laws() {
	for _, check := range w.first {
		check()
	}
	w.conservation()
	for _, o := range w.observers {
		if s := o.tallies(); errors.Is(o.last, broadcast.ErrClosed) && !o.left && s.Len != 0 {
			w.Errorf("law 5: a reader has seen the end before the rest: %+v, %v", s, o.got)
		}
		if o.Err() == nil || !o.left {
			o.drain()
		}
	}
	w.conservation()
	for _, o := range w.observers {
		o.complete()
	}
	if n := w.hub.Stats().Published; n < uint64(w.returned) || n > uint64(len(w.published)+w.deletes) {
		w.Errorf("law 2: Published = %d after %d publishes and %d deletes", n, w.returned, w.deletes)
	}
	w.hub.Close()
	for _, o := range w.observers {
		o.drain()
		if o.Err() == nil {
			w.Errorf("law 5: a subscription lives after Close")
		}
		if o.ch == nil {
			if _, err := o.Next(bg); err == nil || !errors.Is(err, o.Err()) {
				w.Errorf("law 5: Next = %v after the end, Err = %v", err, o.Err())
			}
		}
		o.tallies()
	}
	if err := w.hub.Publish("a", -1); !errors.Is(err, broadcast.ErrClosed) {
		w.Errorf("law 5: Publish after Close = %v", err)
	}
	w.conservation()
}

// complete checks that o has the final value of every key, and that nothing is
// left, unless it ended before the hub did.
func (o *observer) complete() {
	w := o.w
	if o.left && o.Err() != nil {
		return
	}
	s := o.Stats()
	if s.Len != 0 || !o.Synced() {
		w.Errorf("law 2: %+v, synced: %v, when all was read: %v", s, o.Synced(), o.got)
	}
	if o.fresh && s.Offered != w.hub.Stats().Published {
		w.Errorf("law 2: Offered = %d of %d to who was there first", s.Offered, w.hub.Stats().Published)
	}
	keys := map[string]bool{}
	for _, key := range w.published {
		keys[key] = true
	}
	there := 0
	for key := range keys {
		value, ok := w.hub.Get(key)
		if ok {
			there++
		}
		got, known := o.view[key]
		switch {
		case o.keep != nil && ok && !o.keep(value):
		case o.keep != nil && !ok:
		case ok && (!known || got.Deleted || got.Value != value):
			w.Errorf("law 6: %s is %d, and a subscription ends with %+v of %v", key, value, got, o.got)
		case !ok && known && !got.Deleted:
			w.Errorf("law 6: %s is gone, and a subscription ends with %+v", key, got)
		}
	}
	if there != w.hub.Keys() {
		w.Errorf("Keys = %d, but %d have a value", w.hub.Keys(), there)
	}
}

// conservation is law 2, with what the consumers counted.
func (w *keyed) conservation() {
	var consumers []broadcasttest.Consumer
	for _, o := range w.observers {
		consumers = append(consumers, o)
	}
	broadcasttest.CheckConservation(w, w.hub, consumers...)
	if w.Failed() {
		w.Fatal("law 2 is broken")
	}
}

// Count is the consumer's own.
func (o *observer) Count() uint64 { return uint64(len(o.got)) }
