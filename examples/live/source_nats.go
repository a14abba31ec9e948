package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// link is one NATS subscription, which delivers into the intake.
type link struct {
	conn *nats.Conn
	done chan struct{} // closed after the last message has been handled
}

// startNATS subscribes on a server that somebody else runs.
func startNATS(cfg config, in *intake, con *console) (source, error) {
	shown, err := redact(cfg.natsURL)
	if err != nil {
		return source{}, err
	}
	conn, err := nats.Connect(cfg.natsURL, append(reporting(con),
		nats.Timeout(2*time.Second), nats.MaxReconnects(-1), nats.ReconnectWait(500*time.Millisecond))...)
	if err != nil {
		return source{}, fmt.Errorf("cannot connect to the NATS server at %s: %w. Is it running there? "+
			"Without -nats, live brings its own", shown, err)
	}
	l, err := subscribe(conn, cfg.subject, in)
	if err != nil {
		conn.Close()
		return source{}, fmt.Errorf("cannot subscribe to %q: %w", cfg.subject, err)
	}
	return source{what: cfg.subject, over: "NATS at " + shown, ended: l.done, stop: l.drain}, nil
}

// reporting makes the client tell on the terminal what happens to it.
func reporting(con *console) []nats.Option {
	return []nats.Option{
		nats.Name("broadcast live"),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil when live itself disconnects
				con.note("NATS: disconnected (%v), trying to get back.", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			con.note("NATS: connected again to %s.", c.ConnectedAddr())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			if sub != nil && errors.Is(err, nats.ErrSlowConsumer) {
				lost, _ := sub.Dropped()
				con.note("NATS: slow consumer, %d messages lost before they reached the hub.", lost)
				return
			}
			con.note("NATS: %v.", err)
		}),
	}
}

// subscribe delivers all messages of subject into the intake, in their order.
func subscribe(conn *nats.Conn, subject string, in *intake) (*link, error) {
	l := &link{conn: conn, done: make(chan struct{})}
	sub, err := conn.Subscribe(subject, func(m *nats.Msg) { in.message(m.Subject, m.Data) })
	if err != nil {
		return nil, err
	}
	// Called by the goroutine that runs the handler, as the last it does.
	sub.SetClosedHandler(func(string) { close(l.done) })
	// The server knows the subscription when Flush returns: what is published
	// from now on is not missed.
	return l, conn.FlushTimeout(2 * time.Second)
}

// drain ends the subscription, waits until the messages that are here already
// have been handled, and closes the connection.
func (l *link) drain(ctx context.Context) error {
	if err := l.conn.Drain(); err != nil {
		l.conn.Close() // no connection to drain just now: let go
	}
	var late error
	select {
	case <-l.done:
	case <-ctx.Done():
		late = fmt.Errorf("the NATS subscription did not drain: %w", context.Cause(ctx))
	}
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
