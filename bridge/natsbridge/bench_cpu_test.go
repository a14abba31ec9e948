//go:build unix

package natsbridge_test

import (
	"runtime"
	"syscall"
	"testing"
	"time"
)

// What a message costs in natsbridge, beside decode and the hub: processor time and
// allocations of the whole process for a burst to a sink that counts, less those for
// the same burst to a callback of the client that counts.
func BenchmarkCore_Overhead(b *testing.B) {
	srv := embedded(b, onTCP)
	publisher := benchConnect(b, srv)
	const rounds = 9
	benchSinkRun(b, benchConnect(b, srv), publisher)
	benchSinkBare(b, benchConnect(b, srv), publisher)
	for b.Loop() {
		var cpu, allocs []float64
		for range rounds {
			c1, a1 := spent(func() { benchSinkRun(b, benchConnect(b, srv), publisher) })
			c2, a2 := spent(func() { benchSinkBare(b, benchConnect(b, srv), publisher) })
			cpu = append(cpu, (c1.Seconds()-c2.Seconds())*1e9/benchLong)
			allocs = append(allocs, (float64(a1)-float64(a2))/benchLong)
		}
		b.ReportMetric(median(cpu), "cpu-ns/msg")
		b.ReportMetric(median(allocs), "allocs/msg")
	}
	b.ReportMetric(0, "ns/op")
}

// spent is what fn costs the process.
func spent(fn func()) (cpu time.Duration, mallocs uint64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin := processTime()
	fn()
	cpu = processTime() - begin
	runtime.ReadMemStats(&after)
	return cpu, after.Mallocs - before.Mallocs
}

func processTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
