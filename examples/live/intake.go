package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobroadcast/broadcast"
)

// intake is where every source delivers: it decodes, publishes what is an
// event, and counts what is not. One goroutine at a time calls message or line.
type intake struct {
	hub  *broadcast.Hub[event]
	late atomic.Uint64 // events that came after the hub had closed

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

// message takes the payload of a NATS message.
func (in *intake) message(subject string, payload []byte) {
	f, err := decodePayload(payload)
	if err != nil {
		in.reject(subject, head(payload), err)
		return
	}
	in.publish(subject, f)
}

// line takes a line of standard input.
func (in *intake) line(line string) {
	subject, f, err := decodeLine(line)
	if err != nil {
		in.reject("stdin", head(line), err)
		return
	}
	in.publish(subject, f)
}

func (in *intake) publish(subject string, f fields) {
	e, err := encode(subject, f, time.Now())
	if err != nil {
		in.reject(subject, "", err)
		return
	}
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
