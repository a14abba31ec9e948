package bridge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/stretchr/testify/require"
)

// An event has all that its message had.
func TestDeliver_WholeMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b, err := bridge.New(m, func(m *bridge.Message) (string, error) {
			return string(m.Key) + "=" + string(m.Data), nil
		})
		require.NoError(t, err)
		t.Cleanup(b.Close)
		s := subscribe(t, b, "a*")
		header := bridge.Header{"k": {"v", "w"}}
		at := time.Unix(1, 2)
		pos := m.Send(bridge.Message{Topic: "ab", Partition: "7", Key: []byte("x"), Data: []byte("y"), Header: header, Time: at})
		require.Equal(t, bridge.Event[string]{
			Topic: "ab", Partition: "7", Value: "x=y", Header: header, Position: pos, Time: at,
		}, <-s.C())
	})
}

// A message is decoded once, however many subscribers there are.
func TestDeliver_DecodeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		var calls atomic.Int64
		b, err := bridge.New(m, func(m *bridge.Message) (string, error) {
			calls.Add(1)
			return text(m)
		})
		require.NoError(t, err)
		t.Cleanup(b.Close)
		var subs []*subscription
		for range 50 {
			subs = append(subs, subscribe(t, b, "a"))
			newReader(t, b, "a")
		}
		publish(m, "a", "1", "2", "bad")
		for _, s := range subs {
			require.Equal(t, []string{"1", "2"}, taken(s))
		}
		require.Equal(t, int64(3), calls.Load())
		require.Equal(t, 1, m.Runs("a"))
	})
}

// A pattern has a hub and a network subscription of its own, also where another
// one matches the same topics.
func TestDeliver_HubPerPattern(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		all, one := subscribe(t, b, "*"), subscribe(t, b, "a")
		publish(m, "a", "1")
		publish(m, "b", "2")
		require.Equal(t, []string{"1", "2"}, taken(all))
		require.Equal(t, []string{"1"}, taken(one))
		require.Equal(t, 1, m.Runs("*"))
		require.Equal(t, 1, m.Runs("a"))
	})
}

// A gap is an event of the timeline: every subscriber sees it, with the details that
// the source knows, before the first event behind it.
func TestGap_InTheTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		s, r := subscribe(t, b, "a"), newReader(t, b, "a")
		publish(m, "a", "1")
		synctest.Wait()
		m.Refuse(errBad)
		synctest.Wait()
		m.Refuse(nil)
		synctest.Wait()
		publish(m, "a", "2")
		synctest.Wait()
		m.Report("a", bridge.Gap{Reason: bridge.SourceDropped, Partition: "p", From: "x", To: "y", Count: 7, Err: errBad})
		publish(m, "a", "3")
		want := []string{"1", "gap disconnected", "2", "gap source_dropped", "3"}
		require.Equal(t, want, next(t, r, 5))
		synctest.Wait()
		var events []bridge.Event[string]
		for range want {
			events = append(events, <-s.C())
		}
		require.Equal(t, []uint64{0, 1, 1, 2, 2}, []uint64{events[0].Gaps, events[1].Gaps, events[2].Gaps, events[3].Gaps, events[4].Gaps})
		require.Equal(t, bridge.Gap{Reason: bridge.SourceDropped, Partition: "p", From: "x", To: "y", Count: 7, Err: errBad}, *events[3].Gap)
		require.Equal(t, "p", events[3].Partition)
		require.Empty(t, events[3].Value)
		st := only(t, b)
		require.Equal(t, uint64(2), st.Gaps)
		require.Equal(t, uint64(7), st.Lost)
		require.Equal(t, uint64(1), st.Reconnects)
	})
}

// Whoever loses the marker itself to its own overflow sees it in the count of gaps.
func TestGap_MarkerLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		s := subscribe(t, b, "a", broadcast.WithBuffer(1))
		m.Report("a", bridge.Gap{Reason: bridge.SourceDropped, Count: 1})
		synctest.Wait()
		publish(m, "a", "1")
		synctest.Wait()
		e := <-s.C()
		require.Equal(t, "1", e.Value)
		require.Equal(t, uint64(1), e.Gaps)
		require.Equal(t, uint64(1), s.Stats().Dropped)
	})
}

// letter is what the handler of poison was given.
type letter struct {
	data, pos string
	err       error
}

// Poison, with each verdict.
func TestPoison_Verdicts(t *testing.T) {
	for _, kind := range []string{"bad", "panic", "too large"} {
		data := kind
		if kind == "too large" {
			data = strings.Repeat("x", 11)
		}
		requireCause := func(t *testing.T, err error) {
			t.Helper()
			var panicked *broadcast.PanicError
			switch kind {
			case "bad":
				require.Equal(t, errBad, err)
			case "panic":
				require.ErrorAs(t, err, &panicked)
				require.Equal(t, "poison", panicked.Value)
				require.Contains(t, string(panicked.Stack), "main_test.go")
			default:
				require.ErrorIs(t, err, bridge.ErrTooLarge)
				require.ErrorContains(t, err, "11 bytes, and the limit is 10")
			}
		}
		for verdict, want := range map[string]error{"none": nil, "skip": nil, "end": errors.New("enough"), "panic": nil} {
			bubble(t, kind+"/verdict="+verdict, func(t *testing.T) {
				m := bridgetest.NewMemory(log)
				var letters []letter
				opts := []bridge.Option{bridge.WithMaxBytes(10)}
				if verdict != "none" {
					opts = append(opts, bridge.WithPoison(func(m *bridge.Message, err error) error {
						letters = append(letters, letter{string(m.Data), string(m.Position), err})
						if verdict == "panic" {
							panic(errBad)
						}
						return want
					}))
				}
				b := newBridge(t, m, opts...)
				s := subscribe(t, b, "a")
				other := subscribe(t, b, "b")
				publish(m, "a", "1", data, "2", data)
				publish(m, "b", "1")
				switch verdict {
				case "none", "skip":
					require.Equal(t, []string{"1", "2"}, taken(s))
					require.Equal(t, uint64(2), topicOf(b, "a").DecodeErrors)
				default:
					require.Equal(t, []string{"1", "closed"}, taken(s))
					require.ErrorIs(t, s.Err(), broadcast.ErrClosed)
					if verdict == "end" {
						require.ErrorIs(t, s.Err(), want)
					} else {
						require.ErrorIs(t, s.Err(), errBad)
					}
					time.Sleep(time.Hour)
					require.Equal(t, 1, m.Runs("a"), "the topic has ended")
				}
				require.Equal(t, []string{"1"}, taken(other), "others flow")
				if verdict != "none" {
					require.Equal(t, data, letters[0].data)
					require.Equal(t, "2", letters[0].pos)
					requireCause(t, letters[0].err)
				}
			})
		}
	}
}

// topicOf is the stats of the topic of pattern.
func topicOf(b *bridge.Bridge[string], pattern string) (got bridge.TopicStats) {
	for s := range b.Topics() {
		if s.Pattern == pattern {
			got = s
		}
	}
	return got
}

// What is too large is refused before decode sees it; the key counts too.
func TestPoison_TooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b, err := bridge.New(m, func(m *bridge.Message) (int, error) {
			require.LessOrEqual(t, len(m.Key)+len(m.Data), 1<<20)
			return len(m.Data), nil
		})
		require.NoError(t, err)
		t.Cleanup(b.Close)
		s, err := b.Subscribe(bg, "a")
		require.NoError(t, err)
		m.Send(bridge.Message{Topic: "a", Key: []byte("k"), Data: bytes.Repeat([]byte("x"), 1<<20)})
		m.Send(bridge.Message{Topic: "a", Key: []byte("k"), Data: bytes.Repeat([]byte("x"), 1<<20-1)})
		require.Equal(t, 1<<20-1, (<-s.C()).Value)
		for st := range b.Topics() {
			require.Equal(t, uint64(2<<20+1), st.Bytes)
			require.Equal(t, uint64(2), st.Messages)
		}
	})
}

// Endless redelivery: a source that gives a message again after its poison was
// skipped gets it skipped again, and no more than that.
func TestPoison_SinkAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		enough := errors.New("enough")
		var got []error
		b := newBridge(t, sourceFunc(func(ctx context.Context, sink bridge.Sink) error {
			sink.Live()
			for range 3 { // it does not listen
				got = append(got, sink.Deliver(ctx, &bridge.Message{Data: []byte("bad")}))
			}
			got = append(got, sink.Gap(ctx, bridge.Gap{}))
			<-ctx.Done()
			return nil
		}), bridge.WithPoison(func(*bridge.Message, error) error { return enough }))
		s := subscribe(t, b, "a")
		synctest.Wait()
		require.Equal(t, []error{enough, enough, enough, enough}, got, "the verdict is returned unchanged, and stays")
		require.Empty(t, taken(s))
		b.Close()
	})
}

// A call whose ctx is done takes nothing.
func TestDeliver_ContextDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []error
		b := newBridge(t, sourceFunc(func(ctx context.Context, sink bridge.Sink) error {
			sink.Live()
			done, cancel := context.WithCancelCause(ctx)
			cancel(errBad)
			got = append(got, sink.Deliver(done, &bridge.Message{Data: []byte("1")}), sink.Gap(done, bridge.Gap{}))
			<-ctx.Done()
			return nil
		}))
		s := subscribe(t, b, "a")
		require.Empty(t, taken(s))
		require.Equal(t, []error{errBad, errBad}, got)
		require.Zero(t, only(t, b).Messages)
		b.Close()
	})
}

// A burst of 2,000 messages reaches 100 quick readers complete with the defaults.
func TestBurst_Defaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bridgetest.NewMemory(radio)
		b := newBridge(t, m)
		const burst, readers = 2000, 100
		var all []running[error]
		for range readers {
			r := newReader(t, b, "a")
			all = append(all, async(func() error {
				for i := range burst {
					e, err := r.Next(bg)
					if err != nil || e.Value != strconv.Itoa(i) || e.Gaps != 0 || r.Missed() != 0 {
						return fmt.Errorf("event %d: %+v, missed %d, %w", i, e, r.Missed(), err)
					}
				}
				return nil
			}))
		}
		for i := range burst {
			publish(m, "a", strconv.Itoa(i))
		}
		for _, r := range all {
			require.NoError(t, r.returned(t, "a reader"))
		}
		require.Equal(t, 1, m.Runs("a"))
	})
}
