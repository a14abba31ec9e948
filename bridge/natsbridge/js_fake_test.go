package natsbridge_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// fake answers for a server with a stream S that takes a, and leaves it to the test what
// its consumers say.
type fake struct {
	t     *testing.T
	nc    *nats.Conn
	pulls chan pull
}

// pull is a request for messages.
type pull struct {
	Batch     int           `json:"batch"`
	MaxBytes  int           `json:"max_bytes"`
	Heartbeat time.Duration `json:"idle_heartbeat"`

	consumer string
	inbox    string
}

func newFake(t *testing.T, s *server.Server) *fake {
	t.Helper()
	f := &fake{t: t, nc: inside(t, s), pulls: make(chan pull, 100)}
	_, err := f.nc.Subscribe("$JS.API.>", f.answer)
	require.NoError(t, err)
	require.NoError(t, f.nc.Flush())
	return f
}

func (f *fake) answer(m *nats.Msg) {
	what, name, _ := strings.Cut(strings.TrimPrefix(m.Subject, "$JS.API."), ".S")
	name, _, _ = strings.Cut(strings.TrimPrefix(name, "."), ".")
	switch what {
	case "STREAM.INFO":
		_ = m.Respond([]byte(`{"config":{"name":"S","subjects":["a"]},"created":"2026-01-02T03:04:05Z","state":{}}`))
	case "CONSUMER.CREATE":
		_ = m.Respond(fmt.Appendf(nil, `{"stream_name":"S","name":%q,"config":{"ack_policy":"none","filter_subject":"a"}}`, name))
	case "CONSUMER.DELETE":
		_ = m.Respond([]byte(`{"success":true}`))
	case "CONSUMER.MSG.NEXT":
		p := pull{consumer: name, inbox: m.Reply}
		if json.Unmarshal(m.Data, &p) == nil {
			f.pulls <- p
		}
	}
}

func (f *fake) pull() pull {
	f.t.Helper()
	select {
	case p := <-f.pulls:
		return p
	case <-time.After(soon):
		f.t.Fatal("nothing is asked for")
	}
	return pull{}
}

// greet answers a consumer's first request, and returns the next one.
func (f *fake) greet() pull {
	f.t.Helper()
	first := f.pull()
	require.Equal(f.t, 1, first.Batch)
	f.say(first, "408", "Request Timeout", "Nats-Pending-Messages", "1")
	p := f.pull()
	require.Equal(f.t, first.consumer, p.consumer)
	return p
}

// say answers a request with a status.
func (f *fake) say(p pull, status, text string, header ...string) {
	f.t.Helper()
	m := nats.NewMsg(p.inbox)
	m.Header.Set("Status", status)
	m.Header.Set("Description", text)
	for i := 0; i < len(header); i += 2 {
		m.Header.Set(header[i], header[i+1])
	}
	require.NoError(f.t, f.nc.PublishMsg(m))
}
