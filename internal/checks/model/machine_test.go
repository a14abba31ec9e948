package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
)

var errReason = errors.New("the reason of the hub's end")

// operations is how many operations were compared with the model.
var operations atomic.Uint64

// machine is a hub beside its model. It must be used in a bubble: whether an
// operation blocks is what synctest.Wait says.
type machine struct {
	model *Model
	hub   *broadcast.Hub[int]
	plain plain

	// mu guards what the user's code, which runs on goroutines of others, reads or
	// writes: subs and their Subscription, calls, asked, interest, evictions.
	mu        sync.Mutex
	subs      []*subject
	calls     []*call     // not returned yet
	receivers []*receiver // not returned yet
	events    int         // published or tried so far; events are 1, 2, 3, ...
	reason    error       // of the hub's end

	hooked    bool
	interest  []bool
	evictions []broadcast.SubscriptionStats
}

// plain is what a subscription without options has.
type plain struct {
	buffer int
	policy Policy
}

type subject struct {
	*broadcast.Subscription[int]
	model  *Sub
	ctx    context.Context
	cancel context.CancelCauseFunc
	id     uint64 // as in model; written once, before user code can see it
	asked  []Overflow
	got    uint64
}

type call struct {
	name   string
	events []int
	model  *Call
	ctx    context.Context
	cancel context.CancelCauseFunc
	done   chan struct{}
	n      int
	err    error
	thrown any
}

type receiver struct {
	sub   *subject
	model *Receipt
	done  chan Receipt
}

// thrown is what filters and policies panic with.
const thrown = "a panic of the user's code"

// setup is what a hub is made with, each by its index.
type setup struct {
	policy, buffer     int
	hooks, log, meters bool
}

func newMachine(s setup) *machine {
	m := &machine{model: &Model{}, plain: plain{s.buffer % 5, policies[s.policy%len(policies)].model}}
	var opts []broadcast.Option
	if m.hooked = s.hooks; m.hooked {
		opts = append(opts,
			broadcast.WithInterest(func(active bool) {
				m.locked(func() { m.interest = append(m.interest, active) })
			}),
			broadcast.WithOnEject(func(st broadcast.SubscriptionStats) {
				m.locked(func() { m.evictions = append(m.evictions, st) })
			}))
	}
	if s.log {
		opts = append(opts, broadcast.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	}
	policy := policies[s.policy%len(policies)]
	if policy.leaves {
		policy = policies[0] // a policy that all share cannot know whom to close
		m.plain.policy = policy.model
	}
	m.hub = broadcast.New[int](m.plain.buffer, policy.real(m.note, nil), opts...)
	if s.meters {
		_ = broadcast.NewCollector("model", m.hub, broadcast.WithPublishSampling(1))
	}
	return m
}

func (m *machine) locked(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn()
}

// note keeps what a policy was told.
func (m *machine) note(o broadcast.Overflow) Overflow {
	told := Overflow{ID: o.ID, Name: o.Name, Cap: o.Cap, Dropped: o.Dropped, Consecutive: o.Consecutive}
	m.locked(func() {
		for _, s := range m.subs {
			if s.id == o.ID {
				s.asked = append(s.asked, told)
			}
		}
	})
	return told
}

// joining is how a subscription is made: with options, or plain.
type joining struct {
	plain          bool
	policy, cap    int
	filter         int
	context, ended bool
}

func (m *machine) subscribe(j joining) {
	s := &subject{model: &Sub{Cap: m.plain.buffer, Policy: m.plain.policy}}
	defer func() {
		s.id = s.model.ID
		m.locked(func() { m.subs = append(m.subs, s) })
	}()
	if j.plain {
		m.model.Subscribe(s.model, false)
		s.Subscription = m.hub.Subscribe()
		return
	}
	p, f := policies[j.policy%len(policies)], filters[j.filter%len(filters)]
	s.model.Name = fmt.Sprintf("%d:%s", len(m.subs)+1, p.name)
	s.model.Cap, s.model.Policy, s.model.Filter = j.cap, p.model, f
	self := func() {
		var sub *broadcast.Subscription[int]
		m.locked(func() { sub = s.Subscription })
		sub.Close()
	}
	opts := []broadcast.SubscribeOption{
		broadcast.WithName(s.model.Name),
		broadcast.WithBuffer(j.cap),
		broadcast.WithPolicy(p.real(m.note, self)),
	}
	if f != nil {
		opts = append(opts, broadcast.WithFilter(keeps(f, self, m.cancelEvent)))
	}
	if j.context {
		s.ctx, s.cancel = context.WithCancelCause(context.Background())
		if j.ended {
			s.cancel(fmt.Errorf("the end of subscription %s", s.model.Name))
		}
		opts = append(opts, broadcast.WithContext(s.ctx))
	}
	m.model.Subscribe(s.model, j.context && j.ended)
	sub := m.hub.Subscribe(opts...)
	m.locked(func() { s.Subscription = sub })
}

func (m *machine) closeSub(s *subject) {
	m.model.End(s.model, Left)
	s.Close()
}

func (m *machine) cancelSub(s *subject) {
	if s.cancel == nil {
		return
	}
	m.model.End(s.model, Canceled)
	s.cancel(fmt.Errorf("the end of subscription %s", s.model.Name))
}

// publish publishes n events, with PublishBatch or, if n is 1, with Publish.
func (m *machine) publish(n int, batch, ended bool) {
	c := &call{done: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	var events []int
	for range n {
		m.events++
		events = append(events, m.events)
	}
	c.name = fmt.Sprintf("publish of %v", events)
	if ended {
		c.cancel(errors.New("the end of a " + c.name))
	}
	c.events = events
	c.model = m.model.Publish(events, ended)
	m.locked(func() { m.calls = append(m.calls, c) })
	go func() {
		defer close(c.done)
		defer func() { c.thrown = recover() }()
		if batch {
			c.n, c.err = m.hub.PublishBatch(c.ctx, events)
			return
		}
		c.err = m.hub.Publish(c.ctx, events[0])
		if c.err == nil || errors.Is(c.err, broadcast.ErrPartial) {
			c.n = 1
		}
	}()
}

func (m *machine) cancelPublish(i int) {
	if len(m.calls) == 0 {
		return
	}
	c := m.calls[i%len(m.calls)]
	m.model.Cancel(c.model)
	if i%2 == 0 {
		c.cancel(nil) // the cause is context.Canceled
	} else {
		c.cancel(errors.New("the end of a " + c.name))
	}
}

// cancelEvent ends the context of the publish of event.
func (m *machine) cancelEvent(event int) {
	m.locked(func() {
		for _, c := range m.calls {
			if slices.Contains(c.events, event) {
				c.cancel(errors.New("the end of a " + c.name + " by a filter"))
			}
		}
	})
}

// receive receives without waiting, and compares what it got.
func (m *machine) receive(s *subject) (Receipt, error) {
	want := m.model.Receive(s.model)
	got := Receipt{Empty: true}
	select {
	case e, ok := <-s.C():
		got = Receipt{Event: e, Closed: !ok}
	default:
	}
	if got != want {
		return got, fmt.Errorf("%s: received %+v, want %+v", s, got, want)
	}
	if !got.Empty && !got.Closed {
		s.got++
	}
	return got, nil
}

// receiveAll receives until there is nothing more.
func (m *machine) receiveAll(s *subject) error {
	for {
		got, err := m.receive(s)
		if err != nil || got.Empty || got.Closed {
			return err
		}
		if err := m.check(); err != nil {
			return err
		}
	}
}

// park receives in the background.
func (m *machine) park(s *subject) {
	r := &receiver{sub: s, model: m.model.Park(s.model), done: make(chan Receipt, 1)}
	m.receivers = append(m.receivers, r)
	go func() {
		e, ok := <-s.C()
		r.done <- Receipt{Event: e, Closed: !ok}
	}()
}

func (m *machine) advance(d time.Duration) {
	m.model.Advance(d)
	time.Sleep(d) // virtual
}

func (m *machine) close(reason bool) {
	if reason && !m.model.Closed {
		m.reason = errReason
	}
	m.model.Close()
	if reason {
		m.hub.CloseWithError(errReason)
	} else {
		m.hub.Close()
	}
}

// finish ends the program: the hub closes, all is received, and nothing is left.
func (m *machine) finish() error {
	m.close(false)
	if err := m.check(); err != nil {
		return fmt.Errorf("after the last close: %w", err)
	}
	for _, s := range m.subs {
		if err := m.receiveAll(s); err != nil {
			return fmt.Errorf("receiving the rest: %w", err)
		}
	}
	if len(m.calls)+len(m.receivers) > 0 {
		return fmt.Errorf("%d publishes and %d receives have not returned from a closed hub", len(m.calls), len(m.receivers))
	}
	return nil
}

// release lets go of everyone, also after a failure.
func (m *machine) release() {
	for _, c := range m.calls {
		c.cancel(nil)
	}
	m.hub.Close()
	for _, s := range m.subs {
		if s.cancel != nil {
			s.cancel(nil)
		}
	}
	// The logger keeps its distance of a second from the last line for what the
	// closing itself has lost.
	time.Sleep(time.Second)
	synctest.Wait()
}

func (s *subject) String() string {
	return fmt.Sprintf("subscription %d %q", s.model.ID, s.model.Name)
}

// pick picks one of the subscriptions; those of late are picked more often.
func (m *machine) pick(i int) *subject {
	recent := m.subs[max(0, len(m.subs)-8):]
	return recent[i%len(recent)]
}

// mayPark keeps the number of receivers small.
func (m *machine) mayPark(s *subject) bool {
	return !slices.ContainsFunc(m.receivers, func(r *receiver) bool { return r.sub == s })
}
