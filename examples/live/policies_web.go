package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
)

// maxBody and bodyTime are far more than any request of the page's needs.
const (
	maxBody  = 1 << 10
	bodyTime = 5 * time.Second
)

// handlePolicies takes what the page's controls send. Each answer holds the
// version of the settings from which on the pages show the change.
func (w *web) handlePolicies(mux *http.ServeMux) {
	mux.HandleFunc("POST /policies/publisher", w.postPublisher)
	mux.HandleFunc("POST /policies/subscribers/{name}", w.postSpeed)
	mux.HandleFunc("POST /policies/subscribers/{name}/subscribe", w.postSubscribe)
	mux.HandleFunc("POST /policies/reset", w.postReset)
}

func (w *web) postPublisher(rw http.ResponseWriter, r *http.Request) {
	var body struct {
		Rate  *int `json:"rate"`
		Burst *int `json:"burst"`
	}
	err := decode(rw, r, &body)
	if err == nil {
		err = errors.Join(bounded("rate", body.Rate, 1, maxRate), bounded("burst", body.Burst, 1, maxBurst))
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	version, err := w.app.policies.setPublisher(*body.Rate, *body.Burst)
	answer(rw, version, err)
}

func (w *web) postSpeed(rw http.ResponseWriter, r *http.Request) {
	l := w.laneOf(rw, r)
	if l == nil {
		return
	}
	var body struct {
		Speed *int `json:"speed"`
	}
	err := decode(rw, r, &body)
	if err == nil {
		err = bounded("speed", body.Speed, stuck, maxSpeed)
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	version, err := w.app.policies.setSpeed(l, *body.Speed)
	answer(rw, version, err)
}

func (w *web) postSubscribe(rw http.ResponseWriter, r *http.Request) {
	l := w.laneOf(rw, r)
	if l == nil || !empty(rw, r) {
		return
	}
	version, err := w.app.policies.subscribe(l)
	answer(rw, version, err)
}

func (w *web) postReset(rw http.ResponseWriter, r *http.Request) {
	if !empty(rw, r) {
		return
	}
	version, err := w.app.policies.reset()
	answer(rw, version, err)
}

// laneOf returns the subscriber that the path names, or answers that there is
// none.
func (w *web) laneOf(rw http.ResponseWriter, r *http.Request) *lane {
	l := w.app.policies.lane(r.PathValue("name"))
	if l == nil {
		http.Error(rw, "no such subscriber: they are named as on the page, like DropOldest", http.StatusNotFound)
	}
	return l
}

// empty takes a body without settings, {}, or answers what is wrong.
func empty(rw http.ResponseWriter, r *http.Request) bool {
	err := decode(rw, r, &struct{}{})
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
	}
	return err == nil
}

// decode reads one JSON object with no fields but those of into.
func decode(rw http.ResponseWriter, r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return errors.New("the body must be application/json")
	}
	// A body that never ends must not hold a goroutine. The error says that the
	// connection has no deadlines, as in a test's recorder.
	_ = http.NewResponseController(rw).SetReadDeadline(time.Now().Add(bodyTime))
	d := json.NewDecoder(http.MaxBytesReader(rw, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the body must be a JSON object as the page sends it: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the body must be one JSON object and nothing behind it")
	}
	return nil
}

func bounded(name string, n *int, least, most int) error {
	if n == nil || *n < least || *n > most {
		return fmt.Errorf("%s must be a whole number from %d to %d", name, least, most)
	}
	return nil
}

func answer(rw http.ResponseWriter, version int, err error) {
	if err != nil {
		http.Error(rw, err.Error(), http.StatusServiceUnavailable)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(rw, "{\"version\":%d}\n", version)
}
