package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/natsbridge"
)

// linkRing is how many events may wait between the bridge, which must not hold
// up the network, and the intake. What it loses beyond that is a gap, too.
const linkRing = 1 << 14

// link is one topic of a bridge over a NATS connection, and the goroutine that
// hands its events to the intake.
type link struct {
	conn     *nats.Conn
	bridge   *bridge.Bridge[event]
	stopping atomic.Bool
	done     chan struct{} // closed after the last event has been handed over
}

// startNATS subscribes on a server that somebody else runs.
func startNATS(cfg config, in *intake, con *console) (source, error) {
	shown, err := redact(cfg.natsURL)
	if err != nil {
		return source{}, err
	}
	conn, err := nats.Connect(cfg.natsURL, append(append(naming(con), reporting(con)...),
		nats.Timeout(2*time.Second), nats.MaxReconnects(-1), nats.ReconnectWait(500*time.Millisecond))...)
	if err != nil {
		return source{}, fmt.Errorf("cannot connect to the NATS server at %s: %w. Is it running there? "+
			"Without -nats, live brings its own", shown, err)
	}
	l, err := subscribe(conn, cfg.subject, in, con)
	if err != nil {
		conn.Close()
		return source{}, fmt.Errorf("cannot subscribe to %q: %w", cfg.subject, err)
	}
	return source{what: cfg.subject, over: "NATS at " + shown, bridge: l.bridge, ended: l.done, stop: l.drain}, nil
}

// naming is what every connection has: a name, and its errors on the terminal.
func naming(con *console) []nats.Option {
	return []nats.Option{
		nats.Name("broadcast live"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			// A pipe breaks when our own server stops, which the bridge tells.
			if !errors.Is(err, io.ErrClosedPipe) {
				con.note("NATS: %v.", err)
			}
		}),
	}
}

// reporting makes the client tell on the terminal why a connection went, and
// where it is again. That something is missing is the bridge's to tell.
func reporting(con *console) []nats.Option {
	return []nats.Option{
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil when live itself disconnects
				con.note("NATS: disconnected (%v), trying to get back.", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			con.note("NATS: connected again to %s.", c.ConnectedAddr())
		}),
	}
}

// subscribe hands all messages of subject to the intake, in their order, and the
// gaps at their place among them.
func subscribe(conn *nats.Conn, subject string, in *intake, con *console) (*link, error) {
	core, err := natsbridge.NewCore(conn)
	if err != nil {
		return nil, err
	}
	b, err := bridge.New(core, decodeMessage, bridge.WithPoison(in.poison),
		bridge.WithHub(1, broadcast.DropOldest, broadcast.WithRing(linkRing)))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	// What is published from the return of NewReader on is not missed.
	r, err := b.NewReader(ctx, subject, broadcast.WithName("intake"))
	if err != nil {
		b.Close()
		return nil, err
	}
	l := &link{conn: conn, bridge: b, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.handOver(r, in, con)
	}()
	return l, nil
}

// handOver takes events until the topic has ended.
func (l *link) handOver(r *broadcast.Reader[bridge.Event[event]], in *intake, con *console) {
	for e := range r.All(context.Background()) {
		if n := r.Missed(); n > 0 {
			in.gap(gap{Time: e.Time.UnixMilli(), Reason: overflowed, Count: n}, con)
		}
		if e.Gap != nil {
			in.gap(gap{Time: e.Time.UnixMilli(), Reason: e.Gap.Reason.String(), Count: e.Gap.Count}, con)
			continue
		}
		in.publish(e.Value)
	}
	if !l.stopping.Load() {
		con.note("NATS: no more events: %v.", r.Err())
	}
}

// drain ends the subscription, waits until the messages that are here already
// have been handed over, and closes the bridge and the connection.
func (l *link) drain(ctx context.Context) error {
	l.stopping.Store(true)
	if err := l.conn.Drain(); err != nil {
		l.conn.Close() // no connection to drain just now: let go
	}
	var late error
	select {
	case <-l.done: // the topic has ended, since the connection has drained it
	case <-ctx.Done():
		late = fmt.Errorf("the NATS subscription did not drain: %w", context.Cause(ctx))
	}
	l.bridge.Close()
	l.conn.Close()
	<-l.done
	return late
}

// redact returns the addresses in a NATS URL (or a list of them, with commas)
// without what is secret: before the @ there may be a password or a token.
// Errors of the parser would quote it, so they are not passed on.
func redact(urls string) (string, error) {
	var shown []string
	for part := range strings.SplitSeq(urls, ",") {
		part = strings.TrimSpace(part)
		if !strings.Contains(part, "://") {
			part = "nats://" + part
		}
		u, err := url.Parse(part)
		if err != nil || u.Host == "" {
			return "", errors.New("the URL given with -nats is not one: it should be like nats://127.0.0.1:4222")
		}
		shown = append(shown, u.Scheme+"://"+u.Host)
	}
	return strings.Join(shown, ","), nil
}
