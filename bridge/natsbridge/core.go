package natsbridge

import (
	"context"
	"errors"
	"sync"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/nats-io/nats.go"
)

// Core is a bridge.Source over core NATS. Patterns are subjects, wildcards included,
// and the Topic of a message is its real subject. Its methods may be called by any
// number of goroutines at once.
//
// Core NATS keeps nothing, so what is published while the connection is down is lost:
// that is a Gap{Disconnected} at the moment that the connection is found to be down,
// and another one when it is up again, its subscription confirmed, before the next
// message: reload then, and nothing is missing. What is dropped because messages come
// faster than they are decoded is a Gap{SourceDropped} with the exact number, where it
// is missing. The read loop of the connection never waits for a subscriber.
//
// A topic stays live while the connection is down, and nobody is told to wait: a
// Subscribe to a topic that is live already returns at once then, and what is published
// before the connection is up again does not reach the new subscriber either. It gets the
// second Gap{Disconnected} before anything else, and reloads there as the others do. One
// whose topic is not live yet waits until the connection is up.
//
// What the server refuses, or withdraws later because its configuration has changed, ends
// the topic with an error that wraps nats.ErrPermissionViolation; a withdrawal within
// some 5 seconds, or a minute while nats.ErrSlowConsumer is the last error. The client keeps only the last error of a connection. So when there is
// a new one, whatever it is about, each subject is subscribed to a second time, for a
// moment, and all with one PING; no message waits for that. One that is refused is
// reported to the handler of the connection once more. What is not noticed is a withdrawal
// that another error hides and that is taken back before the next look, or that
// nats.ErrMaxSubscriptionsExceeded hides.
//
// A server that allows a connection so many subscriptions does not say which one was too
// many. A Run that sees such an error when it starts or after a reconnect ends with it,
// nats.ErrMaxSubscriptionsExceeded, and is run again; from then on, until the connection
// is made anew, each one first sends itself an empty message, to an inbox, to see whether
// there is room for one more. With nats.NoEcho that does not come, and Run fails.
//
// Each Run costs one goroutine, of the client, and one PING when it starts and after
// each reconnect, and one more goroutine while it asks for all. While the connection is
// being made again Run may return as late as nats.Timeout (2 s by default) after its
// context has ended: the client holds its lock during an attempt.
type Core struct {
	nc      *nats.Conn
	cfg     config
	inquiry *inquiry

	mu   sync.Mutex
	all  map[*coreRun]struct{} // guarded by mu
	runs map[string]*coreRun   // the newest one of a pattern; guarded by mu
	past map[string]uint64     // warnings of patterns whose Run has ended; guarded by mu
}

// NewCore makes a source of a connection, which stays the caller's: its handlers are
// not touched, it is not closed, and messages that it publishes itself are received
// too, unless it was made with nats.NoEcho. docs/nats.md says which options of
// nats.Connect matter. NewCore does not wait for the network; it returns an error if
// nc is nil or an option is wrong or for another constructor.
func NewCore(nc *nats.Conn, opts ...Option) (*Core, error) {
	if nc == nil {
		return nil, errors.New("natsbridge: NewCore: the connection is nil")
	}
	c := &Core{
		nc: nc, cfg: newConfig(forCore, opts), inquiry: newInquiry(nc),
		all: map[*coreRun]struct{}{}, runs: map[string]*coreRun{}, past: map[string]uint64{},
	}
	if err := c.cfg.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// Capabilities: patterns may have wildcards; all else core NATS does not have. Only
// gaps of the reason SourceDropped have a Count.
func (c *Core) Capabilities() bridge.Capabilities { return bridge.Capabilities{Wildcards: true} }

// Run is called by a bridge. It waits, as long as ctx lives, for a connection and its
// server. A subject that is malformed or not permitted and a connection that is closed
// or drained are bridge.Permanent errors.
func (c *Core) Run(ctx context.Context, pattern string, _ bridge.Position, sink bridge.Sink) error {
	if err := checkSubject(pattern); err != nil {
		return err
	}
	r := newCoreRun(ctx, c, pattern, sink)
	c.begin(r)
	defer c.end(r)
	return r.run()
}

// Lag returns how many messages of pattern wait to be decoded. It is a bridge.Lagger.
func (c *Core) Lag(pattern string) (n uint64, ok bool) {
	c.mu.Lock()
	r := c.runs[pattern]
	c.mu.Unlock()
	if r == nil {
		return 0, false
	}
	sub := r.sub.Load()
	if sub == nil {
		return 0, false
	}
	inClient, _, err := sub.Pending()
	queued, _ := r.queue.stats()
	return uint64(queued + max(inClient, 0)), err == nil
}

// Warnings returns how often messages of pattern began to be dropped because they came
// faster than they were decoded. It is a bridge.Warner.
func (c *Core) Warnings(pattern string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.runs[pattern]; r != nil {
		_, n := r.queue.stats()
		return n
	}
	return c.past[pattern]
}

func (c *Core) begin(r *coreRun) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[r] = struct{}{}
	c.runs[r.subject] = r
	delete(c.past, r.subject)
}

// questions are those whether the subjects of all Runs are permitted.
func (c *Core) questions() []question {
	c.mu.Lock()
	defer c.mu.Unlock()
	open := make([]question, 0, len(c.all))
	for r := range c.all {
		open = append(open, question{r.subject, r.refuse})
	}
	return open
}

// maxPast is how many patterns of the past have their warnings remembered, until a
// bridge has asked for the last time.
const maxPast = 1000

func (c *Core) end(r *coreRun) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, r)
	if c.runs[r.subject] != r {
		return
	}
	delete(c.runs, r.subject)
	_, n := r.queue.stats()
	if n == 0 {
		return
	}
	if len(c.past) == maxPast {
		for pattern := range c.past { // any one
			delete(c.past, pattern)
			break
		}
	}
	c.past[r.subject] = n
}
