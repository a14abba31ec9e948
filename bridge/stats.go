package bridge

import (
	"fmt"
	"iter"
	"slices"

	"github.com/gobroadcast/broadcast"
)

// State is where in its life a topic is.
type State uint8

const (
	// Starting: the first subscribers wait for the system to confirm.
	Starting State = iota + 1
	// Live: the network subscription was confirmed. The source may be about to
	// reconnect, which it tells by a gap.
	Live
	// Lingering: live, and the last subscriber has left.
	Lingering
	// Restarting: the source failed, and is run again until it is live.
	Restarting
	// Stopping: no subscriber can come any more.
	Stopping
)

var states = [...]State{Starting, Live, Lingering, Restarting, Stopping}

// String returns the state's name in lower case. It never blocks.
func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Live:
		return "live"
	case Lingering:
		return "lingering"
	case Restarting:
		return "restarting"
	case Stopping:
		return "stopping"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// TopicStats is what a bridge knows of one topic. Its counts begin with the topic,
// and end when it stops; the collector's go on.
type TopicStats struct {
	Pattern string
	State   State
	// Messages and Bytes are what was received, poison included; bytes are those of
	// keys and data.
	Messages, Bytes uint64
	// DecodeErrors is how many messages were poison.
	DecodeErrors uint64
	// Gaps is how many gaps there were, and Lost how many messages were lost in
	// those that told.
	Gaps, Lost uint64
	// Reconnects is how often the topic was live again.
	Reconnects uint64
	// Acknowledged is how many messages were acknowledged.
	Acknowledged uint64
	// Hub is what the topic's hub has counted: its subscribers, and their losses.
	Hub broadcast.Stats
}

// Topics returns the stats of every topic that is not stopped, in no order. Topics
// that come or go during the iteration may be left out. It never waits for the
// network or a publisher, holds no lock while the loop's body runs, and costs
// O(topics).
func (b *Bridge[T]) Topics() iter.Seq[TopicStats] {
	return func(yield func(TopicStats) bool) {
		for _, t := range b.all() {
			if !yield(t.stats()) {
				return
			}
		}
	}
}

// all returns the topics there are.
func (b *Bridge[T]) all() []*topic[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]*topic[T], 0, len(b.topics))
	for _, t := range b.topics {
		list = append(list, t)
	}
	return slices.Clip(list)
}

func (t *topic[T]) stats() TopicStats {
	return TopicStats{
		Pattern: t.pattern, State: t.state(), Hub: t.hub.Stats(),
		Messages: t.own.messages.Load(), Bytes: t.own.bytes.Load(), DecodeErrors: t.own.poison.Load(),
		Gaps: t.own.allGaps(), Lost: t.own.lost.Load(), Reconnects: t.own.reconnects.Load(),
		Acknowledged: t.own.acked.Load(),
	}
}

func (t *topic[T]) state() State {
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	live := false
	select {
	case <-t.live:
		live = true
	default:
	}
	switch {
	case t.ending || t.b.closed:
		return Stopping
	case !t.everLive:
		return Starting
	case !live:
		return Restarting
	case t.idleLocked():
		return Lingering
	}
	return Live
}
