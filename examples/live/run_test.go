package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

func TestRun_Host_PageAndStream(t *testing.T) {
	t.Parallel()
	p := startLive(t, nil)
	b := p.browse("/events")

	state := decodeAs[[]wireEvent](t, b.next("state").data)
	for _, e := range state {
		require.Contains(t, e.Subject, "host.")
	}
	first := b.statusWhere(func(statusMessage) bool { return true })
	require.Equal(t, "host.> of this host", first.Hub.What)
	require.Contains(t, first.You.Name, "browser 127.0.0.1:")
	require.Equal(t, browserBuffer, first.You.Capacity)

	mem := b.event("host.mem")
	require.Positive(t, mem.Values["total"])
	require.Contains(t, b.event("host.cpu.0").Values, "percent")
	s := b.statusWhere(func(s statusMessage) bool { return s.Hub.Rate > 0 })
	require.Equal(t, 1, s.Hub.Browsers)
	require.Equal(t, 2, s.Hub.Subscribers)

	resp, page := p.get("/")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'self'")
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		resp, _ := p.get("/" + m[1])
		require.Equal(t, http.StatusOK, resp.StatusCode, "asset %s", m[1])
	}

	p.cancel()
	last := decodeAs[statusMessage](t, b.next("end").data)
	require.Equal(t, 0, p.stop())
	requireTotals(t, p, "latest values", last.You.Name, "all 2")
	require.Empty(t, p.err.String())
}

// requireTotals checks the table printed at the end, line by line.
func requireTotals(t *testing.T, p *program, names ...string) {
	t.Helper()
	out := p.out.String()
	require.Contains(t, out, "They add up")
	for _, name := range names {
		row := regexp.MustCompile(`(?m)^ *(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)  ` + regexp.QuoteMeta(name)).FindString(out)
		require.NotEmpty(t, row, "no row for %s in:\n%s", name, out)
		var offered, received, dropped, filtered, coalesced, left int
		_, err := fmt.Sscan(row, &offered, &received, &dropped, &filtered, &coalesced, &left)
		require.NoError(t, err)
		require.Equal(t, offered, received+dropped+filtered+coalesced+left, "row %s", row)
		require.Positive(t, offered, "row %s", row)
	}
}

func TestRun_Host_Prefix(t *testing.T) {
	t.Parallel()
	p := startLive(t, nil)
	b := p.browse("/events?prefix=host.mem")
	for range 3 {
		require.Equal(t, "host.mem", decodeAs[wireEvent](t, b.next("").data).Subject)
	}
	s := b.statusWhere(func(s statusMessage) bool { return s.You.Filtered > 0 })
	require.Equal(t, 0, p.stop())
	requireTotals(t, p, s.You.Name)
}

func TestRun_Stdin(t *testing.T) {
	t.Parallel()
	in, feed := io.Pipe()
	p := startLive(t, in, "-stdin")
	b := p.browse("/events")
	b.next("status") // subscribed: nothing is missed from here on

	_, err := io.WriteString(feed, "{\"a\":1,\"b\":{\"c\":2}}\n42\ntemp -1.5e1\nnonsense here now\n{\"a\":\n\n{\"a\":\"text\"}\n7")
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"a": 1, "b.c": 2}, b.event("stdin").Values)
	require.Equal(t, map[string]float64{"value": 42}, b.event("stdin").Values)
	require.Equal(t, map[string]float64{"value": -15}, b.event("stdin.temp").Values)
	require.NoError(t, feed.Close())
	require.Equal(t, map[string]float64{"value": 7}, b.event("stdin").Values, "the last line needs no line break")

	s := b.statusWhere(func(s statusMessage) bool { return s.Hub.Ended })
	require.Equal(t, uint64(4), s.Hub.Published)
	require.Equal(t, malformed{4, "stdin", `{"a":"text"}`, "JSON without a number"}, s.Hub.Malformed)
	p.out.waitFor(t, regexp.MustCompile("Standard input has ended; the page stays until Ctrl-C"))

	late := p.browse("/events") // the page is still there, and shows what was
	require.Len(t, decodeAs[[]wireEvent](t, late.next("state").data), 2)
	require.Equal(t, 0, p.stop())
	requireTotals(t, p, "latest values", s.You.Name)
	require.Contains(t, p.out.String(), "4 malformed events were skipped.")
}

func TestRun_Stdin_StopsWithinRead(t *testing.T) {
	t.Parallel()
	in, feed := io.Pipe()
	p := startLive(t, in, "-stdin")
	require.Equal(t, 0, p.stop(), "while the reader waits for a line that never comes")
	require.NoError(t, feed.Close())
}

func startServer(t *testing.T, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true, Username: "ann", Password: "sesame",
	})
	require.NoError(t, err)
	go s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(patience))
	return s
}

func publisher(t *testing.T, s *server.Server) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL(), nats.UserInfo("ann", "sesame"))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func TestRun_NATS(t *testing.T) {
	t.Parallel()
	s := startServer(t, server.RANDOM_PORT)
	p := startLive(t, nil, "-nats", strings.Replace(s.ClientURL(), "//", "//ann:sesame@", 1), "-subject", "orders.>")
	b := p.browse("/events")
	b.next("status")
	nc := publisher(t, s)
	require.NoError(t, nc.Publish("orders.eu", []byte(`{"total":12.5,"items":[1,2]}`)))
	require.NoError(t, nc.Publish("orders.us", []byte("\x1b[2Jnot JSON")))
	require.NoError(t, nc.Publish("other", []byte(`1`)))
	require.NoError(t, nc.Publish("orders.uk", []byte(`"no number"`)))
	require.NoError(t, nc.Flush())

	require.Equal(t, map[string]float64{"total": 12.5, "items.0": 1, "items.1": 2}, b.event("orders.eu").Values)
	require.Empty(t, b.event("orders.uk").Values)
	st := b.statusWhere(func(s statusMessage) bool { return s.Hub.Malformed.Count > 0 })
	require.Equal(t, malformed{1, "orders.us", "\x1b[2Jnot JSON", "not JSON"}, st.Hub.Malformed)
	require.Equal(t, uint64(2), st.Hub.Published)
	require.Equal(t, 0, p.stop())
	requireTotals(t, p, "latest values", st.You.Name)

	printed := p.out.String() + p.err.String()
	require.NotContains(t, printed, "sesame")
	require.NotContains(t, printed, "\x1b", "a payload must not reach the terminal")
}

func TestRun_NATS_Reconnects(t *testing.T) {
	t.Parallel()
	s := startServer(t, server.RANDOM_PORT)
	address, err := url.Parse(s.ClientURL())
	require.NoError(t, err)
	p := startLive(t, nil, "-nats", "nats://ann:sesame@"+address.Host)
	b := p.browse("/events")
	b.next("status")
	s.Shutdown()
	s.WaitForShutdown()
	require.Equal(t, "disconnected", b.gap().Reason)
	p.err.waitFor(t, regexp.MustCompile(`NATS: disconnected \(.*\), trying to get back`))

	port, err := strconv.Atoi(address.Port())
	require.NoError(t, err)
	s = startServer(t, port)
	p.err.waitFor(t, regexp.MustCompile(`NATS: connected again to 127\.0\.0\.1:\d+`))
	// The second gap is told when the server has confirmed the subscription.
	require.Equal(t, "disconnected", b.gapAtOnce().Reason)
	nc := publisher(t, s)
	require.NoError(t, nc.Publish("again", []byte(`1`)))
	require.NoError(t, nc.Flush())
	require.Equal(t, map[string]float64{"value": 1}, b.event("again").Values)
	require.Equal(t, 0, p.stop())
}

// TestRun_NATS_StopsWhileAway: a server that is gone cannot drain, and must not
// hold up the end.
func TestRun_NATS_StopsWhileAway(t *testing.T) {
	t.Parallel()
	s := startServer(t, server.RANDOM_PORT)
	p := startLive(t, nil, "-nats", strings.Replace(s.ClientURL(), "//", "//ann:sesame@", 1))
	s.Shutdown()
	s.WaitForShutdown()
	p.err.waitFor(t, regexp.MustCompile(`NATS: disconnected`))
	require.Equal(t, 0, p.stop())
}

func TestRun_StuckBrowser(t *testing.T) {
	in, feed := io.Pipe()
	p := startLive(t, in, "-stdin")
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	require.NoError(t, err) // and it never reads

	flooded := make(chan error, 1)
	line := fatLine(t)
	go func() {
		for {
			if _, err := feed.Write(line); err != nil {
				flooded <- err
				return
			}
		}
	}()
	p.out.waitFor(t, regexp.MustCompile(`subscribers 2 .* dropped [1-9]`))
	require.Equal(t, 0, p.stop())
	requireTotals(t, p, "latest values", "browser 127.0.0.1:")
	require.NoError(t, in.Close())
	require.ErrorIs(t, <-flooded, io.ErrClosedPipe)
}

// fatLine is an event of some kilobytes, to fill the buffers of a connection.
func fatLine(t *testing.T) []byte {
	t.Helper()
	values := map[string]int{}
	for i := range maxFields {
		values[fmt.Sprintf("%0*d", maxName, i)] = i
	}
	line, err := json.Marshal(values)
	require.NoError(t, err)
	return append(line, '\n')
}

func TestRun_BadFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-colour"}, "flag provided but not defined: -colour. Run with -h"},
		{[]string{"now"}, `unexpected argument "now"`},
		{[]string{"-stdin", "-nats", "nats://localhost"}, "choose one"},
		{[]string{"-subject", "a.b"}, "give its address with -nats"},
		{[]string{"-listen", "nowhere"}, "Give another address with -listen"},
		{[]string{"-nats", "nats://ann:sesame@host:no"}, "it should be like nats://127.0.0.1:4222"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			var out, err bytes.Buffer
			require.Equal(t, 1, run(t.Context(), c.args, nil, &out, &err))
			require.Contains(t, err.String(), c.want)
			require.NotContains(t, err.String(), "sesame")
			require.Equal(t, 1, strings.Count(err.String(), "\n"), "one message: %s", &err)
			require.Empty(t, out.String())
		})
	}
}

func TestRun_Help(t *testing.T) {
	var out, err bytes.Buffer
	require.Equal(t, 0, run(t.Context(), []string{"-h"}, nil, &out, &err))
	for _, name := range []string{"-listen", "-nats", "-subject", "-stdin"} {
		require.Contains(t, out.String(), name)
	}
	require.Empty(t, err.String())
}

func TestRun_PortTaken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	var out, stderr bytes.Buffer
	require.Equal(t, 1, run(t.Context(), []string{"-listen", ln.Addr().String()}, nil, &out, &stderr))
	require.Contains(t, stderr.String(), "is taken")
	require.Contains(t, stderr.String(), "-listen 127.0.0.1:0")
}

func TestRun_NATSUnreachable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	require.NoError(t, ln.Close())
	var out, stderr bytes.Buffer
	code := run(context.Background(), []string{"-listen", "127.0.0.1:0", "-nats", "nats://ann:sesame@" + addr}, nil, &out, &stderr)
	require.Equal(t, 1, code)
	require.Contains(t, stderr.String(), "cannot connect to the NATS server at nats://"+addr)
	require.NotContains(t, stderr.String(), "sesame")
}

func TestRun_NATSBadSubject(t *testing.T) {
	t.Parallel()
	s := startServer(t, server.RANDOM_PORT)
	var out, stderr bytes.Buffer
	args := []string{"-listen", "127.0.0.1:0", "-nats", strings.Replace(s.ClientURL(), "//", "//ann:sesame@", 1), "-subject", "a b"}
	require.Equal(t, 1, run(t.Context(), args, nil, &out, &stderr))
	require.Contains(t, stderr.String(), `cannot subscribe to "a b"`)
}
