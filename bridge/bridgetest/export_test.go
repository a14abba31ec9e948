package bridgetest

import "testing"

// RunRow runs row n of the suite, inside a bubble.
func RunRow(tb testing.TB, n int, factory Factory) {
	for _, r := range rows {
		if r.n == n {
			r.run(tb, factory, virtualTime)
		}
	}
}
