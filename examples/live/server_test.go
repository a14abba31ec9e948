package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
)

// turnServer stops or starts the NATS server as the page's button does.
func (p *program) turnServer(what, want string) {
	p.t.Helper()
	code, answer := p.post("/server/"+what, `{}`)
	require.Equal(p.t, http.StatusOK, code, answer)
	require.JSONEq(p.t, `{"server":"`+want+`"}`, answer)
}

// gap returns the next gap.
func (b *browser) gap() gap {
	b.t.Helper()
	return decodeAs[gap](b.t, b.next("gap").data)
}

// gapAtOnce returns the next gap, and fails if an event comes before it.
func (b *browser) gapAtOnce() gap {
	b.t.Helper()
	for {
		m := b.message()
		require.NotEmpty(b.t, m.kind, "an event inside the gap: %s", m.data)
		if m.kind == "gap" {
			return decodeAs[gap](b.t, m.data)
		}
	}
}

func TestRun_Server_StopsAndStarts(t *testing.T) {
	t.Parallel()
	p := startLive(t, nil)
	b, mem := p.browse("/events"), p.browse("/events?prefix=host.mem")
	b.event("host.mem")
	first := b.statusWhere(func(statusMessage) bool { return true })
	require.Equal(t, running, first.Hub.Server)
	require.True(t, first.Hub.Bridged)
	require.Zero(t, first.Hub.Gaps)
	began := time.Now().UnixMilli()

	p.turnServer("stop", stopped)
	p.turnServer("stop", stopped)
	g := b.gap()
	require.Equal(t, gap{g.Time, "disconnected", 0, 1}, g)
	require.GreaterOrEqual(t, g.Time, began)
	b.statusWhere(func(s statusMessage) bool { return s.Hub.Server == stopped && s.Hub.Gaps == 1 })

	p.turnServer("start", running)
	p.turnServer("start", running)
	again := b.gapAtOnce()
	require.Equal(t, gap{again.Time, "disconnected", 0, 2}, again)
	require.GreaterOrEqual(t, b.event("host.mem").Time, again.Time)
	b.statusWhere(func(s statusMessage) bool { return s.Hub.Server == running && s.Hub.Gaps == 2 && s.Hub.Rate > 0 })
	require.Equal(t, g, mem.gap(), "a filter is for subjects: everybody is told of a gap")
	require.Equal(t, again, mem.gapAtOnce())

	for range 2 { // and once more, on connections that were made again
		p.turnServer("stop", stopped)
		b.gap()
		p.turnServer("start", running)
		b.gapAtOnce()
		b.event("host.cpu")
	}
	for _, e := range decodeAs[[]wireEvent](t, p.browse("/events").next("state").data) {
		require.Contains(t, e.Subject, "host.", "no gap of the past")
	}
	require.Equal(t, 0, p.stop())
	requireTotals(t, p, "latest values", first.You.Name, "all 4")
	require.Contains(t, p.out.String(), "6 gaps, each of them an event in the counts above.")
	require.Equal(t, regexp.MustCompile(`(Gap: disconnected\.\n){6}`).FindString(p.err.String()), p.err.String())
}

func TestRun_Server_LiveEndsWhileItIsStopped(t *testing.T) {
	t.Parallel()
	p := startLive(t, nil)
	b := p.browse("/events")
	p.turnServer("stop", stopped)
	b.gap()
	s := b.statusWhere(func(s statusMessage) bool { return s.Hub.Server == stopped })
	p.out.waitFor(t, regexp.MustCompile(`gaps 1  \(NATS server stopped\)`))
	p.cancel()
	b.next("end")
	require.Equal(t, 0, p.stop())
	requireTotals(t, p, "latest values", s.You.Name, "all 2")
	require.Equal(t, "Gap: disconnected.\n", p.err.String())
}

// TestRun_Server_LiveEndsWhileItIsTurned: whoever turns it then is told so, or
// has done it, and nothing is left running.
func TestRun_Server_LiveEndsWhileItIsTurned(t *testing.T) {
	t.Parallel()
	p := startLive(t, nil)
	p.browse("/events").event("host.mem")
	turned := make(chan struct{})
	var others sync.WaitGroup
	for i := range 4 {
		others.Go(func() {
			for n := i; ; n++ {
				body := bytes.NewReader([]byte(`{}`))
				resp, err := http.Post(p.url+"/server/"+[]string{"stop", "start"}[n%2], "application/json", body)
				if err != nil {
					return // live has ended
				}
				resp.Body.Close()
				select {
				case turned <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 10 {
		<-turned
	}
	require.Equal(t, 0, p.stop())
	others.Wait()
	http.DefaultClient.CloseIdleConnections()
	requireTotals(t, p, "latest values")
}

func TestRun_Server_RefusesWhatIsWrong(t *testing.T) {
	t.Parallel()
	p := startLive(t, nil)
	for _, c := range []struct {
		body, name, value string
		code              int
		want              string
	}{
		{`{"server":1}`, "", "", 400, "unknown field"},
		{`[]`, "", "", 400, "JSON object"},
		{``, "", "", 400, "JSON object"},
		{`{}{}`, "", "", 400, "nothing behind it"},
		{`{}`, "Content-Type", "text/plain", 400, "application/json"},
		{`{}`, "Origin", "http://elsewhere.example", 403, ""},
		{`{}`, "Sec-Fetch-Site", "cross-site", 403, "its own page"},
	} {
		var header []string
		if c.name != "" {
			header = []string{c.name, c.value}
		}
		for _, path := range []string{"/server/stop", "/server/start"} {
			code, answer := p.post(path, c.body, header...)
			require.Equal(t, c.code, code, "%s %+v: %s", path, c, answer)
			require.Contains(t, answer, c.want)
		}
	}
	resp, _ := p.get("/server/stop")
	require.Equal(t, http.StatusNotFound, resp.StatusCode, "only POST changes something")
	s := p.browse("/events").statusWhere(func(statusMessage) bool { return true })
	require.Equal(t, running, s.Hub.Server)
	require.Equal(t, 0, p.stop())
}

func TestRun_Server_OnlyItsOwn(t *testing.T) {
	t.Parallel()
	in, feed := io.Pipe()
	p := startLive(t, in, "-stdin")
	code, answer := p.post("/server/stop", `{}`)
	require.Equal(t, http.StatusNotFound, code)
	require.Contains(t, answer, "only its own")
	s := p.browse("/events").statusWhere(func(statusMessage) bool { return true })
	require.Empty(t, s.Hub.Server)
	require.False(t, s.Hub.Bridged)
	_, metrics := p.get("/metrics")
	require.NotContains(t, metrics, "broadcast_bridge")
	require.NoError(t, feed.Close())
	require.Equal(t, 0, p.stop())
}

func TestEmbedded_OneAtATime(t *testing.T) {
	e := newEmbedded()
	_, err := e.InProcessConn()
	require.ErrorIs(t, err, errNoServer)

	e.turn <- struct{}{} // somebody is at it
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, e.start(ctx), context.Canceled)
	require.ErrorIs(t, e.stop(ctx), context.Canceled)
	e.done()

	require.NoError(t, e.start(t.Context()))
	s := e.server()
	require.NoError(t, e.start(t.Context()))
	require.Same(t, s, e.server(), "there is one already")
	require.NoError(t, e.stop(t.Context()))
	require.NoError(t, e.stop(t.Context()))
	require.False(t, s.Running())
	require.NoError(t, e.start(t.Context()))
	require.NotSame(t, s, e.server())

	s = e.server()
	e.close()
	e.close()
	require.False(t, s.Running())
	require.ErrorIs(t, e.start(t.Context()), errServerOver)
	require.ErrorIs(t, e.stop(t.Context()), errServerOver)
	require.False(t, e.running())
}

// TestLink_TellsWhatTheIntakeWasTooSlowFor: where the bridge's events were
// overwritten, the hub gets a gap with their number.
func TestLink_TellsWhatTheIntakeWasTooSlowFor(t *testing.T) {
	topic := broadcast.New[bridge.Event[event]](1, broadcast.DropOldest, broadcast.WithRing(64))
	r := topic.NewReader(broadcast.WithBuffer(4))
	for i := range 10 {
		e := bridge.Event[event]{Value: event{subject: "s", json: []byte{byte('0' + i)}}, Time: time.UnixMilli(int64(i))}
		require.NoError(t, topic.Publish(t.Context(), e))
	}
	topic.Close()

	hub := broadcast.New[event](16, broadcast.DropOldest)
	sub := hub.Subscribe()
	var out, err bytes.Buffer
	news := make(chan struct{}, 1)
	in := &intake{hub: hub, news: news}
	l := &link{}
	l.stopping.Store(true)
	l.handOver(r, in, newConsole(&out, &err))
	hub.Close()

	require.Equal(t, event{json: []byte(`{"time":6,"reason":"overflowed","count":6,"gaps":1}`), isGap: true}, <-sub.C())
	for _, want := range []string{"6", "7", "8", "9"} {
		require.Equal(t, want, string((<-sub.C()).json))
	}
	require.Equal(t, "Gap: overflowed, 6 events.\n", err.String())
	require.Len(t, news, 1, "the pages are told at once")
}

func TestLatest_KeepsNoGap(t *testing.T) {
	hub := broadcast.New[event](4, broadcast.Block)
	sub := hub.Subscribe()
	l, c := &latest{bySubject: map[string]event{}}, (&ledger{}).join("latest", false, sub)
	require.NoError(t, hub.Publish(t.Context(), event{subject: "a"}))
	require.NoError(t, hub.Publish(t.Context(), event{isGap: true}))
	hub.Close()
	l.run(sub, c)
	require.Equal(t, []event{{subject: "a"}}, l.all(""))
	require.Equal(t, account{offered: 2, received: 2}, c.account(), "and it counts like others")
}
