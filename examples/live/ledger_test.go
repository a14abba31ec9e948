package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gobroadcast/broadcast"
)

// visit joins a consumer that gets two events, takes one of them and leaves.
func visit(t *testing.T, hub *broadcast.Hub[event], l *ledger, name string) *consumer {
	t.Helper()
	sub := hub.Subscribe(broadcast.WithName(name))
	c := l.join(name, true, sub)
	for range 2 {
		require.NoError(t, hub.Publish(t.Context(), event{}))
	}
	<-sub.C()
	c.received.Add(1)
	l.leave(c)
	return c
}

func TestLedger_RemembersFiftyAndTheSumOfOthers(t *testing.T) {
	hub, l := broadcast.New[event](8, broadcast.DropOldest), &ledger{}
	for i := range maxLeft + 3 {
		visit(t, hub, l, fmt.Sprintf("b%d", i))
	}
	known, earlier, n := l.all()
	require.Len(t, known, maxLeft)
	require.Equal(t, 3, n)
	require.Equal(t, account{offered: 6, received: 3, left: 3}, earlier)
	require.Equal(t, uint64(maxLeft+3), l.received())
	require.Zero(t, l.browsers())

	table, err := totals(l, hub.Stats())
	require.NoError(t, err)
	require.Contains(t, table, "3 earlier")
	require.NotContains(t, table, "  b2\n")
	require.Less(t, strings.Index(table, "  b3\n"), strings.Index(table, "  b52\n"), "in the order in which they came")
	require.Contains(t, table, "all 53")
}

func TestTotals_SaysLoudlyWhatDoesNotAddUp(t *testing.T) {
	hub, l := broadcast.New[event](8, broadcast.DropOldest), &ledger{}
	visit(t, hub, l, "honest")
	_, err := totals(l, hub.Stats())
	require.NoError(t, err)

	visit(t, hub, l, "lost one").received.Add(^uint64(0))
	table, err := totals(l, hub.Stats())
	require.ErrorContains(t, err, "DO NOT ADD UP for 1 subscribers")
	require.Contains(t, table, "lost one  <-- DOES NOT ADD UP")
	require.NotContains(t, table, "honest  <--")
}

func TestTotals_ComparesWithTheHub(t *testing.T) {
	hub, l := broadcast.New[event](8, broadcast.DropOldest), &ledger{}
	hub.Subscribe().Close() // gets nothing: it may be missing
	stranger := hub.Subscribe()
	visit(t, hub, l, "known")
	stranger.Close()
	_, err := totals(l, hub.Stats())
	require.ErrorContains(t, err, "the subscribers say offered 2", "a subscriber that is in no account")
}

// TestTotals_OfEveryKindOfSubscriber: a reader and a coalescing subscription have
// accounts like any other, with what was replaced in them.
func TestTotals_OfEveryKindOfSubscriber(t *testing.T) {
	hub, l := broadcast.New[int](2, broadcast.DropOldest), &ledger{}
	r := hub.NewReader(broadcast.WithBuffer(2))
	reader := l.join("reader", false, r)
	values, vl := broadcast.NewCoalescing[string, int](), &ledger{}
	s := values.Subscribe()
	screen := vl.join("screen", false, s)
	for i := range 5 {
		require.NoError(t, hub.Publish(t.Context(), i))
		require.NoError(t, values.Publish("key", i))
	}
	_, err := r.Next(t.Context())
	require.NoError(t, err)
	reader.received.Add(1)
	_, err = s.Next(t.Context())
	require.NoError(t, err)
	require.Equal(t, account{offered: 5, coalesced: 4, wrong: 1}, screen.account(), "it has not counted what it got yet")
	screen.received.Add(1)

	require.Equal(t, account{offered: 5, received: 1, dropped: 3, left: 1}, reader.account())
	require.Equal(t, account{offered: 5, received: 1, coalesced: 4}, screen.account())
	_, err = totals(l, hub.Stats())
	require.NoError(t, err)
	_, err = totals(vl, values.Stats())
	require.NoError(t, err)
	stats := values.Stats()
	stats.Coalesced++
	_, err = totals(vl, stats)
	require.ErrorContains(t, err, "coalesced 4; the hub says 5, 0, 0, 5")
}

func TestLatest_IsBoundedAndKeepsTheNewest(t *testing.T) {
	l := &latest{bySubject: map[string]event{}}
	for i := range maxSubjects + 5 {
		l.put(event{subject: fmt.Sprint(i)})
	}
	l.put(event{subject: "7", json: []byte("new")})
	require.Len(t, l.all(""), maxSubjects)
	require.Equal(t, []byte("new"), l.all("7")[0].json)
	require.Len(t, l.all("99"), 11, "99 and 990 to 999")
}
