package work

import (
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
)

// fake is a bus that does to the events what spoil says: it returns what a subscriber
// gets in place of an event.
type fake struct {
	spoil  func(subscriber int, e peer.Event) []peer.Event
	refuse error
	block  uint64        // Publish never returns for this event
	ended  chan struct{} // ends what is blocked

	mu   sync.Mutex
	subs []chan peer.Event
}

func newFake(spoil func(int, peer.Event) []peer.Event) *fake {
	return &fake{spoil: spoil, ended: make(chan struct{})}
}

func (f *fake) Subscribe(take func(peer.Event)) func() {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := make(chan peer.Event, 1000)
	f.subs = append(f.subs, ch)
	go func() {
		for e := range ch {
			take(e)
		}
	}()
	return func() {}
}

func (f *fake) Publish(e peer.Event) error {
	if e.Seq == f.block {
		<-f.ended
		return errors.New("ended")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return f.refuse
	}
	for i, ch := range f.subs {
		for _, got := range f.spoil(i, e) {
			ch <- got
		}
	}
	return nil
}

func (f *fake) end() {
	close(f.ended)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ch := range f.subs {
		close(ch)
	}
}

func honest(_ int, e peer.Event) []peer.Event { return []peer.Event{e} }

func TestCrew_Verdict(t *testing.T) {
	const events = 40
	var held peer.Event
	for _, c := range []struct {
		name    string
		bus     func() *fake
		outcome Outcome
		detail  string
		counted Outcome // by who only counts
	}{
		{"honest", func() *fake { return newFake(honest) }, OK, "", OK},
		{"loses one for one", func() *fake {
			return newFake(func(i int, e peer.Event) []peer.Event {
				if i == 1 && e.Seq == 7 {
					return nil
				}
				return []peer.Event{e}
			})
		}, Lost, "a subscriber has 39 of 40 events, and nothing more comes", Lost},
		{"loses one and gives another twice", func() *fake {
			return newFake(func(_ int, e peer.Event) []peer.Event {
				if e.Seq == 7 {
					e = newEvent(6, 0)
				}
				return []peer.Event{e}
			})
		}, Lost, "subscriber 1 of 3 has others than were published, and as many", Lost},
		{"gives one twice", func() *fake {
			return newFake(func(_ int, e peer.Event) []peer.Event {
				if e.Seq == events {
					return []peer.Event{e, e}
				}
				return []peer.Event{e}
			})
		}, Duplicated, "subscriber 1 of 3 has 41 of 40 events", Duplicated},
		{"swaps two for one", func() *fake {
			return newFake(func(i int, e peer.Event) []peer.Event {
				switch {
				case i == 2 && e.Seq == 7:
					held = e
					return nil
				case i == 2 && e.Seq == 8:
					return []peer.Event{e, held}
				}
				return []peer.Event{e}
			})
		}, Reordered, "subscriber 3 of 3: 3 of 40 out of their publisher's order", OK},
		{"tears one", func() *fake {
			return newFake(func(_ int, e peer.Event) []peer.Event {
				if e.Seq == 7 {
					e.Seq = 8
				}
				return []peer.Event{e}
			})
		}, Corrupted, "subscriber 1 of 3: 1 events do not match their check", Lost},
		{"refuses", func() *fake {
			f := newFake(honest)
			f.refuse = errors.New("no")
			return f
		}, Failed, "Publish: no", Failed},
		{"blocks", func() *fake {
			f := newFake(honest)
			f.block = 11
			return f
		}, Stalled, "Publish is blocked, a subscriber has 10 of 40 events", Stalled},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bus := c.bus()
				crew := newCrew(settling{bus}, 3)
				r := crew.run(1, events, time.Second, 1)
				require.Equal(t, c.outcome, r.outcome)
				require.Equal(t, c.detail, r.detail)
				bus.end()
			})
			synctest.Test(t, func(t *testing.T) {
				bus := c.bus()
				counters := newCounters(settling{bus}, 3)
				require.Equal(t, c.counted, counters.run(1, events, time.Second, 1).outcome)
				bus.end()
			})
		})
	}
}

// settling lets the subscribers take what they have before Publish returns, so that
// what comes twice has come by then.
type settling struct{ *fake }

func (s settling) Publish(e peer.Event) error {
	err := s.fake.Publish(e)
	synctest.Wait()
	return err
}

// With several publishers the order of each must be kept; that all see one order is told
// apart.
func TestCrew_Publishers(t *testing.T) {
	for _, c := range []struct {
		name     string
		spoil    func(int, peer.Event) []peer.Event
		oneOrder bool
	}{
		{"one order", honest, true},
		{"an order for each", func() func(int, peer.Event) []peer.Event {
			var held *peer.Event
			return func(i int, e peer.Event) []peer.Event {
				switch { // one subscriber has the first events of two publishers swapped
				case i != 0 || e.Seq != 1:
				case held == nil:
					held = &e
					return nil
				default:
					return []peer.Event{e, *held}
				}
				return []peer.Event{e}
			}
		}(), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bus := newFake(c.spoil)
				crew := newCrew(alternating{bus, make(chan uint64, 1)}, 2)
				r := crew.run(2, 2, time.Second, 1)
				require.Equal(t, OK, r.outcome, r.detail)
				require.Equal(t, c.oneOrder, r.oneOrder)
				bus.end()
			})
		})
	}
}

// alternating has only one publisher at a time.
type alternating struct {
	*fake
	turn chan uint64
}

func (a alternating) Publish(e peer.Event) error {
	a.turn <- e.Seq
	defer func() { <-a.turn }()
	return a.fake.Publish(e)
}

// Progress is noted now and then only, but the last event always.
func TestSubscriber_Marks(t *testing.T) {
	c := &crew{}
	s := &subscriber{crew: c}
	c.subs = []*subscriber{s}
	c.expect(200, coarse)
	var noted []uint64
	for seq := range uint64(200) {
		s.take(newEvent(seq+1, 0))
		if s.seen.Load() == s.got {
			noted = append(noted, s.got)
		}
	}
	require.Equal(t, []uint64{64, 128}, noted[:2])
	require.Equal(t, uint64(192), noted[2])
	require.Len(t, noted, 11, "the last ones one by one")
	<-c.all
}

// BenchmarkSubscriber_Take is what verifying an event costs, the same for all peers.
func BenchmarkSubscriber_Take(b *testing.B) {
	s := &subscriber{crew: &crew{}, want: math.MaxUint64, every: coarse}
	take := s.take // called as peers do
	events := make([]peer.Event, 1024)
	for i := range events {
		events[i] = newEvent(uint64(i+1), 0)
	}
	i := 0
	for b.Loop() {
		take(events[i])
		i = (i + 1) % len(events)
	}
}
