package main

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// These tests run on the clock of a synctest bubble: a Sleep takes no time, and
// whatever can happen in it has happened when it returns.

func startDemo(t *testing.T) *policies {
	t.Helper()
	p := startPolicies()
	t.Cleanup(func() { require.NoError(t, p.stop(context.Background())) })
	return p
}

// now returns what the pages were shown last.
func (p *policies) now(t *testing.T) state {
	t.Helper()
	encoded, _ := p.board.get()
	var s state
	require.NoError(t, json.Unmarshal(encoded, &s))
	return s
}

func (s state) lane(t *testing.T, name string) laneState {
	t.Helper()
	for _, l := range s.Lanes {
		if l.Name == name {
			return l
		}
	}
	require.FailNow(t, "no such lane", name)
	return laneState{}
}

func TestPolicies_RestWhileNobodyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startDemo(t)
		time.Sleep(time.Hour)
		require.Zero(t, p.hub.Stats().Published)
		require.Nil(t, p.board.value, "nor is anything sampled")

		leave := p.look()
		time.Sleep(10 * time.Second)
		require.InDelta(t, 5000, p.hub.Stats().Published, 2)
		leave()
		synctest.Wait()
		published := p.hub.Stats().Published
		time.Sleep(time.Hour)
		require.Equal(t, published, p.hub.Stats().Published)

		p.look()
		time.Sleep(time.Second)
		require.InDelta(t, published+500, p.hub.Stats().Published, 2, "the rest is not made up for")
	})
}

func TestPolicies_RateAndBurstAreBoundedByTheHubOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startDemo(t)
		p.look()
		for _, s := range []settings{{1, 1}, {maxRate, 1}, {maxRate, maxBurst}, {500, 20}} {
			_, err := p.setPublisher(s.rate, s.burst)
			require.NoError(t, err)
			before := p.hub.Stats().Published
			time.Sleep(2 * time.Second)
			require.InDelta(t, 2*s.rate, p.hub.Stats().Published-before, float64(2*max(s.rate/100, s.burst)), "%+v", s)
		}
	})
}

func TestPolicies_BlockStuck_EverybodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startDemo(t)
		p.look()
		time.Sleep(2 * time.Second)
		s := p.now(t)
		require.Equal(t, verdict{good, "Everybody keeps up: nothing waits, nothing is lost."}, s.Verdict)
		require.InDelta(t, 500, s.Real, 10)

		_, err := p.setSpeed(p.lane("Block"), stuck)
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		s = p.now(t)
		require.Equal(t, verdict{culprit, "Block is stuck: everybody waits."}, s.Verdict)
		require.InDelta(t, 1, s.Blocked, 0.01)
		require.Greater(t, s.Waits, 4.0)
		for _, l := range s.Lanes {
			require.Zero(t, l.Gets, l.Name)
			if l.Name != "Block" {
				require.Equal(t, verdict{suffers, "waits for Block"}, l.Verdict, l.Name)
			}
		}

		_, err = p.setSpeed(p.lane("Block"), maxSpeed)
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		require.InDelta(t, 500, p.now(t).Real, 10, "and what was missed is not made up for")
		require.Zero(t, p.hub.Stats().Dropped)
	})
}

func TestPolicies_BlockSlow_EverybodyGoesAtItsSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startDemo(t)
		p.look()
		_, err := p.setSpeed(p.lane("Block"), 50)
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		s := p.now(t)
		require.Regexp(t, `^Block is slow: everybody gets (49|50|51) of 500 events/s\.$`, s.Verdict.Text)
		require.InDelta(t, 50, s.lane(t, "Eject").Gets, 2)
	})
}

func TestPolicies_BlockForStuck_EachEventWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startDemo(t)
		p.look()
		_, err := p.setSpeed(p.lane("BlockFor"), stuck)
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		s := p.now(t)
		require.Regexp(t, `^BlockFor is stuck: everybody gets (19|20|21) of 500 events/s\.$`, s.Verdict.Text)
		require.InDelta(t, 20, s.lane(t, "DropNewest").Gets, 1)
		require.InDelta(t, 20, s.lane(t, "BlockFor").Loses, 1)
		require.Zero(t, s.lane(t, "Block").Dropped)
	})
}

func TestPolicies_Drops_NobodyElseNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startDemo(t)
		p.look()
		for _, name := range []string{"DropNewest", "DropOldest"} {
			_, err := p.setSpeed(p.lane(name), 100)
			require.NoError(t, err)
		}
		time.Sleep(10 * time.Second)
		s := p.now(t)
		require.Equal(t, verdict{suffers, "DropNewest and DropOldest lose events: nobody else notices."}, s.Verdict)
		require.InDelta(t, 400, s.lane(t, "DropOldest").Loses, 5)
		require.InDelta(t, 500, s.lane(t, "Block").Gets, 5)
		require.InDelta(t, 320, s.lane(t, "DropNewest").Age, 20, "32 events wait, and the newest find no room")
		require.InDelta(t, 64, s.lane(t, "DropOldest").Age, 10, "32 events wait, and they are the newest")
	})
}

func TestPolicies_Eject_SubscribesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startDemo(t)
		p.look()
		eject := p.lane("Eject")
		_, err := p.setSpeed(eject, stuck)
		require.NoError(t, err)
		time.Sleep(time.Second)
		s := p.now(t)
		require.Equal(t, verdict{suffers, "Eject was too slow and is out: nobody else notices."}, s.Verdict)
		require.Equal(t, uint64(1), s.lane(t, "Eject").Ejects)
		require.Equal(t, laneBuffer, s.lane(t, "Eject").Len, "what is buffered stays readable")

		_, err = p.setSpeed(eject, maxSpeed)
		require.NoError(t, err)
		time.Sleep(time.Second)
		require.False(t, p.now(t).lane(t, "Eject").Live, "it does not come back by itself")
		for range 2 { // two pages press the button
			_, err = p.subscribe(eject)
			require.NoError(t, err)
		}
		time.Sleep(2 * time.Second)
		l := p.now(t).lane(t, "Eject")
		require.Equal(t, verdict{good, "keeps up"}, l.Verdict)
		require.InDelta(t, 1000, l.Received, 60, "its counts began anew")
		require.Equal(t, 6, p.hub.Len())
	})
}

func TestPolicies_Reset_FreesABlockedHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startDemo(t)
		p.look()
		for range 30 { // more subscriptions than the ledger remembers one by one
			for _, l := range p.lanes {
				_, err := p.setSpeed(l, stuck)
				require.NoError(t, err)
			}
			time.Sleep(time.Second)
			_, err := p.reset()
			require.NoError(t, err)
		}
		time.Sleep(2 * time.Second)
		s := p.now(t)
		require.Equal(t, good, s.Verdict.Level, s.Verdict.Text)
		require.Zero(t, s.lane(t, "Eject").Ejects)
		require.InDelta(t, 1000, s.lane(t, "Block").Received, 60)
	})
}

func TestPolicies_Stop_WhileBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startPolicies()
		p.look()
		_, err := p.setSpeed(p.lane("Block"), stuck)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		begin := time.Now()
		require.NoError(t, p.stop(t.Context()), "and the numbers add up")
		require.Less(t, time.Since(begin), 50*time.Millisecond)
		_, err = p.reset()
		require.ErrorIs(t, err, errStopping)
	})
}

func TestVerdict_Words(t *testing.T) {
	require.Equal(t, "a", and([]string{"a"}))
	require.Equal(t, "a, b and c", and([]string{"a", "b", "c"}))
	s := state{Rate: 500, Real: 4.56, Blocked: 0.9, Lanes: []laneState{
		{Name: "Block", Live: true, Speed: 5, Len: 32, Cap: 32, patience: forever},
		{Name: "DropNewest", Live: true, Speed: stuck, Len: 3, Cap: 32},
		{Name: "BlockFor", Live: true, Speed: 8, Len: 32, Cap: 32, patience: blockForWait},
	}}
	s.judge([]bool{true, false, true})
	require.Equal(t, "Block is slow: everybody gets 4.6 of 500 events/s. BlockFor is slow: everybody gets 4.6 of 500 events/s.", s.Verdict.Text)
	require.Equal(t, "stuck, its buffer fills", s.Lanes[1].Verdict.Text)
	require.Equal(t, "slow: everybody waits, at most 50ms", s.Lanes[2].Verdict.Text)

	s = state{Rate: 500, Real: 500, Lanes: []laneState{
		{Name: "Block", Live: true, Speed: maxSpeed, Cap: 32, patience: forever},
		{Name: "DropNewest", Live: true, Speed: 100, Loses: 400, Cap: 32},
		{Name: "Eject", Cap: 32},
		{Name: "Coalescing", Live: true, Speed: stuck, Len: 99, Keys: 4},
	}}
	s.judge([]bool{false, true, true, false})
	require.Equal(t, verdict{suffers, "DropNewest loses events, Eject was too slow and is out, Coalescing skips replaced values: nobody else notices."}, s.Verdict)
	require.Equal(t, verdict{suffers, "stuck, only the latest of each key waits"}, s.Lanes[3].Verdict)
}
