package broadcast_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/stretchr/testify/require"
)

func TestStats_Zero(t *testing.T) {
	hub := newHub[int](t, 1, broadcast.Block)
	require.Equal(t, broadcast.Stats{}, hub.Stats())
	hub.Close()
	require.Equal(t, broadcast.Stats{}, hub.Stats())
}

// Every counter for once, with numbers that differ.
func TestStats_EveryCounter(t *testing.T) {
	bubble(t, "all", func(t *testing.T) {
		a := newAudit(newHub[int](t, 1, broadcast.Block))
		a.subscribe(broadcast.DropNewest, 1)
		a.subscribe(broadcast.DropOldest, 2)
		a.subscribe(broadcast.Eject, 3)
		a.filtered(broadcast.DropNewest, 9, func(e int) bool { return e > 3 })
		a.subscribe(broadcast.BlockFor(time.Second, broadcast.DropNewest), 7)
		require.NoError(t, a.publish(bg, span(1, 8)...))
		checkLaws(t, a)
		require.Equal(t, broadcast.Stats{
			Subscribers: 4, Published: 8, Offered: 4*8 + 4,
			Dropped: 15, DroppedBy: broadcast.DropReasons{Newest: 7 + 1, Oldest: 6, Ejected: 1},
			Filtered: 3, Ejected: 1, Blocked: 1,
		}, a.hub.Stats())
	})
}

// Blocked counts publishes that waited for room, once each: not subscriptions,
// not the turn, not those that found room.
func TestFinePrint_Blocked(t *testing.T) {
	bubble(t, "once each", func(t *testing.T) {
		b := newBlockedHub(t, 5, true)
		line := async(func() error { return b.hub.Publish(bg, 3) })
		line.requireBlocked(t, "publish in line")
		require.EqualValues(t, 1, b.hub.Stats().Blocked)
		for _, w := range b.full {
			w.take(2)
		}
		require.NoError(t, b.publish.returned(t, "publish with room"))
		require.NoError(t, line.returned(t, "publish with room"))
		require.EqualValues(t, 1, b.hub.Stats().Blocked)
		b.timeline = append(b.timeline, 3)
		checkLaws(t, b.audit)
	})
}

// Stats and Subscriptions never wait for a publisher: neither for one that
// waits for room, nor for one in a filter.
func TestStats_NeverWaits(t *testing.T) {
	bubble(t, "blocked", func(t *testing.T) {
		b := newBlockedHub(t, 2, true)
		require.EqualValues(t, 2, b.hub.Stats().Published)
		for s := range b.hub.Subscriptions() {
			require.EqualValues(t, 2, s.Offered)
		}
		require.EqualValues(t, 2, b.full[0].Stats().Offered)
		b.hub.Close()
	})
}

func TestStats_LogValue(t *testing.T) {
	var text strings.Builder
	log := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key != "hub" {
			return slog.Attr{}
		}
		return a
	}}))
	log.Info("", "hub", broadcast.Stats{
		Subscribers: 1, Readers: 2, Published: 3, Offered: 4, Dropped: 5, Filtered: 6, Ejected: 7, Blocked: 8, Coalesced: 9,
		HandlerErrors: 10, HandlerPanics: 11,
	})
	require.Equal(t, "hub.subscribers=1 hub.readers=2 hub.published=3 hub.offered=4 hub.dropped=5 "+
		"hub.filtered=6 hub.ejected=7 hub.blocked=8 hub.coalesced=9 hub.handler_errors=10 hub.handler_panics=11\n", text.String())
}
