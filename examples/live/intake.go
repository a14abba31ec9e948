package main

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
)

// intake is where every source delivers: it publishes what is an event, and
// counts what is not. One goroutine at a time calls publish, gap or line.
type intake struct {
	hub  *broadcast.Hub[event]
	news chan<- struct{} // has room for one; told of each gap
	late atomic.Uint64   // events that came after the hub had closed
	gaps atomic.Uint64   // how many there have been

	mu  sync.Mutex // guards bad
	bad malformed
}

// malformed is what could not be read as an event.
type malformed struct {
	Count   uint64 `json:"count"`
	Subject string `json:"subject,omitempty"` // of the latest
	Head    string `json:"head,omitempty"`    // its first bytes
	Reason  string `json:"reason,omitempty"`
}

// poison takes a message that a bridge could not decode. The topic goes on.
func (in *intake) poison(m *bridge.Message, err error) error {
	in.reject(m.Topic, head(m.Data), err)
	return nil
}

// gap publishes g, and writes it to the terminal.
func (in *intake) gap(g gap, con *console) {
	g.Gaps = in.gaps.Add(1)
	con.note("Gap: %s.", g)
	b, err := json.Marshal(g)
	if err != nil {
		panic(err) // it holds only numbers and a string
	}
	in.publish(event{json: b, isGap: true})
	tell(in.news)
}

// tell puts a token into ch unless there is one.
func tell(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// line takes a line of standard input.
func (in *intake) line(line string) {
	subject, f, err := decodeLine(line)
	if err != nil {
		in.reject("stdin", head(line), err)
		return
	}
	e, err := encode(subject, f, time.Now())
	if err != nil {
		in.reject(subject, "", err)
		return
	}
	in.publish(e)
}

func (in *intake) publish(e event) {
	// No deadline: every subscription of this hub drops, but for the latest
	// values, whose handler only stores what it gets.
	if err := in.hub.Publish(context.Background(), e); err != nil {
		in.late.Add(1)
	}
}

func (in *intake) reject(subject, start string, reason error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.bad = malformed{in.bad.Count + 1, subject, start, reason.Error()}
}

// malformed returns the count, and the latest.
func (in *intake) malformed() malformed {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.bad
}

// head is the start of a payload, as much as is worth showing. The page shows
// it as text; the terminal, which would obey control characters, never does.
func head[T string | []byte](payload T) string {
	const most = 60
	return strings.ToValidUTF8(string(payload[:min(most, len(payload))]), "\uFFFD")
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
