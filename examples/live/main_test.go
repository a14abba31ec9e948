package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of the tests. None of them needs a fraction of it.
const patience = 20 * time.Second

// program is live, running as it does in a terminal.
type program struct {
	t      *testing.T
	url    string
	cancel context.CancelFunc // Ctrl-C
	exit   chan int
	out    *lines
	err    *lines
}

// startLive runs live on a free port and waits until it says where.
func startLive(t *testing.T, stdin io.Reader, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{t: t, cancel: cancel, exit: make(chan int, 1), out: newLines(), err: newLines()}
	go func() {
		p.exit <- run(ctx, append([]string{"-listen", "127.0.0.1:0"}, args...), stdin, p.out, p.err)
	}()
	t.Cleanup(cancel)
	opened := p.out.waitFor(t, regexp.MustCompile(`http://\S+`))
	p.url = opened
	return p
}

// stop presses Ctrl-C and returns the exit code; it fails the test after two
// seconds, which is what live promises.
func (p *program) stop() int {
	p.t.Helper()
	p.cancel()
	select {
	case code := <-p.exit:
		return code
	case <-time.After(2 * time.Second):
		require.FailNow(p.t, "live did not end within two seconds", "it printed:\n%s%s", p.out, p.err)
		return -1
	}
}

func (p *program) get(path string) (*http.Response, string) {
	p.t.Helper()
	resp := p.open(path)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	return resp, string(body)
}

// open requests path; the body must be read within patience.
func (p *program) open(path string) *http.Response {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	p.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	require.NoError(p.t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	require.NoError(p.t, err)
	return resp
}

// browser is a client of /events.
type browser struct {
	t    *testing.T
	body io.ReadCloser
	read *bufio.Reader
}

// message is one Server-Sent Event.
type message struct{ kind, data string }

// statusMessage is the data of "status" and "end".
type statusMessage struct {
	Hub status
	You own
}

func (p *program) browse(path string) *browser {
	p.t.Helper()
	resp := p.open(path)
	require.Equal(p.t, http.StatusOK, resp.StatusCode)
	require.Equal(p.t, "text/event-stream", resp.Header.Get("Content-Type"))
	p.t.Cleanup(func() { resp.Body.Close() })
	return &browser{t: p.t, body: resp.Body, read: bufio.NewReader(resp.Body)}
}

// next returns the next message of a kind; "" is that of an ordinary event.
func (b *browser) next(kind string) message {
	b.t.Helper()
	for {
		if m := b.message(); m.kind == kind {
			return m
		}
	}
}

func (b *browser) message() message {
	b.t.Helper()
	var m message
	for {
		line, err := b.read.ReadString('\n')
		require.NoError(b.t, err, "the stream ended after %+v", m)
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch {
		case name == "event":
			m.kind = value
		case name == "data":
			m.data = value
		case line == "\n" && m != message{}:
			return m
		}
	}
}

// event returns the next event whose subject begins with prefix.
func (b *browser) event(prefix string) wireEvent {
	b.t.Helper()
	for {
		if e := decodeAs[wireEvent](b.t, b.next("").data); strings.HasPrefix(e.Subject, prefix) {
			return e
		}
	}
}

// statusWhere returns the first status for which ok holds.
func (b *browser) statusWhere(ok func(statusMessage) bool) statusMessage {
	b.t.Helper()
	for {
		if s := decodeAs[statusMessage](b.t, b.next("status").data); ok(s) {
			return s
		}
	}
}

func decodeAs[T any](t *testing.T, data string) T {
	t.Helper()
	var v T
	require.NoError(t, json.Unmarshal([]byte(data), &v), "in %s", data)
	return v
}

// lines is what a program writes, with a way to wait for something in it.
type lines struct {
	mu    sync.Mutex // guards both below
	text  strings.Builder
	grown chan struct{}
}

func newLines() *lines { return &lines{grown: make(chan struct{})} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.grown)
	l.grown = make(chan struct{})
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// waitFor returns the first match of re.
func (l *lines) waitFor(t *testing.T, re *regexp.Regexp) string {
	t.Helper()
	timeout := time.After(patience)
	for {
		l.mu.Lock()
		text, grown := l.text.String(), l.grown
		l.mu.Unlock()
		if found := re.FindString(text); found != "" {
			return found
		}
		select {
		case <-grown:
		case <-timeout:
			require.FailNow(t, "not printed", "%v is not in:\n%s", re, text)
		}
	}
}
