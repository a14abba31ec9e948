package main

import "math"

// kind is a kind of subscriber.
type kind int

const (
	channels kind = iota // channel subscriptions
	next                 // readers with Next
	batch                // readers with ReadBatch
	kinds
)

func (k kind) String() string {
	return [...]string{"channel subscriptions", "readers with Next", "readers with ReadBatch"}[k]
}

// The constants of the formulas: bytes beside the buffers.
const (
	channelBytes      = 96  // of a channel
	subscriptionBytes = 124 // of a subscription beside its channel, as the README says
	readerBytes       = 384 // of a reader, at most
	chunkEvents       = 64  // of a chunk of the ring
	batchEvents       = 16  // of a batch, which is the reader's own
	pointerBytes      = 8
)

// slot is how many bytes an event takes in a buffer: a large one is published as a
// pointer.
func (l load) slot() int {
	if l.event > largest {
		return pointerBytes
	}
	return l.event
}

// memory is what subscribers of a kind cost, without the stacks of their goroutines:
// what each has of its own, and what all share.
func (l load) memory(k kind) (each, shared float64) {
	slot := float64(l.slot())
	switch k {
	case channels:
		return float64(l.buffer)*slot + channelBytes + subscriptionBytes, 0
	case batch:
		each, shared = l.memory(next)
		return each + batchEvents*slot, shared
	}
	// The newest events lie in at most so many chunks.
	chunks := (l.buffer+chunkEvents-1)/chunkEvents + 1
	return readerBytes, float64(chunks*chunkEvents) * slot
}

func (l load) total(k kind) float64 {
	each, shared := l.memory(k)
	return each*float64(l.subscribers) + shared
}

// What an event costs on a network beside its bytes. A packet has the headers of
// Ethernet, IP and TCP with timestamps, 14 + 20 + 32; NATS sends "MSG subject sid
// size\r\n" before the event and "\r\n" behind it.
const (
	packetBytes  = 66
	messageBytes = 30
	segmentBytes = 1448 // that a packet carries
)

// wire is how many bytes a second the fan-out needs if each of so many subscribers has a
// connection of its own: from events packed together to a packet for each.
func (l load) wire(subscribers int) (least, most float64) {
	message := float64(l.event + messageBytes)
	packets := math.Ceil(message / segmentBytes)
	all := float64(l.rate) * float64(subscribers)
	return all * message * (1 + packetBytes/float64(segmentBytes)), all * (message + packets*packetBytes)
}

// headroom is the part of the highest rate that may be planned with: the rest is for
// bursts, garbage collection and the work that subscribers do with an event.
const headroom = 0.5

// enough is how much memory for buffers is too little to choose a kind for its sake.
const enough = 64 << 20

// choice is the kind that fits, and why.
type choice struct {
	kind     kind
	fits     bool
	machines int // if none fits: among so many the subscribers can be split
}

// choose takes the simplest kind that can do the rate with room to spare: channels, which
// work in a select, unless their buffers cost a lot that readers do not need; then Next,
// then ReadBatch. rates are the highest ones.
func (l load) choose(rates [kinds]float64) choice {
	fits := func(k kind) bool { return float64(l.rate) <= rates[k]*headroom }
	cheap := l.total(channels) <= max(enough, 2*l.total(next))
	switch {
	case fits(channels) && cheap:
		return choice{channels, true, 1}
	case fits(next):
		return choice{next, true, 1}
	case fits(batch):
		return choice{batch, true, 1}
	case fits(channels):
		return choice{channels, true, 1}
	}
	best := channels
	for k := range kinds {
		if rates[k] > rates[best] {
			best = k
		}
	}
	return choice{best, false, int(math.Ceil(float64(l.rate) / (rates[best] * headroom)))}
}
