package broadcast_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/broadcasttest"
	"github.com/stretchr/testify/require"
)

// follower is a reader with its consumer's own count.
type follower[T any] struct {
	*broadcast.Reader[T]
	got []T
}

func follow[T any](hub *broadcast.Hub[T], opts ...broadcast.SubscribeOption) *follower[T] {
	return &follower[T]{Reader: hub.NewReader(opts...)}
}

func (f *follower[T]) Count() uint64 { return uint64(len(f.got)) }

func (f *follower[T]) next(ctx context.Context) error {
	e, err := f.Next(ctx)
	if err == nil {
		f.got = append(f.got, e)
	}
	return err
}

// take takes n events, which must be there.
func (f *follower[T]) take(t testing.TB, n int) *follower[T] {
	t.Helper()
	for range n {
		require.NoError(t, f.next(bg))
	}
	return f
}

// rest takes what is there.
func (f *follower[T]) rest(t testing.TB) []T {
	t.Helper()
	for f.Stats().Len > 0 {
		if f.next(bg) != nil {
			break
		}
	}
	return f.got
}

func publish(t testing.TB, hub *broadcast.Hub[int], events ...int) {
	t.Helper()
	for _, e := range events {
		require.NoError(t, hub.Publish(bg, e))
	}
}

// TestMatrix_Readers takes one reader at the end of its window through every policy,
// every end of it, and a context that lives or ends in the middle of a publish.
func TestMatrix_Readers(t *testing.T) {
	for _, policy := range []broadcast.Action{broadcast.Block, broadcast.DropOldest, broadcast.Eject} {
		for _, end := range []string{"none", "reader", "hub"} {
			for _, canceled := range []bool{false, true} {
				bubble(t, fmt.Sprintf("%v/%s/canceled=%v", policy, end, canceled), func(t *testing.T) {
					matrixOfReaders(t, policy, end, canceled)
				})
			}
		}
	}
}

func matrixOfReaders(t *testing.T, policy broadcast.Action, end string, canceled bool) {
	const window = 3
	hub := newHub[int](t, 10, policy, broadcast.WithRing(8))
	// Under the other policies nothing waits for a reader: a filter holds the publish.
	resume := make(chan struct{})
	held := hub.Subscribe(broadcast.WithFilter(func(e int) bool {
		if e == window && policy != broadcast.Block {
			<-resume
		}
		return false
	}))
	r := follow(hub, broadcast.WithBuffer(window))
	publish(t, hub, 0, 1, 2)
	ctx, cancel := context.WithCancelCause(bg)
	defer cancel(nil)
	pub := async(func() error { return hub.Publish(ctx, window) })
	pub.requireBlocked(t, "in its middle")
	if canceled {
		cancel(errTest)
		synctest.Wait()
	}
	switch end {
	case "reader":
		r.Close()
	case "hub":
		hub.Close()
	}
	synctest.Wait()
	if end == "none" && !canceled && policy == broadcast.Block {
		r.take(t, 1)
	}
	close(resume)
	err := pub.returned(t, "publish")
	published := uint64(window + 1)
	switch {
	case policy != broadcast.Block:
		require.NoError(t, err, "nobody missed it")
	case canceled:
		require.Equal(t, errTest, err, "the bare cause: nothing was published")
		published = window
	case end == "hub":
		require.Equal(t, broadcast.ErrClosed, err, "nothing was published")
		published = window
	default:
		require.NoError(t, err)
	}
	s := hub.Stats()
	require.Equal(t, published, s.Published)
	require.Equal(t, policy == broadcast.Block, s.Blocked == 1)

	wantErr := map[string]error{"reader": broadcast.ErrClosed, "hub": broadcast.ErrClosed}[end]
	var dropped uint64
	switch policy {
	case broadcast.DropOldest:
		dropped = 1
	case broadcast.Eject:
		wantErr = broadcast.ErrEjected
		require.EqualValues(t, 1, s.Ejected)
	}
	require.Equal(t, wantErr, r.Err())
	require.Equal(t, dropped, r.Stats().Dropped)
	require.Equal(t, dropped, s.DroppedBy.Oldest)
	heldBack := broadcasttest.Counted(held, 0)
	broadcasttest.CheckConservation(t, hub, r, heldBack)

	before := r.Stats()
	if end == "reader" || policy == broadcast.Eject {
		require.Equal(t, wantErr, r.next(bg), "at once")
		require.Equal(t, before, r.Stats(), "what it had not read stays")
		require.Equal(t, window, r.Stats().Len)
	} else {
		for r.Stats().Len > 0 {
			require.NoError(t, r.next(bg))
		}
		first := int(dropped)
		require.Equal(t, span(first, int(published)-1), r.got)
	}
	broadcasttest.CheckConservation(t, hub, r, heldBack)
	held.Close()
	hub.Close()
	require.Equal(t, r.Err(), r.next(bg))
	broadcasttest.CheckConservation(t, hub, r, heldBack)
	require.Zero(t, hub.Len())
}

// TestLaw2_ReadersAgainstModel runs random steps against a model that is a slice, and
// compares all that can be seen after each.
func TestLaw2_ReadersAgainstModel(t *testing.T) {
	for seed := range uint64(300) {
		bubble(t, fmt.Sprint(seed), func(t *testing.T) { readersAgainstModel(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func readersAgainstModel(t *testing.T, rnd *rand.Rand) {
	capacity := 1 + rnd.IntN(200)
	hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(capacity))
	publish(t, hub, span(1, rnd.IntN(300))...)
	seq := int(hub.Stats().Published)
	var models []*readerModel
	for _, p := range []broadcast.Action{broadcast.Block, broadcast.DropOldest, broadcast.Eject} {
		for range 2 {
			m := &readerModel{policy: p, window: 1 + rnd.IntN(capacity), cursor: seq, last: seq, joined: seq}
			opts := []broadcast.SubscribeOption{broadcast.WithPolicy(p), broadcast.WithBuffer(m.window)}
			n := rnd.IntN(300)
			switch rnd.IntN(3) {
			case 0: // a replay reaches as far as the ring
				opts = append(opts, broadcast.WithReplay(n))
				m.start(max(seq-n, seq-capacity, 0), seq)
			case 1: // a resume knows what the ring has not any more
				opts = append(opts, broadcast.WithResumeAfter(uint64(n)))
				if n <= seq {
					m.start(n, seq)
				}
			}
			m.follower = follow(hub, opts...)
			require.EqualValues(t, m.joined, m.Seq(), "the number that it joined behind")
			models = append(models, m)
		}
	}
	for range 150 {
		m := models[rnd.IntN(len(models))]
		switch k := rnd.IntN(6); {
		case k < 3:
			n := rnd.IntN(40)
			for _, m := range models {
				if m.policy == broadcast.Block && m.err == nil {
					n = min(n, m.cursor+m.window-seq)
				}
			}
			publish(t, hub, span(seq+1, seq+n)...)
			seq += n
			synctest.Wait() // for the sweep
			for _, m := range models {
				m.published(seq)
			}
		case k < 5:
			m.read(t, 1+rnd.IntN(100), rnd.IntN(2) == 0, seq)
		case rnd.IntN(20) == 0 && m.err == nil:
			m.Close()
			m.err, m.left = broadcast.ErrClosed, seq
		}
		var consumers []broadcasttest.Consumer
		for _, m := range models {
			m.check(t, seq)
			consumers = append(consumers, m)
		}
		broadcasttest.CheckConservation(t, hub, consumers...)
	}
}

type readerModel struct {
	*follower[int]
	policy broadcast.Action
	window int
	err    error

	joined, cursor, last, left, dropped int
}

func (m *readerModel) start(from, seq int) {
	m.joined, m.last = from, from
	m.cursor = from
	if from < seq-m.window {
		m.cursor = seq - m.window
	}
	m.dropped = m.cursor - from
}

func (m *readerModel) published(seq int) {
	if m.err != nil || seq-m.cursor <= m.window {
		return
	}
	if m.policy == broadcast.Eject {
		m.err, m.left = broadcast.ErrEjected, m.cursor+m.window
		return
	}
	m.dropped += seq - m.window - m.cursor
	m.cursor = seq - m.window
}

func (m *readerModel) read(t *testing.T, n int, batch bool, seq int) {
	if m.err != nil {
		require.Equal(t, m.err, m.next(bg))
		require.Zero(t, m.Missed())
		return
	}
	if m.cursor == seq {
		return // it would wait
	}
	missed := m.cursor - m.last
	if batch {
		dst := make([]int, n)
		got, err := m.ReadBatch(bg, dst)
		require.NoError(t, err)
		require.Equal(t, min(n, seq-m.cursor), got, "all there is, up to the room")
		require.Equal(t, span(m.cursor+1, m.cursor+got), dst[:got])
		m.got = append(m.got, dst[:got]...)
		m.cursor += got
	} else {
		m.take(t, 1)
		m.cursor++
		require.Equal(t, m.cursor, m.got[len(m.got)-1])
	}
	m.last = m.cursor
	require.EqualValues(t, missed, m.Missed())
	require.EqualValues(t, m.cursor, m.Seq())
}

func (m *readerModel) check(t *testing.T, seq int) {
	upTo := seq
	if m.err != nil {
		upTo = m.left
	}
	s := m.Stats()
	require.Equal(t, m.err, m.Err())
	require.Equal(t, broadcast.SubscriptionStats{
		ID: s.ID, Reader: true, Cap: m.window, Len: upTo - m.cursor, Offered: uint64(upTo - m.joined),
		Received: uint64(len(m.got)), Dropped: uint64(m.dropped),
	}, s)
}

func TestReader_ContextComesFirst(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	r := follow(hub)
	publish(t, hub, 1)
	ctx, cancel := context.WithCancelCause(bg)
	cancel(errTest)
	require.Equal(t, errTest, r.next(ctx))
	_, err := r.ReadBatch(ctx, make([]int, 1))
	require.Equal(t, errTest, err)
	for range r.All(ctx) {
		t.Fatal("an event in spite of the context")
	}
	require.Equal(t, 1, r.Stats().Len, "nothing is lost")
	require.Equal(t, []int{1}, r.take(t, 1).got)
	r.Close()
	require.Equal(t, errTest, r.next(ctx), "also before the end")
	var none context.Context
	for _, wrong := range []func(){
		func() { _, _ = r.Next(none) },
		func() { _, _ = r.ReadBatch(none, nil) },
		func() { r.All(none) },
		func() { _ = hub.WaitReleased(none, 0) },
	} {
		require.Panics(t, wrong)
	}
}

func TestReader_EventThatIsReadyWinsAfterAWait(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block)
		r := follow(hub)
		ctx, cancel := context.WithCancel(bg)
		call := async(func() error { return r.next(ctx) })
		call.requireBlocked(t, "Next with nothing to take")
		cancel() // nobody runs between these two but by preemption; either way one of them holds
		publish(t, hub, 1)
		err := call.returned(t, "Next")
		require.True(t, err == nil && r.Count() == 1 || errors.Is(err, context.Canceled) && r.Stats().Len == 1)
		call = async(func() error { return follow(hub).next(ctx) })
		require.ErrorIs(t, call.returned(t, "Next"), context.Canceled)
	})
}

// The context ends when the event is there already, and both before the reader has
// come to run: the event wins, each time.
func TestReader_EventWinsOverAContextThatEndsBehindIt(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block)
		r := follow(hub)
		for i := range 500 {
			ctx, cancel := context.WithCancel(bg)
			call := async(func() error { return r.next(ctx) })
			call.requireBlocked(t, "Next with nothing to take")
			publish(t, hub, i)
			cancel()
			require.NoError(t, call.returned(t, "Next"))
		}
	})
}

func TestReader_WaitEndsWithContextCloseAndHub(t *testing.T) {
	for _, end := range []string{"ctx", "own ctx", "close", "hub"} {
		bubble(t, end, func(t *testing.T) {
			own, cancelOwn := context.WithCancelCause(bg)
			ctx, cancel := context.WithCancelCause(bg)
			defer cancel(nil)
			hub := newHub[int](t, 1, broadcast.Block)
			r := follow(hub, broadcast.WithContext(own))
			call := async(func() error { return r.next(ctx) })
			call.requireBlocked(t, "Next with nothing to take")
			want := broadcast.ErrClosed
			switch end {
			case "ctx":
				cancel(errTest)
				want = errTest
			case "own ctx":
				cancelOwn(errTest)
				want = errTest
			case "close":
				r.Close()
			case "hub":
				hub.CloseWithError(errTest)
				want = hub.Publish(bg, 1)
			}
			require.Equal(t, want, call.returned(t, "Next"))
			if end != "ctx" {
				require.Equal(t, want, r.Err())
			}
			cancelOwn(nil)
		})
	}
}

func TestReader_EmptyBatchChangesNothing(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	r := follow(hub)
	publish(t, hub, 1, 2)
	r.take(t, 1)
	ctx, cancel := context.WithCancel(bg)
	cancel()
	n, err := r.ReadBatch(ctx, nil)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Zero(t, hub.Released(), "not even this")
	r.Close()
	n, err = r.ReadBatch(bg, []int{})
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestReader_MissedIsExactAtTheWindow(t *testing.T) {
	for _, c := range []struct{ published, missed int }{{3, 0}, {4, 0}, {5, 1}, {300, 296}} {
		hub := newHub[int](t, 1, broadcast.DropOldest)
		r := follow(hub, broadcast.WithBuffer(4))
		publish(t, hub, span(1, c.published)...)
		require.Equal(t, min(c.published, 4), r.Stats().Len)
		require.EqualValues(t, c.missed, hub.Stats().Dropped, "counted before the reader knows")
		r.take(t, 1)
		require.EqualValues(t, c.missed, r.Missed())
		require.Equal(t, []int{c.missed + 1}, r.got)
		ctx, cancel := context.WithCancel(bg)
		cancel()
		require.Error(t, r.next(ctx))
		require.Zero(t, r.Missed(), "after an error")
	}
}

func TestReader_BatchEndsWhereEventsWereLost(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.DropOldest, broadcast.WithRing(100))
	r := follow(hub, broadcast.WithFilter(func(e int) bool {
		if e == 2 {
			publish2 := make([]int, 200)
			done := make(chan struct{})
			go func() { _, _ = hub.PublishBatch(bg, publish2); close(done) }()
			<-done
		}
		return true
	}))
	publish(t, hub, 1, 2, 3)
	dst := make([]int, 10)
	n, err := r.ReadBatch(bg, dst)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}[:n], dst[:n], "what comes behind the gap is another batch")
	require.Zero(t, r.Missed())
	before := r.Stats()
	n, err = r.ReadBatch(bg, dst)
	require.NoError(t, err)
	require.Equal(t, 10, n)
	require.Equal(t, before.Dropped, r.Missed())
}

func TestReader_Filter(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	r := follow(hub, broadcast.WithFilter(func(e int) bool { return e%3 == 0 }), broadcast.WithName("thirds"))
	publish(t, hub, span(1, 300)...)
	r.take(t, 2)
	require.EqualValues(t, 6, r.Seq(), "the number of the event, not of what passed")
	dst := make([]int, 1000)
	n, err := r.ReadBatch(bg, dst)
	require.NoError(t, err)
	require.Equal(t, 98, n)
	require.EqualValues(t, 300, r.Seq())
	r.got = append(r.got, dst[:n]...)
	require.EqualValues(t, 200, r.Stats().Filtered)
	require.Equal(t, "thirds", r.Stats().Name)
	broadcasttest.CheckConservation(t, hub, r)
	require.Panics(t, func() { hub.NewReader(broadcast.WithFilter(func(string) bool { return true })) })
}

// A reader whose filter lets nothing through ends with its context under constant load.
func TestReader_AllEndsUnderConstantLoad(t *testing.T) {
	for _, keep := range []bool{true, false} {
		hub := newHub[int](t, 1, broadcast.DropOldest)
		var publisher sync.WaitGroup
		publisher.Go(func() {
			for hub.Publish(bg, 1) == nil {
			}
		})
		ctx, cancel := context.WithCancel(bg)
		seen := 0
		r := hub.NewReader(broadcast.WithFilter(func(int) bool {
			if seen++; seen == 1000 {
				cancel()
			}
			return keep
		}))
		for range r.All(ctx) {
		}
		require.Error(t, ctx.Err())
		require.NoError(t, r.Err())
		hub.Close()
		publisher.Wait()
	}
}

// Law 8: the event at which a filter panics is lost for its reader alone, and what
// came before it is returned before the panic.
func TestLaw8_ReadersFilterPanics(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	r := follow(hub, broadcast.WithFilter(func(e int) bool {
		if e == 3 {
			panic(errTest)
		}
		return true
	}))
	other := follow(hub)
	publish(t, hub, span(1, 5)...)
	dst := make([]int, 10)
	n, err := r.ReadBatch(bg, dst)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, dst[:n])
	r.got = append(r.got, dst[:n]...)
	require.PanicsWithValue(t, errTest, func() { _, _ = r.ReadBatch(bg, dst) })
	broadcasttest.CheckConservation(t, hub, r, other)
	require.EqualValues(t, 1, r.Stats().Dropped)
	require.EqualValues(t, 1, hub.Stats().DroppedBy.Newest)
	r.take(t, 1)
	require.EqualValues(t, 1, r.Missed())
	require.EqualValues(t, 4, r.Seq())
	require.Equal(t, []int{1, 2, 4, 5}, r.rest(t))
	require.Equal(t, span(1, 5), other.rest(t))
	broadcasttest.CheckConservation(t, hub, r, other)
}

func TestLaw8_ReadersFilterEndsItsGoroutine(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	calls := 0
	r := follow(hub, broadcast.WithFilter(func(int) bool {
		if calls++; calls == 3 {
			var end sync.WaitGroup
			end.Go(func() {})
			end.Wait()
			goexit()
		}
		return true
	}))
	publish(t, hub, span(1, 5)...)
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = r.ReadBatch(bg, make([]int, 10)) })
	reading.Wait()
	require.EqualValues(t, 2, r.Stats().Dropped, "claimed, and returned to nobody")
	require.Equal(t, []int{3, 4, 5}, r.rest(t))
	broadcasttest.CheckConservation(t, hub, r)
}

func TestReader_FilterMayCloseTheReaderAndTheHub(t *testing.T) {
	for _, what := range []string{"reader", "hub"} {
		hub := newHub[int](t, 1, broadcast.Block)
		var r *follower[int]
		r = follow(hub, broadcast.WithFilter(func(e int) bool {
			if e == 2 && what == "reader" {
				r.Close()
			} else if e == 2 {
				hub.Close()
			}
			return true
		}))
		publish(t, hub, 1, 2, 3)
		for r.next(bg) == nil {
		}
		if what == "reader" {
			require.Equal(t, []int{1}, r.got)
			require.Equal(t, 2, r.Stats().Len)
		} else {
			require.Equal(t, []int{1, 2, 3}, r.got)
		}
		broadcasttest.CheckConservation(t, hub, r)
	}
}

func TestReader_DrainsAfterTheHubUnlessClosed(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.DropOldest)
	stays, leaves := follow(hub), follow(hub, broadcast.WithBuffer(3))
	publish(t, hub, span(1, 5)...)
	hub.CloseWithError(errTest)
	require.ErrorIs(t, stays.Err(), errTest)
	leaves.take(t, 1)
	leaves.Close()
	require.ErrorIs(t, leaves.next(bg), errTest, "at once, and the first reason stays")
	require.Equal(t, 2, leaves.Stats().Len)
	require.Equal(t, span(1, 5), stays.take(t, 5).got)
	require.ErrorIs(t, stays.next(bg), errTest)
	broadcasttest.CheckConservation(t, hub, stays, leaves)
	late := follow(hub)
	require.ErrorIs(t, late.next(bg), errTest)
	require.ErrorIs(t, late.Err(), errTest)
	require.NoError(t, hub.Shutdown(bg))
}

// Missed is about the events that a read returned, and a Next that waits in vain
// returns none.
func TestReader_MissedIsZeroAfterAWaitInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.DropOldest, broadcast.WithRing(1))
		r := follow(hub)
		publish(t, hub, span(1, 4)...)
		require.Equal(t, []int{4}, r.take(t, 1).got)
		require.EqualValues(t, 3, r.Missed())
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		require.ErrorIs(t, r.next(ctx), context.DeadlineExceeded)
		require.Zero(t, r.Missed())
	})
}

func TestReader_ContextThatIsDone(t *testing.T) {
	ctx, cancel := context.WithCancelCause(bg)
	cancel(errTest)
	hub := newHub[int](t, 1, broadcast.Block)
	r := follow(hub, broadcast.WithContext(ctx))
	require.Equal(t, errTest, r.Err())
	require.Equal(t, errTest, r.next(bg))
	require.Zero(t, r.Stats().ID)
	broadcasttest.CheckConservation(t, hub, r)
	r.Close()
}

func TestReader_WrongOptionsPanic(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	ring := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(10))
	for text, fn := range map[string]func(){
		"a window of 0":                   func() { hub.NewReader(broadcast.WithBuffer(0)) },
		"larger than the ring":            func() { hub.NewReader(broadcast.WithBuffer(1025)) },
		"pass less to WithBuffer":         func() { ring.NewReader(broadcast.WithBuffer(11)) },
		"cannot have DropNewest":          func() { hub.NewReader(broadcast.WithPolicy(broadcast.DropNewest)) },
		"make the hub WithRing":           func() { hub.NewReader(broadcast.WithReplay(1)) },
		"Subscribe: WithReplay needs":     func() { hub.Subscribe(broadcast.WithReplay(0)) },
		"WithReplay: negative number":     func() { broadcast.WithReplay(-1) },
		"WithResumeAfter is for readers":  func() { ring.Subscribe(broadcast.WithResumeAfter(0)) },
		"NewReader: both WithReplay":      func() { ring.NewReader(broadcast.WithReplay(1), broadcast.WithResumeAfter(1)) },
		"WithRing: no capacity":           func() { broadcast.WithRing(0) },
		"no capacity: pass 1 or more, or": func() { broadcast.WithRing(-1) },
	} {
		require.Panics(t, fn, text)
		func() {
			defer func() { require.Contains(t, fmt.Sprint(recover()), text) }()
			fn()
		}()
	}
	require.Zero(t, hub.Len()+ring.Len())
	require.Equal(t, 1024, hub.NewReader().Stats().Cap)
	require.Equal(t, 10, ring.NewReader().Stats().Cap)
}

// A hub's DropNewest, and a policy that answers it, are DropOldest for a reader.
func TestReader_DropNewestIsDropOldest(t *testing.T) {
	answer := broadcast.PolicyFunc(func(broadcast.Overflow) broadcast.Action { return broadcast.DropNewest })
	hub := newHub[int](t, 1, broadcast.DropNewest)
	r := follow(hub, broadcast.WithBuffer(2))
	asked := follow(hub, broadcast.WithBuffer(2), broadcast.WithPolicy(answer))
	publish(t, hub, span(1, 5)...)
	for _, r := range []*follower[int]{r, asked} {
		require.Equal(t, []int{4, 5}, r.rest(t))
		require.EqualValues(t, 3, r.Stats().Dropped)
	}
	broadcasttest.CheckConservation(t, hub, r, asked)
}

// Law 1: subscriptions and readers of one hub, several publishers.
func TestLaw1_ReadersAndSubscriptionsHaveOneTimeline(t *testing.T) {
	const publishers, each = 4, 500
	hub := newHub[int](t, 4, broadcast.Block, broadcast.WithRing(7))
	var consumers, publishing sync.WaitGroup
	reference := hub.Subscribe(broadcast.WithBuffer(publishers * each))
	sub := hub.Subscribe()
	readers := make([]*follower[int], 6)
	all := []broadcasttest.Consumer{broadcasttest.Counted(reference, publishers*each)}
	for i := range readers {
		readers[i] = follow(hub, broadcast.WithBuffer(1+i))
		all = append(all, readers[i])
		consumers.Go(func() {
			for readers[i].next(bg) == nil {
				if want := uint64(len(readers[i].got)); readers[i].Seq() != want {
					t.Errorf("Seq = %d, want %d", readers[i].Seq(), want)
				}
			}
		})
	}
	var got []int
	consumers.Go(func() {
		for e := range sub.C() {
			got = append(got, e)
		}
	})
	for p := range publishers {
		publishing.Go(func() {
			for i := range each {
				_ = hub.Publish(bg, p*each+i)
			}
		})
	}
	publishing.Wait()
	hub.Close()
	consumers.Wait()
	var want []int
	for e := range reference.C() {
		want = append(want, e)
	}
	require.Len(t, want, publishers*each)
	require.Equal(t, want, got)
	for _, r := range readers {
		require.True(t, slices.Equal(want, r.got))
	}
	broadcasttest.CheckConservation(t, hub, append(all, broadcasttest.Counted(sub, uint64(len(got))))...)
}

func TestReader_HandleTakesFromIt(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hub := newHub[int](t, 1, broadcast.Block, broadcast.WithRing(2))
		rec := broadcasttest.Record(hub.NewReader())
		publish(t, hub, span(1, 10)...)
		got, err := rec.Wait(bg, 10)
		require.NoError(t, err)
		require.Equal(t, span(1, 10), got)
		synctest.Wait()
		broadcasttest.CheckConservation(t, hub, rec)

		ctx, cancel := context.WithCancelCause(bg)
		r := hub.NewReader()
		call := async(func() error {
			return broadcast.Handle(ctx, r, func(context.Context, int) error { return errTest })
		})
		publish(t, hub, 11, 12)
		cancel(errTest)
		require.Equal(t, errTest, call.returned(t, "Handle"))
		require.Equal(t, broadcast.ErrClosed, r.Err(), "Handle closes its stream")
		call = async(func() error {
			return broadcast.Handle(bg, hub.NewReader(), func(context.Context, int) error { return errTest }, broadcast.StopOnError())
		})
		call.requireBlocked(t, "Handle without an event")
		publish(t, hub, 13)
		require.Equal(t, errTest, call.returned(t, "Handle"))
		require.NoError(t, hub.Shutdown(bg))
		_, err = rec.WaitEnd(bg)
		require.NoError(t, err)
	})
}

// Two goroutines in one reader are seen where one claims what the other is about to.
func TestReader_TwoGoroutinesPanic(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	second := make(chan any, 1)
	inside, out := make(chan struct{}), make(chan struct{})
	first := true
	r := hub.NewReader(broadcast.WithFilter(func(int) bool {
		if first {
			first = false
			close(inside)
			<-out
		}
		return true
	}))
	publish(t, hub, 1, 2)
	go func() {
		defer func() { second <- recover() }()
		_, _ = r.Next(bg)
	}()
	<-inside
	_, err := r.Next(bg)
	require.NoError(t, err)
	close(out)
	require.Contains(t, fmt.Sprint(<-second), "two goroutines")
}
