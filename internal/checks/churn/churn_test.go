package churn

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	duration   = flag.Duration("for", 3*time.Second, "how long TestStress runs")
	deliveries = flag.Uint64("deliveries", 2_000_000, "how many TestSoak makes")
	seed       = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of what is random")
)

// TestStress is meant for the race detector: publishers and consumers rest now and
// then, so that buffers run full and empty.
func TestStress(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), *duration)
	defer cancel()
	var all sums
	for round := uint64(0); ctx.Err() == nil; round++ {
		total, stats, err := drive(ctx, plan{
			seed: *seed + round, publishers: 4, consumers: 16, deliveries: 200_000, pause: 50 * time.Microsecond,
		})
		require.NoError(t, err, "-seed %d; %+v", *seed+round, stats)
		all.add(total)
	}
	require.NotZero(t, all.received)
	t.Logf("seed %d: %+v", *seed, all)
}

// TestSoak makes very many deliveries as fast as it can, and checks that none was
// lost without being counted.
func TestSoak(t *testing.T) {
	start := time.Now()
	total, stats, err := drive(t.Context(), plan{
		seed: *seed, publishers: 2, consumers: 1000, deliveries: *deliveries,
		progress: func(n uint64) {
			rate := float64(n) / time.Since(start).Seconds()
			left := time.Duration(float64(*deliveries-min(n, *deliveries)) / rate * float64(time.Second))
			fmt.Fprintf(os.Stderr, "soak: %d of %d million deliveries, %.1f million/s, %v left\n",
				n/1e6, *deliveries/1e6, rate/1e6, left.Round(time.Second))
		},
	})
	require.NoError(t, err, "-seed %d; %+v", *seed, stats)
	require.GreaterOrEqual(t, total.received+1000*64, *deliveries)
	t.Logf("seed %d: %+v in %v", *seed, total, time.Since(start).Round(time.Millisecond))
}
