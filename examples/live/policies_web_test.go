package main

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// post sends body and returns the status and the answer.
func (p *program) post(path, body string, header ...string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url+path, strings.NewReader(body))
	require.NoError(p.t, err)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	return resp.StatusCode, string(answer)
}

// stateWhere returns the first state of the demonstration for which ok holds.
func (b *browser) stateWhere(ok func(state) bool) state {
	b.t.Helper()
	for {
		if s := decodeAs[state](b.t, b.next("policies").data); ok(s) {
			return s
		}
	}
}

func TestRun_Policies_RefusesBadInput(t *testing.T) {
	t.Parallel()
	p := startLive(t, nil)
	const publisher, block = "/policies/publisher", "/policies/subscribers/Block"
	for _, c := range []struct {
		path, body string
		code       int
		want       string
	}{
		{publisher, `{"rate":0,"burst":1}`, 400, "rate must be a whole number from 1 to 5000"},
		{publisher, `{"rate":5001,"burst":1}`, 400, "rate must be"},
		{publisher, `{"rate":1,"burst":501}`, 400, "burst must be a whole number from 1 to 500"},
		{publisher, `{"rate":1}`, 400, "burst must be"},
		{publisher, `{"rate":1.5,"burst":1}`, 400, "JSON object"},
		{publisher, `{"rate":1,"burst":1,"more":1}`, 400, `unknown field "more"`},
		{publisher, `{"rate":1,"burst":1}{}`, 400, "nothing behind it"},
		{publisher, `null`, 400, "rate must be"},
		{publisher, ``, 400, "JSON object"},
		{publisher, `{"rate":` + strings.Repeat(" ", maxBody) + `1,"burst":1}`, 400, "too large"},
		{block, `{"speed":-1}`, 400, "speed must be a whole number from 0 to 10000"},
		{block, `{"speed":"fast"}`, 400, "JSON object"},
		{block + "/subscribe", `{"speed":1}`, 400, "unknown field"},
		{"/policies/reset", `[]`, 400, "JSON object"},
		{"/policies/subscribers/Nobody", `{"speed":1}`, 404, "no such subscriber"},
		{"/policies/subscribers/Nobody/subscribe", `{}`, 404, "no such subscriber"},
	} {
		code, answer := p.post(c.path, c.body)
		require.Equal(t, c.code, code, "%s %s: %s", c.path, c.body, answer)
		require.Contains(t, answer, c.want, "%s %s", c.path, c.body)
	}
	code, answer := p.post("/policies/reset", `{}`, "Content-Type", "text/plain")
	require.Equal(t, http.StatusBadRequest, code, answer)
	code, answer = p.post("/policies/reset", `{}`, "Origin", "http://elsewhere.example")
	require.Equal(t, http.StatusForbidden, code, answer)
	require.Equal(t, 0, p.stop())
}

// TestRun_Policies_ReaderAndCoalescing: they are slowed down like any other, and
// the page is told what each of them did not get.
func TestRun_Policies_ReaderAndCoalescing(t *testing.T) {
	t.Parallel()
	p := startLive(t, nil)
	b := p.browse("/events?policies")
	for _, name := range []string{"Reader", "Coalescing"} {
		code, answer := p.post("/policies/subscribers/"+name, `{"speed":0}`)
		require.Equal(t, http.StatusOK, code, answer)
	}
	b.stateWhere(func(s state) bool { return s.lane(t, "Reader").Dropped > 0 && s.lane(t, "Coalescing").Len > 100 })
	for _, name := range []string{"Reader", "Coalescing"} {
		code, answer := p.post("/policies/subscribers/"+name, `{"speed":50}`)
		require.Equal(t, http.StatusOK, code, answer)
	}
	s := b.stateWhere(func(s state) bool {
		r, c := s.lane(t, "Reader"), s.lane(t, "Coalescing")
		return len(r.Trail) > 1 && c.Coalesced > 0 && len(c.Trail) == len(keys) && c.Trail[0].Skipped > 0
	})
	r, c := s.lane(t, "Reader"), s.lane(t, "Coalescing")
	require.Positive(t, r.Trail[1].Skipped)
	require.Equal(t, "missed", r.Skips)
	require.Zero(t, c.Dropped)
	require.Equal(t, "replaced", c.Skips)
	code, answer := p.post("/policies/subscribers/Coalescing/subscribe", `{}`)
	require.Equal(t, http.StatusOK, code, answer)
	require.Equal(t, 0, p.stop(), "and the numbers add up in both hubs")
}

// TestRun_Policies_StopsWhileBlocked: everything ends although a Publish waits
// for a subscriber that is stuck, and the page is told how it stands until then.
func TestRun_Policies_StopsWhileBlocked(t *testing.T) {
	t.Parallel()
	p := startLive(t, nil)
	b := p.browse("/events?policies")
	b.stateWhere(func(s state) bool { return s.lane(t, "Eject").Gets > 0 })
	code, answer := p.post("/policies/subscribers/Block", `{"speed":0}`)
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "{\"version\":1}\n", answer)
	s := b.stateWhere(func(s state) bool { return s.Waits > 0.5 })
	require.Equal(t, "Block is stuck: everybody waits.", s.Verdict.Text)
	p.cancel()
	b.next("end")
	require.Equal(t, 0, p.stop())
}

func TestRun_Policies_OnlyForThosePagesThatWantThem(t *testing.T) {
	t.Parallel()
	p := startLive(t, nil)
	b := p.browse("/events")
	for range 20 {
		require.NotEqual(t, "policies", b.message().kind)
	}
	require.Equal(t, 0, p.stop())
}

func TestRun_MetricsAndProfiles(t *testing.T) {
	t.Parallel()
	p := startLive(t, nil)
	b := p.browse("/events?policies")
	b.stateWhere(func(s state) bool { return s.Published > 0 })
	resp, metrics := p.get("/metrics")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	for _, hub := range []string{"live", "policies", "coalescing"} {
		require.Regexp(t, regexp.MustCompile(`(?m)^broadcast_published_total\{hub="`+hub+`"\} [1-9]`), metrics)
	}
	require.Regexp(t, regexp.MustCompile(`(?m)^broadcast_readers\{hub="policies"\} 1$`), metrics)
	require.Contains(t, metrics, `broadcast_coalesced_total{hub="coalescing"}`)
	for _, lane := range []string{`hub="policies",subscriber="Reader"`, `hub="coalescing",subscriber="Coalescing"`} {
		require.Contains(t, metrics, "broadcast_subscriber_dropped_total{"+lane+"} 0")
	}
	require.Regexp(t, regexp.MustCompile(`(?m)^broadcast_bridge_messages_total\{bridge="live",pattern="host\.>"\} [1-9]`), metrics)
	require.Contains(t, metrics, `broadcast_subscriber_dropped_total{hub="bridge",subscriber="intake"} 0`)
	require.Contains(t, metrics, "go_goroutines")
	require.Contains(t, metrics, "process_cpu_seconds_total")
	resp, profile := p.get("/debug/pprof/goroutine?debug=1")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Contains(t, profile, "goroutine profile: total")
	require.Equal(t, 0, p.stop())
}
