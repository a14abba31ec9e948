package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// How much a screen skips depends on who is first where a draw ends with a tick.
// That it adds up, and that all end with the newest, does not.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		start := time.Now()
		require.NoError(t, run(t.Context(), &out))
		require.Less(t, time.Since(start), ticks*every+3*250*time.Millisecond, "nobody is waited for")
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		require.Len(t, lines, 6)
		for i, want := range []struct{ offered, least, most int }{{417, 200, 417}, {417, 40, 80}, {212, 8, 16}} {
			var name, refresh string
			var draws, offered, shown, replaced int
			_, err := fmt.Sscan(lines[3+i], &name, &refresh, &draws, &offered, &shown, &replaced)
			require.NoError(t, err)
			require.Equal(t, want.offered, offered, name)
			require.Equal(t, offered, shown+replaced, name)
			require.GreaterOrEqual(t, shown, want.least, name)
			require.LessOrEqual(t, shown, want.most, name)
			require.Contains(t, lines[3+i], "ACME 112 BOLT 211 CORN 311 DUNE 409", name)
		}
	})
}

// Ctrl-C ends the trading; every screen shows the newest nevertheless.
func TestRun_Canceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 352*time.Millisecond)
		defer cancel()
		var out bytes.Buffer
		require.NoError(t, run(ctx, &out))
		require.Contains(t, out.String(), "late    250ms ")
	})
}

func TestRun_CanceledBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, run(ctx, &bytes.Buffer{}))
}
