package natsbridge

import (
	"errors"
	"fmt"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/nats-io/nats.go"
)

// subscription is one of the client's, and its goroutine.
type subscription struct {
	*nats.Subscription
	gone chan struct{} // closed when the goroutine ends
}

func subscribe(nc *nats.Conn, subject string, receive nats.MsgHandler) (*subscription, error) {
	sub, err := nc.Subscribe(subject, receive)
	switch {
	case errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrConnectionDraining):
		return nil, errClosed(nc, subject)
	case err != nil:
		return nil, fmt.Errorf("natsbridge: subject %q: %w", subject, err)
	}
	s := &subscription{sub, make(chan struct{})}
	sub.SetClosedHandler(func(string) { close(s.gone) })
	if !sub.IsValid() { // closed already, maybe too early for the handler
		return nil, errClosed(nc, subject)
	}
	return s, nil
}

// end ends the subscription, and returns when its goroutine has ended. If the
// application drains the connection that is left to the client: it waits for an
// answer of the server first.
func (s *subscription) end() {
	if err := s.Unsubscribe(); errors.Is(err, nats.ErrConnectionDraining) {
		return
	}
	<-s.gone
}

// errClosed is why a connection that is closed or drained ends a topic.
func errClosed(nc *nats.Conn, subject string) error {
	cause := nats.ErrConnectionClosed
	if nc.IsDraining() {
		cause = nats.ErrConnectionDraining
	}
	last := ""
	if err := nc.LastError(); err != nil && !errors.Is(err, cause) {
		last = fmt.Sprintf(" (its last error: %v)", err)
	}
	return bridge.Permanent(fmt.Errorf("natsbridge: subject %q: %w%s: if the application did not close it, "+
		"it has given up reconnecting: connect with nats.MaxReconnects(-1)", subject, cause, last))
}
