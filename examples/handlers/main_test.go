package main

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var silent = slog.New(slog.DiscardHandler)

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, log bytes.Buffer
		require.NoError(t, run(t.Context(), &out, slog.New(slog.NewTextHandler(&log, nil))))
		require.Contains(t, log.String(), "broadcast: handler panicked")
		require.Contains(t, log.String(), "index out of range")
		require.Equal(t, `published in 0s, shut down after 1s

handler  received  failed  unread  done after
stock    20        0       0       0s
mail     20        4       0       0s
price    20        4       0       0s
archive  20        0       0       1s

the hub has counted 4 errors and 4 panics
`, out.String())
	})
}

// Ctrl-C is not waited out: the error says who had how much left.
func TestRun_Canceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
		defer cancel()
		var out bytes.Buffer
		err := run(ctx, &out, silent)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "17 events are still buffered")
		require.Contains(t, out.String(), "archive  3         1       17      100ms\n")
	})
}

func TestRun_CanceledBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, run(ctx, &bytes.Buffer{}, silent), context.Canceled)
}
