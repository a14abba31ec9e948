// Package peer has what engineers use today to fan events out in one process, each
// behind one small interface, so that all can be put under the same load.
//
// Every peer is used as its documentation says, and so that it loses nothing where it
// can. A subscriber is one goroutine that takes its events one at a time.
package peer

import (
	"encoding/binary"
	"slices"
	"strings"
)

// Event is what all peers carry: 64 bytes.
type Event struct {
	Seq  uint64 // counts the events of its publisher, from 1
	From uint64 // which publisher
	Due  int64  // when it was to be sent, by the clock of the workload
	_    [4]uint64
	// Check is at the other end of the event than what it is made of, so that an event
	// that was overwritten while it was copied does not pass.
	Check uint64
}

// Bus is a peer in use.
type Bus interface {
	// Subscribe adds a subscriber whose goroutine calls take for one event after the
	// other. Events published after it has returned are meant for it. What it returns
	// unsubscribes, just as the peer does that.
	Subscribe(take func(Event)) (cancel func())
	// Publish may be called by any number of goroutines at once. The error is the
	// peer's, nil where it has none.
	Publish(Event) error
}

// Closer is a Bus that can be closed.
type Closer interface{ Close() error }

// Isolator is a Bus that has a way of its own to keep a subscriber that does not take
// its events from holding up the others.
type Isolator interface {
	SubscribeIsolated(take func(Event)) (cancel func())
}

// Config is what a Bus is made for.
type Config struct {
	// Buffer is how many events each subscriber may be behind, where that can be said.
	Buffer int
	// Stuck tells that one subscriber will take nothing and the others must go on.
	Stuck bool
}

// Peer is one way to fan events out.
type Peer struct {
	Name   string // short, as in flags and tables
	Title  string
	Module string // its path, "" for what is written by hand
	How    string // how it is used here, and what is to be known of it
	Bounds bool   // a subscriber's buffer is bounded
	Ahead  string // what it does differently where it has better figures than this library
	Quick  bool   // verifying an event takes long beside what it costs here
	State  bool   // it keeps the latest of each key, not every event
	New    func(Config) Bus
}

// TakesPart tells whether the peer is put under a workload. What keeps the latest only
// is not, where subscribers fall behind: it would be said to lose what it conflates.
// Where subscribers only count, the quick ones are, and the baseline.
func (p Peer) TakesPart(workload string) bool {
	if workload == "counted" {
		return p.Quick
	}
	return !p.State || slices.Contains([]string{"parked", "memory", "latency"}, workload)
}

// Baseline is the peer that all others are held against.
const Baseline = "loop"

// Ours tells whether the peer is this library.
func (p Peer) Ours() bool { return strings.HasPrefix(p.Name, "broadcast-") }

// All returns every peer, this library last.
func All() []Peer {
	return []Peer{
		handLoop, handList, handCond,
		ethereum, libp2p, tailscale, cskr, dustin, asaskevich, watermillPeer, mobyPeer,
		docker, kubernetes, samber, natsPeer,
		ourChannel, ourNext, ourBatch, ourState,
	}
}

// Find returns the peer of that name.
func Find(name string) (Peer, bool) {
	for _, p := range All() {
		if p.Name == name {
			return p, true
		}
	}
	return Peer{}, false
}

// each has a goroutine take what comes on ch until it is closed.
func each[T any](ch <-chan T, take func(T)) {
	go func() {
		for event := range ch {
			take(event)
		}
	}()
}

// eventSize is that of an encoded Event.
const eventSize = 64

// encode is for peers that carry bytes.
func encode(e Event) []byte {
	b := make([]byte, eventSize)
	binary.LittleEndian.PutUint64(b, e.Seq)
	binary.LittleEndian.PutUint64(b[8:], e.From)
	binary.LittleEndian.PutUint64(b[16:], uint64(e.Due))
	binary.LittleEndian.PutUint64(b[56:], e.Check)
	return b
}

func decode(b []byte) Event {
	if len(b) != eventSize {
		return Event{} // does not pass the check
	}
	return Event{
		Seq:   binary.LittleEndian.Uint64(b),
		From:  binary.LittleEndian.Uint64(b[8:]),
		Due:   int64(binary.LittleEndian.Uint64(b[16:])),
		Check: binary.LittleEndian.Uint64(b[56:]),
	}
}
