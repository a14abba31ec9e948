package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// status is what the terminal and every page show once a second.
type status struct {
	What        string    `json:"what"` // see source
	Over        string    `json:"over"`
	Ended       bool      `json:"ended"` // the source will give no more events
	Time        int64     `json:"time"`  // Unix milliseconds
	Rate        float64   `json:"rate"`  // events per second
	Browsers    int       `json:"browsers"`
	Subscribers int       `json:"subscribers"`
	Published   uint64    `json:"published"`
	Offered     uint64    `json:"offered"`
	Received    uint64    `json:"received"`
	Dropped     uint64    `json:"dropped"`
	Filtered    uint64    `json:"filtered"`
	Malformed   malformed `json:"malformed"`
	Gaps        uint64    `json:"gaps"`
	Bridged     bool      `json:"bridged"` // there can be gaps: it comes over a network
	Server      string    `json:"server"`  // running or stopped; empty if it is not ours to stop
}

func (s status) line() string {
	line := fmt.Sprintf("%.0f events/s  subscribers %d  offered %d  received %d  dropped %d  malformed %d",
		s.Rate, s.Subscribers, s.Offered, s.Received, s.Dropped, s.Malformed.Count)
	if s.Gaps > 0 {
		line += fmt.Sprintf("  gaps %d", s.Gaps)
	}
	if s.Server == stopped {
		line += "  (NATS server stopped)"
	}
	if s.Ended {
		line += "  (source has ended)"
	}
	return line
}

// encoded returns s as the pages read it.
func (s status) encoded() []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // only a NaN could do that, and there is no division by zero here
	}
	return b
}

// What a status says of the server.
const (
	running = "running"
	stopped = "stopped"
)

// report puts a new status on the board and the terminal once a second, and on
// the board when there is news, until ctx ends.
func (a *app) report(ctx context.Context, last status) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			last = a.status(last)
			a.board.set(last.encoded())
			a.con.status(last.line())
		case <-a.news:
			s := a.status(last)
			s.Rate = last.Rate // of a few events nobody could tell
			a.board.set(s.encoded())
		case <-ctx.Done():
			a.con.status("")
			return
		}
	}
}

// status takes stock; the rate is since last.
func (a *app) status(last status) status {
	st := a.hub.Stats()
	s := status{
		What:        a.source.what,
		Over:        a.source.over,
		Ended:       a.source.hasEnded(),
		Time:        time.Now().UnixMilli(),
		Browsers:    a.ledger.browsers(),
		Subscribers: st.Subscribers,
		Published:   st.Published,
		Offered:     st.Offered,
		Received:    a.ledger.received(),
		Dropped:     st.Dropped,
		Filtered:    st.Filtered,
		Malformed:   a.in.malformed(),
		Gaps:        a.in.gaps.Load(),
		Bridged:     a.source.bridge != nil,
		Server:      a.source.serverState(),
	}
	if elapsed := s.Time - last.Time; last.Time > 0 && elapsed > 0 {
		s.Rate = float64(s.Published-last.Published) * 1000 / float64(elapsed)
	}
	return s
}
