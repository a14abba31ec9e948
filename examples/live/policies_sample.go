package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/gobroadcast/broadcast"
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
	lane     *lane
	stats    broadcast.SubscriptionStats
	received uint64 // as the subscriber has counted itself
	speed    int
	live     bool
	ejects   uint64
	age      time.Duration
	trail    []mark
}

func (l laneSample) full() bool { return l.stats.Len == l.stats.Cap }

// sample puts the state on the board, ten times a second while somebody looks,
// until ctx ends.
func (p *policies) sample(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	tick.Stop()
	defer tick.Stop()
	var history []sample // the latest, oldest first
	for {
		n, current := p.pages.get()
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
		case <-current.Done():
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
		s.lanes = append(s.lanes, laneSample{
			lane: l, stats: m.feed.Stats(), received: m.received.Load(),
			speed: speed, live: m.feed.Err() == nil, ejects: l.ejects.Load(),
			age: time.Duration(m.age.Load()), trail: m.trail.all(),
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
	Name  string `json:"name"`
	About string `json:"about"`
	Keys  int    `json:"keys"` // of which it gets the latest; 0: it wants every event
	Speed int    `json:"speed"`
	Live  bool   `json:"live"`

	Len       int     `json:"len"`
	Cap       int     `json:"cap"` // 0: there is no bound
	Offered   uint64  `json:"offered"`
	Received  uint64  `json:"received"`
	Dropped   uint64  `json:"dropped"`
	Filtered  uint64  `json:"filtered"`
	Coalesced uint64  `json:"coalesced"`
	Ejects    uint64  `json:"ejects"`
	Age       float64 `json:"age"`  // milliseconds, of the latest received
	Gets      float64 `json:"gets"` // events received in the last second
	Loses     float64 `json:"loses"`
	Coalesces float64 `json:"coalesces"`

	Trail   []mark  `json:"trail"`
	Skips   string  `json:"skips"` // what became of what its trail says it skipped
	Verdict verdict `json:"verdict"`

	patience time.Duration // of the publisher with it
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
		was, is := from.lanes[i], l.stats
		s.Lanes = append(s.Lanes, laneState{
			Name: l.lane.name, About: l.lane.about, Keys: l.lane.keys, Speed: l.speed, Live: l.live,
			Len: is.Len, Cap: is.Cap, Offered: is.Offered, Received: l.received, Dropped: is.Dropped,
			Filtered: is.Filtered, Coalesced: is.Coalesced, Ejects: l.ejects,
			Age:  float64(l.age.Microseconds()) / 1000,
			Gets: rate(was.received, l.received), Loses: rate(was.stats.Dropped, is.Dropped),
			Coalesces: rate(was.stats.Coalesced, is.Coalesced),
			Trail:     l.trail, Skips: l.lane.skips, patience: l.lane.patience,
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
