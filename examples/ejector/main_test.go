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
		require.NoError(t, run(t.Context(), &out))
		require.Equal(t, `worker: subscribed at {No:0 Total:0}, having missed 0
worker: stalls after 10
hub:    ejected worker, with 8 of 8 events still to be read
worker: broadcast: subscription ejected: its buffer was full; of 19 events it had 18 and lost 1
worker: subscribed at {No:35 Total:630}, having missed 17
worker: ends with {No:60 Total:1830}, the account is {No:60 Total:1830}
`, out.String())
	})
}

// Ctrl-C while the worker stalls: it wakes, reads what it holds, and ends with
// all that was published.
func TestRun_Canceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, after := range []time.Duration{
			250 * time.Millisecond, // not ejected yet
			450 * time.Millisecond, // ejected
		} {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			var out bytes.Buffer
			require.NoError(t, run(ctx, &out))
			require.Equal(t, after > 380*time.Millisecond, bytes.Contains(out.Bytes(), []byte("hub:    ejected")), "%s", &out)
			cancel()
		}
	})
}

func TestRun_CanceledBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, run(ctx, &bytes.Buffer{}))
}
