package bridgetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
)

// Run is the suite that every source passes: one sub-test for each row, each with a
// harness of its own. A row that the harness cannot run is skipped, and says what is
// missing. All rows also check what bridge.Source asks of the calls of its sink, that
// Run returns in time, and that nothing is left running.
//
// It takes a while, since systems are killed and links are black: with -short the
// long rows do less.
func Run(t *testing.T, factory Factory) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.title(), func(t *testing.T) { r.run(t, factory, realTime) })
	}
}

// RunInBubbles is Run with each row in a synctest bubble, for a source that uses no
// network: time is virtual, and the end of the bubble proves that nothing is left
// running. The factory is called inside of it.
func RunInBubbles(t *testing.T, factory Factory) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.title(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { r.run(t, factory, virtualTime) })
		})
	}
}

// slack is by how much a bound of the suite is stretched: a machine that is busy with
// other things is no fault of the source.
type slack int

const (
	virtualTime slack = 1
	realTime    slack = 5
)

// row is one of the suite.
type row struct {
	n    int
	name string
	// lacks is what the row needs and the harness does not have; "" if it has all.
	lacks func(e *env) string
	test  func(e *env)
}

var rows = []row{
	{0, "contract of Run", nil, testContract},
	{1, "the system is killed and starts again", needRestart, testRestart},
	{2, "connections are cut", needCut, testCuts},
	{3, "black hole", needBlackhole, testBlackhole},
	{4, "the system never answers", needMute, testMute},
	{5, "one subscriber is stuck", needLossy, testStuck},
	{6, "more than the client takes", needOverrun, testOverrun},
	{7, "poison", nil, testPoison},
	{8, "too large", nil, testTooLarge},
	{9, "truncation", needTruncate, testTruncation},
	{10, "churn", needSubscriptions, testChurn},
	{11, "subscribe, then publish", needConfirmation, testSubscribePublish},
	{12, "acknowledgements", needAcks, testAcks},
	{13, "closing in each state", nil, testClosing},
}

func (r row) title() string { return fmt.Sprintf("row %d: %s", r.n, r.name) }

func (r row) run(tb testing.TB, factory Factory, by slack) {
	h := factory(tb)
	if h == nil || h.Source == nil || h.Publish == nil {
		tb.Fatal("bridgetest: the harness has no Source or no Publish: both are needed")
	}
	e := &env{TB: tb, h: h, can: h.Source.Capabilities(), by: by, published: map[string]int{}}
	e.defaults()
	if r.lacks != nil {
		if what := r.lacks(e); what != "" {
			tb.Skipf("row %d: %s: not run: %s", r.n, r.name, what)
		}
	}
	before := e.usage()
	tb.Cleanup(func() { e.checkUsage(before) })
	if by == realTime {
		e.pulse = &pulse{}
		tb.Cleanup(e.pulse.start())
	}
	r.test(e)
}

// env is what a row works with.
type env struct {
	testing.TB
	h         *Harness
	can       bridge.Capabilities
	by        slack
	published map[string]int // the number of the last message, by topic
	restarted bool           // the system is another process now
	pulse     *pulse         // nil with virtual time
}

func (e *env) defaults() {
	if e.h.Topic == nil {
		e.h.Topic = func(n int) string { return "bridgetest." + strconv.Itoa(n) }
	}
	if e.h.KeepAlive == 0 {
		e.h.KeepAlive = 150 * time.Millisecond
	}
	if e.h.Heal == 0 {
		e.h.Heal = 2 * time.Second
	}
}

// keeps tells whether the system keeps what is not received, so that nothing is lost
// but what it truncates.
func (e *env) keeps() bool { return e.can.Replay || e.can.Acks }

// within is d, stretched.
func (e *env) within(d time.Duration) time.Duration { return d * time.Duration(e.by) }

// prompt is the time in which what needs no network is done.
func (e *env) prompt() time.Duration { return e.within(200 * time.Millisecond) }

// patience is for what is only to happen at some time.
const patience = 20 * time.Second

// usage is what a row is to give back.
type usage struct{ goroutines, files int }

func (e *env) usage() usage {
	u := usage{goroutines: runtime.NumGoroutine()}
	if list, err := os.ReadDir("/proc/self/fd"); err == nil { // else it cannot be seen here
		u.files = len(list)
	}
	return u
}

// descriptors says what each open one is of, where that can be seen.
func descriptors() (what []string) {
	const dir = "/proc/self/fd"
	list, _ := os.ReadDir(dir)
	for _, fd := range list {
		if target, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil {
			what = append(what, fd.Name()+" "+target)
		}
	}
	return what
}

// checkUsage fails unless goroutines and descriptors are back where they were.
func (e *env) checkUsage(before usage) {
	if e.restarted { // the system itself is another one, maybe in this process
		before.goroutines += 20
		before.files += 20
	}
	var now usage
	looks := 0
	ok := e.poll(patience/4, func() bool {
		if looks++; looks%50 == 2 {
			// Some clients leave a connection whose handshake failed to the collector:
			// nats.go v1.55 does while it reconnects.
			runtime.GC()
		}
		now = e.usage()
		return now.goroutines <= before.goroutines && now.files <= before.files
	})
	if !ok {
		var stacks strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		e.Errorf("left behind: %d goroutines and %d descriptors, before there were %d and %d; now there are:\n%s\n%s",
			now.goroutines, now.files, before.goroutines, before.files, strings.Join(descriptors(), "\n"), stacks.String())
	}
}

// poll asks until ok, for at most d.
func (e *env) poll(d time.Duration, ok func() bool) bool {
	end := time.NewTimer(d)
	defer end.Stop()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-again.C:
		case <-end.C:
			return ok()
		}
	}
	return true
}

// eventually fails unless ok becomes true in d.
func (e *env) eventually(d time.Duration, what string, ok func() bool) {
	e.Helper()
	if !e.poll(d, ok) {
		e.Fatalf("%s: not within %v", what, d)
	}
}

// pause lets time pass: for faults that last.
func pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
}

// publish publishes the next number to topic, in a message of at least size bytes.
func (e *env) publish(topic string, size int) int {
	e.Helper()
	e.published[topic]++
	n := e.published[topic]
	e.send(topic, fmt.Appendf(nil, "%d%s", n, strings.Repeat(".", max(0, size-10))))
	return n
}

func (e *env) send(topic string, data []byte) {
	e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := e.h.Publish(ctx, topic, data); err != nil {
		e.Fatalf("Publish: %v", err)
	}
}

var errPoison = errors.New("bridgetest: poison")

// number decodes what publish has sent; it refuses "poison" and panics at "panic".
func number(m *bridge.Message) (int, error) {
	text := strings.TrimRight(string(m.Data), ".")
	switch text {
	case "poison":
		return 0, errPoison
	case "panic":
		panic(errPoison)
	}
	return strconv.Atoi(text)
}

type (
	event      = bridge.Event[int]
	numbers    = bridge.Bridge[int]
	decodeFunc = func(*bridge.Message) (int, error)
)

// bridge makes a bridge of the source under test, which is watched.
func (e *env) bridge(src bridge.Source, decode decodeFunc, opts ...bridge.Option) (*numbers, *watch) {
	e.Helper()
	w := &watch{e: e, src: src}
	b, err := bridge.New(w.source(), decode, opts...)
	if err != nil {
		e.Fatalf("bridge.New: %v", err)
	}
	e.Cleanup(b.Close)
	return b, w
}

// plain are the options for a row that does not care: no linger, a quick backoff,
// acknowledgements where the source wants them, and no message that was not sent.
func (e *env) plain(opts ...bridge.Option) []bridge.Option {
	all := []bridge.Option{
		bridge.WithLinger(0), bridge.WithBackoff(time.Millisecond, 50*time.Millisecond),
		bridge.WithPoison(func(m *bridge.Message, err error) error {
			e.Errorf("topic %q: a message that nobody has sent: %.40q: %v", m.Topic, m.Data, err)
			return nil
		}),
	}
	if e.can.Acks {
		all = append(all, bridge.WithAck())
	}
	return append(all, opts...)
}

// once is a function that is called at the end of the row, or before.
func (e *env) once(fn func()) func() {
	var done atomic.Bool
	call := func() {
		if done.CompareAndSwap(false, true) {
			fn()
		}
	}
	e.Cleanup(call)
	return call
}

// reader subscribes to topic, and follows it from there on.
func (e *env) reader(b *numbers, topic string, opts ...broadcast.SubscribeOption) *follower {
	e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := b.NewReader(ctx, topic, opts...)
	if err != nil {
		e.Fatalf("NewReader %q: %v", topic, err)
	}
	f := e.follow(r, topic)
	if e.h.SlowJoiner != "" {
		f.last = -1 // what it joined behind is not known
		f.catchUp(patience)
	}
	return f
}
