package main

import (
	"context"
	"io"

	"github.com/gobroadcast/broadcast/bridge"
)

// source is a running supplier of events.
type source struct {
	what   string                // which events: a subject, lines
	over   string                // the way they come
	bridge *bridge.Bridge[event] // what they come through; nil for standard input
	server *embedded             // what can be stopped and started; nil if it is not ours
	// ended is closed when there will be no more events; nil if that cannot be.
	ended <-chan struct{}
	// stop ends the source: what it has taken is handed to the intake first,
	// unless ctx ends before that. When it returns, nothing more arrives.
	stop func(ctx context.Context) error
}

// hasEnded tells whether the source ran dry by itself.
func (s source) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// serverState is what a status says of the server.
func (s source) serverState() string {
	switch {
	case s.server == nil:
		return ""
	case s.server.running():
		return running
	default:
		return stopped
	}
}

// startSource starts the one that the flags ask for.
func startSource(cfg config, stdin io.Reader, in *intake, con *console) (source, error) {
	switch {
	case cfg.stdin:
		return startStdin(stdin, in, con), nil
	case cfg.natsURL != "":
		return startNATS(cfg, in, con)
	default:
		return startHost(in, con)
	}
}
