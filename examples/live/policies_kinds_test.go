package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// turn sets the speed of a lane.
func (p *policies) turn(t *testing.T, name string, speed int) {
	t.Helper()
	_, err := p.setSpeed(p.lane(name), speed)
	require.NoError(t, err)
}

func TestPolicies_ReaderSlow_LosesAloneLikeDropOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startDemo(t)
		p.look()
		p.turn(t, "Reader", 100)
		time.Sleep(10 * time.Second)
		s := p.now(t)
		require.Equal(t, verdict{suffers, "Reader loses events: nobody else notices."}, s.Verdict)
		l := s.lane(t, "Reader")
		require.Equal(t, laneBuffer, l.Cap)
		require.InDelta(t, 400, l.Loses, 5)
		require.InDelta(t, 100, l.Gets, 2)
		require.InDelta(t, 64, l.Age, 10, "32 events wait, and they are the newest")
		require.InDelta(t, 500, s.lane(t, "Block").Gets, 5)
		require.Len(t, l.Trail, maxMarks)
		for i, m := range l.Trail {
			require.InDelta(t, 4, m.Skipped, 1, "each says what it missed just before")
			if i > 0 {
				require.Equal(t, l.Trail[i-1].To+m.Skipped+1, m.From)
			}
		}
	})
}

// TestPolicies_ReaderStuck_IsToldWhatItMissedWhereItDid: it learns of the gap when
// it goes on, and all that was lost is in this one place.
func TestPolicies_ReaderStuck_IsToldWhatItMissedWhereItDid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startDemo(t)
		p.look()
		time.Sleep(2 * time.Second)
		p.turn(t, "Reader", stuck)
		time.Sleep(2 * time.Second)
		l := p.now(t).lane(t, "Reader")
		require.InDelta(t, 1000-laneBuffer, l.Dropped, 60, "the hub counts it at once; what is shown is 100 ms old")
		require.Equal(t, laneBuffer, l.Len)
		require.Equal(t, []mark{{From: 1, To: l.Received}}, l.Trail)
		upTo := l.Received

		p.turn(t, "Reader", maxSpeed)
		time.Sleep(2 * time.Second)
		l = p.now(t).lane(t, "Reader")
		require.Equal(t, verdict{good, "keeps up"}, l.Verdict)
		require.Len(t, l.Trail, 2)
		require.Equal(t, mark{From: 1, To: upTo}, l.Trail[0])
		newest := l.Trail[1].To
		require.Equal(t, mark{From: upTo + l.Dropped + 1, To: newest, Skipped: l.Dropped}, l.Trail[1])
		require.InDelta(t, l.Offered, newest, 1)
	})
}

func TestPolicies_CoalescingSlow_HasTheLatestOfEachKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startDemo(t)
		p.look()
		p.turn(t, "Coalescing", 100)
		time.Sleep(10 * time.Second)
		s := p.now(t)
		require.Equal(t, verdict{good, "Coalescing skips replaced values: nobody else notices."}, s.Verdict)
		l := s.lane(t, "Coalescing")
		require.Regexp(t, `^always the latest: (3[789]|4[012])\d/s replaced$`, l.Verdict.Text)
		require.InDelta(t, 100, l.Gets, 2)
		require.InDelta(t, 400, l.Coalesces, 30, "counted when a pass is over")
		require.Zero(t, l.Dropped)
		require.Zero(t, l.Loses)
		require.Less(t, l.Age, 10.0, "no value is old when it is shown: the next of its key is published after 8 ms")
		require.InDelta(t, 500, s.lane(t, "Block").Gets, 5)
		require.Len(t, l.Trail, len(keys))
		for i, m := range l.Trail {
			require.Equal(t, keys[i], m.Key)
			require.Equal(t, m.Key, tick{n: m.To}.key())
			// A pass over the keys lasts for 20 ticks, and two follow each other at most.
			require.LessOrEqual(t, m.Skipped, uint64(2*20/len(keys)-1), "values of its key replaced since it was shown before")
			require.InDelta(t, s.Published, m.To, 50)
		}
	})
}

func TestPolicies_CoalescingStuck_NobodyWaitsAndTheLatestComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startDemo(t)
		p.look()
		time.Sleep(time.Second)
		p.turn(t, "Coalescing", stuck)
		time.Sleep(10 * time.Second)
		s := p.now(t)
		require.Equal(t, verdict{suffers, "Coalescing skips replaced values: nobody else notices."}, s.Verdict)
		l := s.lane(t, "Coalescing")
		require.InDelta(t, 5000, l.Len, 60, "what it has not seen, replaced or not")
		require.Zero(t, l.Coalesced)
		require.InDelta(t, 500, s.Real, 5)

		p.turn(t, "Coalescing", maxSpeed)
		time.Sleep(2 * time.Second)
		l = p.now(t).lane(t, "Coalescing")
		require.Equal(t, verdict{good, "keeps up"}, l.Verdict)
		require.InDelta(t, 5000, l.Coalesced, 60)
	})
}

// TestPolicies_GapsAgreeWithTheHubs: what the feeds tell, event by event, is what
// the hubs count, and a reader is told what the numbers in the ticks say.
func TestPolicies_GapsAgreeWithTheHubs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPolicies()
		gaps := map[string]uint64{}
		feeds := map[string]feed{}
		for _, l := range p.lanes {
			if l.patience != forever && l.name != "Eject" { // the others lose nothing
				feeds[l.name] = l.open()
			}
		}
		require.Len(t, feeds, 5)
		last := uint64(0) // of the reader
		take := func(name string) {
			r, err := feeds[name].next(t.Context())
			require.NoError(t, err)
			gaps[name] += r.skipped
			if reader, ok := feeds[name].(readerFeed); ok {
				require.Equal(t, last+r.skipped+1, r.n)
				require.Equal(t, reader.Seq(), r.n)
				last = r.n
			}
		}
		for range keys { // a feed that counts by numbers needs a first one to count from
			require.NoError(t, p.pub.publish(t.Context()))
		}
		for name := range feeds {
			for range keys {
				take(name)
			}
		}
		for round := range 20 {
			for range 10 * (round%5 + 1) {
				require.NoError(t, p.pub.publish(t.Context()))
			}
			for name, f := range feeds {
				for n := 0; n < 7 && f.Stats().Len > 0; n++ {
					take(name)
				}
			}
		}
		for name, f := range feeds {
			for f.Stats().Len > 0 {
				take(name)
			}
		}
		// What was lost last, the numbers tell with the next tick only.
		require.NoError(t, p.pub.publish(t.Context()))
		for name, f := range feeds {
			take(name)
			st := f.Stats()
			require.Positive(t, gaps[name], name)
			require.Equal(t, st.Dropped+st.Coalesced, gaps[name], name)
		}
	})
}

// TestPolicies_EveryLaneAddsUp: what is shown of a lane accounts for every event,
// whatever its kind and its speed.
func TestPolicies_EveryLaneAddsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startDemo(t)
		leave := p.look()
		speeds := []int{maxSpeed, 50, 100, 200, 400, 70, 30}
		require.Len(t, p.lanes, len(speeds))
		for i, l := range p.lanes {
			p.turn(t, l.name, speeds[i])
		}
		time.Sleep(10 * time.Second)
		for _, l := range p.lanes {
			p.turn(t, l.name, stuck)
		}
		synctest.Wait()
		leave()
		p.turn(t, "Block", maxSpeed) // a publish may wait for it
		time.Sleep(time.Second)      // or for BlockFor

		first := p.take(0)
		time.Sleep(time.Second)
		s := stateOf([]sample{first, p.take(0)})
		for _, l := range s.Lanes {
			require.Equal(t, l.Offered, l.Received+uint64(l.Len)+l.Dropped+l.Filtered+l.Coalesced, l.Name)
			require.Positive(t, l.Received, l.Name)
		}
		for _, name := range []string{"DropNewest", "DropOldest", "BlockFor", "Reader", "Coalescing"} {
			require.Positive(t, s.lane(t, name).Len, name)
		}
		for _, name := range []string{"DropNewest", "DropOldest", "Eject", "Reader"} {
			require.Positive(t, s.lane(t, name).Dropped, name)
		}
		require.Positive(t, s.lane(t, "Coalescing").Coalesced)
	})
}

// TestPolicies_StuckTakesNothingMore: who waits for an event when it is told to
// take none does not take that either.
func TestPolicies_StuckTakesNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startDemo(t)
		for _, l := range p.lanes {
			p.turn(t, l.name, stuck)
		}
		synctest.Wait()
		require.NoError(t, p.pub.publish(t.Context()))
		synctest.Wait()
		for _, l := range p.lanes {
			require.Zero(t, l.current.received.Load(), l.name)
			require.NotNil(t, l.current.trail.all(), "the page wants a list, be it empty")
			require.Equal(t, 1, l.current.feed.Stats().Len, l.name)
		}
	})
}
