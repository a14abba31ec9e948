package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gobroadcast/broadcast"
)

const (
	browserBuffer = 256             // events that may wait for one browser
	writeWithin   = 5 * time.Second // after that a browser is taken for stuck
	maxWrite      = 64 << 10        // bytes of events in one write
)

// stream is one browser: a subscription and the response it is written to.
type stream struct {
	*consumer
	sub   *broadcast.Subscription[event]
	board *knob[[]byte]
	demo  *knob[[]byte] // nil if the browser does not want it
	w     http.ResponseWriter
	rc    *http.ResponseController
	buf   bytes.Buffer
}

// stream answers GET /events with Server-Sent Events: one "state" with the
// newest event of every subject, then each event as it comes, a "gap" among them
// where events are missing, a "status" once a second (which also shows both ends
// that the other lives), and an "end".
// With ?prefix=host.cpu only subjects with that prefix and gaps are sent, and with
// ?policies also the state of the demonstration, ten times a second.
func (w *web) stream(rw http.ResponseWriter, r *http.Request) {
	if !w.enter() {
		http.Error(rw, "live is stopping", http.StatusServiceUnavailable)
		return
	}
	defer w.streams.Done()
	prefix := r.URL.Query().Get("prefix")
	sub := w.app.hub.Subscribe(subscribeOptions(r, prefix)...)
	s := &stream{
		consumer: w.app.ledger.join("browser "+r.RemoteAddr, true, sub),
		sub:      sub,
		board:    w.app.board,
		w:        rw,
		rc:       http.NewResponseController(rw),
	}
	defer w.app.ledger.leave(s.consumer)
	if r.URL.Query().Has("policies") {
		defer w.app.policies.look()()
		s.demo = w.app.policies.board
	}
	h := rw.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would wait for more
	// An error means that the browser has gone: nobody is left to be told.
	_ = s.run(r.Context(), w.app.latest.all(prefix))
}

func subscribeOptions(r *http.Request, prefix string) []broadcast.SubscribeOption {
	// Without a name: each would have two series of its own in the metrics. The
	// ledger knows which browser it is.
	opts := []broadcast.SubscribeOption{broadcast.WithContext(r.Context())}
	if prefix != "" {
		opts = append(opts, broadcast.WithFilter(func(e event) bool { return e.isGap || strings.HasPrefix(e.subject, prefix) }))
	}
	return opts
}

func (s *stream) run(ctx context.Context, state []event) error {
	status, current := s.board.get()
	s.addState(state)
	s.addStatus("status", status)
	if err := s.flush(); err != nil {
		return err
	}
	demo := context.Background() // of one that never changes
	if s.demo != nil {
		_, demo = s.demo.get() // what stands there may be of long ago
	}
	for {
		var err error
		select {
		case e, ok := <-s.sub.C():
			if !ok {
				return s.goodbye(status)
			}
			err = s.events(e)
		case <-current.Done():
			status, current = s.board.get()
			s.addStatus("status", status)
			err = s.flush()
		case <-demo.Done():
			var state []byte
			state, demo = s.demo.get()
			s.add("event: policies\ndata: ", state)
			err = s.flush()
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// events writes e and all that is ready behind it with one write.
func (s *stream) events(e event) error {
	n := uint64(0)
	for ok := true; ok; {
		n++
		if e.isGap {
			s.add("event: gap\ndata: ", e.json)
		} else {
			s.add("data: ", e.json)
		}
		if s.buf.Len() >= maxWrite {
			break
		}
		select {
		case e, ok = <-s.sub.C():
		default:
			ok = false
		}
	}
	s.received.Add(n)
	err := s.flush()
	if err != nil {
		s.unsent.Add(n)
	}
	return err
}

func (s *stream) addState(state []event) {
	s.buf.WriteString("retry: 1000\nevent: state\ndata: [")
	for i, e := range state {
		if i > 0 {
			s.buf.WriteByte(',')
		}
		s.buf.Write(e.json)
	}
	s.buf.WriteString("]\n\n")
}

// own is what the hub knows of this browser's subscription.
type own struct {
	Name     string `json:"name"`
	Offered  uint64 `json:"offered"`
	Received uint64 `json:"received"`
	Dropped  uint64 `json:"dropped"`
	Filtered uint64 `json:"filtered"`
	Buffered int    `json:"buffered"`
	Capacity int    `json:"capacity"`
}

func (s *stream) addStatus(kind string, common []byte) {
	st := s.sub.Stats()
	you, err := json.Marshal(own{s.name, st.Offered, s.received.Load(), st.Dropped, st.Filtered, st.Len, st.Cap})
	if err != nil {
		return // it holds only numbers and a string
	}
	s.add("event: "+kind+"\ndata: {\"hub\":", common, []byte(",\"you\":"), you, []byte("}"))
}

// add puts one SSE message together; JSON has no line breaks to care for.
func (s *stream) add(head string, parts ...[]byte) {
	s.buf.WriteString(head)
	for _, part := range parts {
		s.buf.Write(part)
	}
	s.buf.WriteString("\n\n")
}

// goodbye is said if the hub has closed, so that the page knows it is not the
// network.
func (s *stream) goodbye(status []byte) error {
	if !errors.Is(s.sub.Err(), broadcast.ErrClosed) {
		return s.sub.Err()
	}
	s.addStatus("end", status)
	return s.flush()
}

// flush writes what has been added, and gives the browser so long to take it.
func (s *stream) flush() error {
	defer s.buf.Reset()
	// Not every ResponseWriter has deadlines; without one the write just waits.
	if err := s.rc.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(s.buf.Bytes()); err != nil {
		return err
	}
	return s.rc.Flush()
}
