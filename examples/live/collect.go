package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
)

const collectEvery = 100 * time.Millisecond

// collector publishes what the host does. A metric that the host does not
// offer (a container often has no disks) is left out, with one note.
type collector struct {
	publish func(subject string, payload []byte) error
	note    func(format string, args ...any)
	metrics []*metric
	cpu     cpuWindow
}

// metric is one thing to sample.
type metric struct {
	name   string
	sample func(context.Context) error
	failed int // times in a row; reaching maxFailed leaves the metric out
}

// One failure may be bad luck (too many open files, a device that goes).
const maxFailed = 3

var errNotOffered = errors.New("this host does not offer it")

func newCollector(publish func(string, []byte) error, note func(string, ...any)) *collector {
	c := &collector{publish: publish, note: note}
	c.metrics = []*metric{
		{name: "CPU", sample: c.sampleCPU},
		{name: "memory", sample: c.sampleMemory},
		{name: "load", sample: c.sampleLoad},
		{name: "disk", sample: c.sampleDisks},
		{name: "network", sample: c.sampleNetwork},
	}
	return c
}

// run samples until ctx ends.
func (c *collector) run(ctx context.Context) {
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for {
		c.sampleAll(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (c *collector) sampleAll(ctx context.Context) {
	for _, m := range c.metrics {
		if m.failed == maxFailed {
			continue
		}
		err := m.sample(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			m.failed = 0
		default:
			if m.failed++; m.failed == maxFailed {
				c.note("The %s of this host is left out: %v.", m.name, err)
			}
		}
	}
}

func (c *collector) sampleCPU(ctx context.Context) error {
	times, err := cpu.TimesWithContext(ctx, true)
	if err != nil {
		return err
	}
	if len(times) == 0 {
		return errNotOffered
	}
	for i, percent := range c.cpu.add(times) {
		if err := c.send(fmt.Sprintf("host.cpu.%d", i), map[string]any{"percent": percent}); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) sampleMemory(ctx context.Context) error {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return err
	}
	return c.send("host.mem", map[string]any{"total": m.Total, "used": m.Used, "available": m.Available})
}

func (c *collector) sampleLoad(ctx context.Context) error {
	l, err := load.AvgWithContext(ctx)
	if err != nil {
		return err
	}
	return c.send("host.load", map[string]any{"load1": l.Load1, "load5": l.Load5, "load15": l.Load15})
}

func (c *collector) sampleDisks(ctx context.Context) error {
	disks, err := disk.IOCountersWithContext(ctx)
	if err != nil {
		return err
	}
	if len(disks) == 0 {
		return errNotOffered
	}
	for _, name := range sortedKeys(disks) {
		d := disks[name]
		if err := c.sendCounters("host.disk."+token(name), d.ReadBytes, d.WriteBytes); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) sampleNetwork(ctx context.Context) error {
	interfaces, err := net.IOCountersWithContext(ctx, true)
	if err != nil {
		return err
	}
	if len(interfaces) == 0 {
		return errNotOffered
	}
	for _, i := range interfaces {
		if i.BytesRecv+i.BytesSent == 0 {
			continue // never used: not worth a line
		}
		if err := c.sendCounters("host.net."+token(i.Name), i.BytesRecv, i.BytesSent); err != nil {
			return err
		}
	}
	return nil
}

// sendCounters sends what came into the host from a device and what went out to
// it, in bytes since it started. The page derives the rates.
func (c *collector) sendCounters(subject string, in, out uint64) error {
	return c.send(subject, map[string]any{"in": in, "out": out})
}

func (c *collector) send(subject string, values map[string]any) error {
	payload, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return c.publish(subject, payload)
}

// cpuWindow turns the growing CPU times into percentages over the last second.
// The kernel counts in ticks of 10 ms: from one sample to the next, 100 ms
// later, only ten different percentages would be possible.
type cpuWindow struct {
	samples [][]cpu.TimesStat // oldest first
}

const cpuSamples = int(time.Second/collectEvery) + 1

// add returns one percentage per core, and none for the first sample, which
// has nothing to be compared with.
func (w *cpuWindow) add(now []cpu.TimesStat) []float64 {
	if n := len(w.samples); n > 0 && len(w.samples[0]) != len(now) {
		w.samples = nil // a core came or went
	}
	w.samples = append(w.samples, now)
	if len(w.samples) == 1 {
		return nil
	}
	if len(w.samples) > cpuSamples {
		w.samples = w.samples[1:]
	}
	percents := make([]float64, len(now))
	for i, t := range now {
		percents[i] = busyPercent(w.samples[0][i], t)
	}
	return percents
}

func busyPercent(from, to cpu.TimesStat) float64 {
	all, idle := cpuTotal(to)-cpuTotal(from), cpuIdle(to)-cpuIdle(from)
	if all <= 0 {
		return 0
	}
	return math.Round(min(1000, max(0, 1000*(all-idle)/all))) / 10
}

func cpuIdle(t cpu.TimesStat) float64 { return t.Idle + t.Iowait }

// cpuTotal leaves out guest time, which Linux counts as user time already.
func cpuTotal(t cpu.TimesStat) float64 {
	return t.User + t.System + t.Nice + t.Irq + t.Softirq + t.Steal + cpuIdle(t)
}
