package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gobroadcast/broadcast/bridge"
)

const (
	maxFields = 64 // numbers kept of one event; the page draws 16
	maxName   = 80 // bytes kept of a field's name
)

// event is what the hub carries. It is decoded and encoded once, whatever the
// number of browsers, and never changed after that: they all share the bytes.
type event struct {
	subject string
	json    []byte // an encoded wireEvent, or gap
	isGap   bool
}

// wireEvent is an event as the page reads it.
type wireEvent struct {
	Subject string             `json:"subject"`
	Time    int64              `json:"time"` // Unix milliseconds of its arrival
	Values  map[string]float64 `json:"values"`
	More    int                `json:"more,omitempty"` // numbers beyond maxFields
}

func encode(subject string, f fields, now time.Time) (event, error) {
	b, err := json.Marshal(wireEvent{subject, now.UnixMilli(), f.values, f.more})
	return event{subject: subject, json: b}, err
}

// gap says that events are missing between the one before it and the one behind
// it. It is an event like others, so that everybody gets it where it belongs.
type gap struct {
	Time   int64  `json:"time"`   // Unix milliseconds
	Reason string `json:"reason"` // of the bridge's gap, or overflowed
	Count  uint64 `json:"count"`  // how many are missing; 0: nobody knows
	Gaps   uint64 `json:"gaps"`   // how many gaps there have been, with this one
}

// overflowed is the reason when the bridge was too fast for the intake.
const overflowed = "overflowed"

func (g gap) String() string {
	if g.Count == 0 {
		return g.Reason
	}
	return fmt.Sprintf("%s, %d events", g.Reason, g.Count)
}

var (
	errNotJSON   = errors.New("not JSON")
	errNoNumbers = errors.New("JSON without a number")
	errLine      = errors.New("neither JSON, nor a number, nor a name and a number")
)

// fields are the numbers of one event by name.
type fields struct {
	values map[string]float64
	more   int
}

// decodeMessage makes an event of what a bridge delivers.
func decodeMessage(m *bridge.Message) (event, error) {
	f, err := decodePayload(m.Data)
	if err != nil {
		return event{}, err
	}
	return encode(m.Topic, f, m.Time)
}

// decodePayload takes a NATS payload: any JSON. What has no numbers is still an
// event, one without a line to draw.
func decodePayload(payload []byte) (fields, error) {
	var v any
	if err := json.Unmarshal(payload, &v); err != nil {
		return fields{}, errNotJSON
	}
	f := fields{values: map[string]float64{}}
	f.add("", v)
	return f, nil
}

// decodeLine takes a line of standard input. A name in front of a number
// becomes part of the subject, so that every name gets a chart of its own.
func decodeLine(line string) (subject string, f fields, err error) {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "{") {
		f, err = decodePayload([]byte(line))
		if err == nil && len(f.values) == 0 {
			err = errNoNumbers
		}
		return "stdin", f, err
	}
	words := strings.Fields(line)
	if len(words) == 0 || len(words) > 2 {
		return "", f, errLine
	}
	n, ok := number(words[len(words)-1])
	if !ok {
		return "", f, errLine
	}
	subject = "stdin"
	if len(words) == 2 {
		subject += "." + shorten(words[0])
	}
	return subject, fields{values: map[string]float64{"value": n}}, nil
}

// number refuses NaN and infinities, which ParseFloat takes and JSON does not.
func number(s string) (float64, bool) {
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && n-n == 0
}

// add collects the numbers in v; those of nested objects and arrays get names
// like cpu.0.user.
func (f *fields) add(name string, v any) {
	switch v := v.(type) {
	case float64:
		if len(f.values) >= maxFields {
			f.more++
			return
		}
		if name == "" {
			name = "value"
		}
		f.values[shorten(name)] = v
	case map[string]any:
		for _, key := range sortedKeys(v) {
			f.add(join(name, key), v[key])
		}
	case []any:
		for i, elem := range v {
			f.add(join(name, strconv.Itoa(i)), elem)
		}
	}
}

func join(name, key string) string {
	if name == "" {
		return key
	}
	return shorten(name) + "." + key
}

// shorten cuts s to maxName bytes, at the start of a character.
func shorten(s string) string {
	if len(s) <= maxName {
		return s
	}
	cut := maxName
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
