package main

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		start := time.Now()
		require.NoError(t, run(t.Context(), &out))
		require.Equal(t, 2400*time.Millisecond, time.Since(start), "two jobs of the busy worker")
		require.Equal(t, `10 configurations, one each 100ms, for workers that look between two jobs

worker  a job takes  skipped  applied
quick   10ms         0        1 2 3 4 5 6 7 8 9 10
steady  220ms        4        1 3 5 7 9 10
busy    1.2s         8        1 10
`, out.String())
	})
}

// Ctrl-C ends the jobs; what was published last is applied by all nevertheless.
func TestRun_Canceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 350*time.Millisecond)
		defer cancel()
		var out bytes.Buffer
		require.NoError(t, run(ctx, &out))
		require.Contains(t, out.String(), "busy    1.2s         2        1 4\n")
	})
}

func TestRun_CanceledBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, run(ctx, &bytes.Buffer{}))
}
