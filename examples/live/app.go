package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/gobroadcast/broadcast"
)

// How long each step of stopping may take: less than two seconds together.
const (
	drainPolicies = 300 * time.Millisecond
	drainSource   = 800 * time.Millisecond
	drainHub      = 300 * time.Millisecond
	drainWeb      = 300 * time.Millisecond
)

// app is everything that runs: source -> intake -> hub -> latest and browsers.
type app struct {
	con    *console
	hub    *broadcast.Hub[event]
	in     *intake
	ledger *ledger
	latest *latest
	board  *knob[[]byte] // the encoded status, for the pages
	news   chan struct{} // has room for one; the status has changed in a way that cannot wait
	source source
	web    *web

	policies *policies // beside the above, with a hub of its own

	stopReport context.CancelFunc
	running    sync.WaitGroup // latest.run and report
}

// start gets everything going, the page last.
func start(cfg config, stdin io.Reader, con *console) (*app, error) {
	ln, err := net.Listen("tcp", cfg.listen)
	if err != nil {
		return nil, listenError(cfg.listen, err)
	}
	a := &app{
		con: con,
		// A browser that is too slow loses the oldest events: for charts the
		// newest count, and nobody else must wait for it.
		hub:    broadcast.New[event](browserBuffer, broadcast.DropOldest),
		ledger: &ledger{},
		latest: &latest{bySubject: map[string]event{}},
		board:  newKnob[[]byte](nil),
		news:   make(chan struct{}, 1),
	}
	a.in = &intake{hub: a.hub, news: a.news}
	a.startLatest()
	if a.source, err = startSource(cfg, stdin, a.in, con); err != nil {
		a.hub.Close()
		a.running.Wait()
		return nil, errors.Join(err, ln.Close())
	}
	a.policies = startPolicies()
	a.startReport()
	a.web = startWeb(ln, a)
	con.print("Events: %s, over %s.\nOpen http://%s in a browser. Ctrl-C ends.", a.source.what, a.source.over, ln.Addr())
	if !onLoopback(ln.Addr()) {
		con.note("Everybody who can reach %s can watch: the page has no password.", ln.Addr())
	}
	return a, nil
}

func listenError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("the address %s is taken, perhaps by another live. "+
			"Give another with -listen, or -listen 127.0.0.1:0 for any free port", addr)
	}
	return fmt.Errorf("cannot listen on %s: %w. Give another address with -listen, like 127.0.0.1:8080", addr, err)
}

// startLatest subscribes the one consumer that is always there. It must not
// miss anything, so publishers wait for it: it is fast.
func (a *app) startLatest() {
	sub := a.hub.Subscribe(broadcast.WithName("latest values"), broadcast.WithPolicy(broadcast.Block))
	c := a.ledger.join("latest values", false, sub)
	a.running.Go(func() { a.latest.run(sub, c) })
}

func (a *app) startReport() {
	ctx, cancel := context.WithCancel(context.Background())
	a.stopReport = cancel
	first := a.status(status{})
	a.board.set(first.encoded()) // now: a browser may come at once
	a.running.Go(func() { a.report(ctx, first) })
}

// stop drains in the direction of the events: the source, the hub, the
// browsers. Each step is bounded, so that no browser or server can hold up the
// end. It returns an error if an event is unaccounted for.
func (a *app) stop() error {
	a.web.refuse()
	a.stopReport()
	wrong := within(drainPolicies, a.policies.stop)
	if err := within(drainSource, a.source.stop); err != nil {
		a.con.note("Not drained: %v.", err)
	}
	if err := within(drainHub, a.hub.Shutdown); err != nil {
		a.con.note("Not drained: %v.", err)
	}
	within(drainWeb, a.web.stop)
	a.running.Wait()
	return errors.Join(a.conclude(), wrong)
}

func within(d time.Duration, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return step(ctx)
}

// conclude prints the totals.
func (a *app) conclude() error {
	st := a.hub.Stats()
	table, err := totals(a.ledger, st)
	a.con.print("\n%s", table)
	if n := a.in.malformed().Count; n > 0 {
		a.con.print("%d malformed events were skipped.", n)
	}
	if n := a.in.gaps.Load(); n > 0 {
		a.con.print("%d gaps, each of them an event in the counts above.", n)
	}
	if n := a.in.late.Load(); n > 0 {
		a.con.print("%d events came after the hub had closed.", n)
	}
	if err != nil {
		return err
	}
	a.con.print("%d events published. They add up: offered = received + dropped + filtered + coalesced + left in the buffer.", st.Published)
	return nil
}
