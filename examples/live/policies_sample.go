package main

import (
	"context"
	"encoding/json"
	"time"
)

const (
	sampleEvery = 100 * time.Millisecond
	window      = 10 // samples back that rates are taken over: a second
)

// sample is the demonstration at one moment.
type sample struct {
	at        time.Time
	version   int
	pages     int
	settings  settings
	published uint64
	spent     time.Duration // in Publish, ever
	waits     time.Duration // in the present Publish
	lanes     []laneSample
}

type laneSample struct {
	name     string
	speed    int
	live     bool
	len, cap int
	offered  uint64
	received uint64
	dropped  uint64
	ejects   uint64
	age      time.Duration
}

func (l laneSample) full() bool { return l.len == l.cap }

// sample puts the state on the board, ten times a second while somebody looks,
// until ctx ends.
func (p *policies) sample(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	tick.Stop()
	defer tick.Stop()
	var history []sample // the latest, oldest first
	for {
		n, changed := p.pages.get()
		if n == 0 {
			tick.Stop()
			history = nil
		} else if history == nil {
			tick.Reset(sampleEvery)
			history = append(history, p.take(n))
		}
		select {
		case <-tick.C:
			history = append(history, p.take(n))
			history = history[max(0, len(history)-window-1):]
			p.board.set(stateOf(history).encoded())
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// take waits for nobody who publishes or receives.
func (p *policies) take(pages int) sample {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := sample{at: time.Now(), version: p.version, pages: pages, published: p.hub.Stats().Published}
	s.spent, s.waits = p.pub.spent.read()
	s.settings, _ = p.pub.settings.get()
	for _, l := range p.lanes {
		speed, _ := l.speed.get()
		m := l.current
		st := m.sub.Stats()
		s.lanes = append(s.lanes, laneSample{
			name: l.name, speed: speed, live: m.sub.Err() == nil,
			len: st.Len, cap: st.Cap, offered: st.Offered, received: m.received.Load(), dropped: st.Dropped,
			ejects: l.ejects.Load(), age: time.Duration(m.age.Load()),
		})
	}
	return s
}

// state is the demonstration as the page reads it.
type state struct {
	Time      int64       `json:"time"` // Unix milliseconds
	Version   int         `json:"version"`
	Pages     int         `json:"pages"`
	Rate      int         `json:"rate"`
	Burst     int         `json:"burst"`
	Published uint64      `json:"published"`
	Real      float64     `json:"real"`    // events published in the last second
	Blocked   float64     `json:"blocked"` // share of the last second spent in Publish
	Waits     float64     `json:"waits"`   // seconds that the present Publish lasts
	Verdict   verdict     `json:"verdict"`
	Lanes     []laneState `json:"lanes"`
}

type laneState struct {
	Name     string  `json:"name"`
	Speed    int     `json:"speed"`
	Live     bool    `json:"live"`
	Len      int     `json:"len"`
	Cap      int     `json:"cap"`
	Offered  uint64  `json:"offered"`
	Received uint64  `json:"received"`
	Dropped  uint64  `json:"dropped"`
	Ejects   uint64  `json:"ejects"`
	Age      float64 `json:"age"`  // milliseconds, of the latest received
	Gets     float64 `json:"gets"` // events received in the last second
	Loses    float64 `json:"loses"`
	Verdict  verdict `json:"verdict"`
}

func (s state) encoded() []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // only a NaN could do that, and samples have time between them
	}
	return b
}

// stateOf derives the state from two samples or more.
func stateOf(history []sample) state {
	from, now := history[0], history[len(history)-1]
	elapsed := now.at.Sub(from.at).Seconds()
	rate := func(was, is uint64) float64 {
		if is < was {
			was = 0 // another subscription began anew
		}
		return float64(is-was) / elapsed
	}
	s := state{
		Time: now.at.UnixMilli(), Version: now.version, Pages: now.pages,
		Rate: now.settings.rate, Burst: now.settings.burst,
		Published: now.published, Real: rate(from.published, now.published),
		Blocked: min(1, (now.spent-from.spent).Seconds()/elapsed), Waits: now.waits.Seconds(),
	}
	for i, l := range now.lanes {
		s.Lanes = append(s.Lanes, laneState{
			Name: l.name, Speed: l.speed, Live: l.live, Len: l.len, Cap: l.cap,
			Offered: l.offered, Received: l.received, Dropped: l.dropped, Ejects: l.ejects,
			Age:  float64(l.age.Microseconds()) / 1000,
			Gets: rate(from.lanes[i].received, l.received), Loses: rate(from.lanes[i].dropped, l.dropped),
		})
	}
	s.judge(fullOften(history))
	return s
}

// fullOften tells for each lane whether it was full in most of the samples.
func fullOften(history []sample) []bool {
	often := make([]bool, len(history[0].lanes))
	for i := range often {
		n := 0
		for _, s := range history {
			if s.lanes[i].full() {
				n++
			}
		}
		often[i] = 2*n > len(history)
	}
	return often
}
