package main

import (
	"bufio"
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// watcher is a page that only counts what it gets.
type watcher struct{ states atomic.Int64 }

// watch reads the stream until ctx ends.
func (w *watcher) watch(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/events?policies", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if lines.Text() == "event: policies" {
			w.states.Add(1)
		}
	}
	return ctx.Err()
}

// tempo is what one page has seen over some seconds, all per second.
type tempo struct{ source, publisher, updates float64 }

// measure opens a page for four statuses, which is three seconds.
func (p *program) measure() tempo {
	b := p.browse("/events?policies")
	defer b.body.Close()
	b.next("status") // the first came with the page, at any moment
	b.next("status")
	var statuses []statusMessage
	var states []state
	for len(statuses) < 4 {
		switch m := b.message(); m.kind {
		case "status":
			statuses = append(statuses, decodeAs[statusMessage](p.t, m.data))
		case "policies":
			states = append(states, decodeAs[state](p.t, m.data))
		}
	}
	first, last := statuses[0].Hub, statuses[3].Hub
	from, to := states[0], states[len(states)-1]
	return tempo{
		source:    float64(last.Published-first.Published) * 1000 / float64(last.Time-first.Time),
		publisher: float64(to.Published-from.Published) * 1000 / float64(to.Time-from.Time),
		updates:   float64(len(states)-1) * 1000 / float64(to.Time-from.Time),
	}
}

// TestRun_HundredPages: a hundred open pages change nothing for the sources.
// The bounds are wide, since a hundred clients in this very process take time
// away from it on a small machine; the log has the numbers.
func TestRun_HundredPages(t *testing.T) {
	p := startLive(t, nil)
	alone := p.measure()

	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	var crowd sync.WaitGroup
	watchers := make([]watcher, 99)
	for i := range watchers {
		crowd.Go(func() { _ = watchers[i].watch(ctx, p.url) }) // it ends with ctx
	}
	b := p.browse("/events?policies")
	b.stateWhere(func(s state) bool { return s.Pages == 100 })
	before, begin := total(watchers), time.Now()
	together := p.measure()
	each := float64(total(watchers)-before) / time.Since(begin).Seconds() / float64(len(watchers))

	t.Logf("pages: 1 and 101; events/s at the source: %.1f and %.1f; of the invented publisher: %.1f and %.1f; "+
		"updates/s of a page: %.1f and %.1f, of the others on average %.1f",
		alone.source, together.source, alone.publisher, together.publisher, alone.updates, together.updates, each)
	// Alone on a machine these are the same; one that has other work slows both. A page
	// that holds up the others would leave next to nothing.
	require.Greater(t, together.source, 0.2*alone.source)
	require.Greater(t, together.publisher, 0.2*alone.publisher)
	require.Greater(t, each, 2.0)
	leave()
	crowd.Wait()
	b.body.Close()
	require.Equal(t, 0, p.stop())
}

func total(watchers []watcher) (n int64) {
	for i := range watchers {
		n += watchers[i].states.Load()
	}
	return n
}
