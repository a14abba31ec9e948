package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/stretchr/testify/require"
)

func TestCollector_PublishesThisHost(t *testing.T) {
	var subjects []string
	publish := func(subject string, payload []byte) error {
		_, err := decodePayload(payload)
		require.NoError(t, err, "%s", payload)
		subjects = append(subjects, subject)
		return nil
	}
	c := newCollector(publish, t.Logf)
	c.sampleAll(t.Context())
	require.NotContains(t, subjects, "host.cpu.0", "the first sample of the CPU has nothing to be compared with")
	require.Contains(t, subjects, "host.mem")
	c.sampleAll(t.Context())
	require.Contains(t, subjects, "host.cpu.0")
}

func TestCollector_LeavesOutWhatFails(t *testing.T) {
	var notes []string
	c := newCollector(nil, func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) })
	calls, ok := 0, 0
	c.metrics = []*metric{
		{name: "load", sample: func(context.Context) error { calls++; return errors.New("no such file") }},
		{name: "memory", sample: func(context.Context) error { ok++; return nil }},
	}
	for range 10 {
		c.sampleAll(t.Context())
	}
	require.Equal(t, maxFailed, calls)
	require.Equal(t, 10, ok)
	require.Equal(t, []string{"The load of this host is left out: no such file."}, notes)
}

func TestCollector_ForgivesSomeFailures(t *testing.T) {
	c := newCollector(nil, t.Errorf)
	calls := 0
	c.metrics = []*metric{{name: "disk", sample: func(context.Context) error {
		if calls++; calls%maxFailed == 0 {
			return nil
		}
		return errors.New("too many open files")
	}}}
	for range 10 * maxFailed {
		c.sampleAll(t.Context())
	}
	require.Equal(t, 10*maxFailed, calls)
}

func TestCollector_EndsQuietly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := newCollector(nil, t.Errorf)
	c.metrics = []*metric{{name: "CPU", failed: maxFailed - 1, sample: func(ctx context.Context) error {
		cancel() // Ctrl-C in the middle of a sample: no reason for a note
		return ctx.Err()
	}}}
	c.run(ctx)
}

func TestCPUWindow(t *testing.T) {
	at := func(user, idle float64) []cpu.TimesStat { return []cpu.TimesStat{{User: user, Idle: idle}} }
	var w cpuWindow
	require.Empty(t, w.add(at(0, 0)))
	require.Equal(t, []float64{25}, w.add(at(1, 3)))
	require.Equal(t, []float64{50}, w.add(at(4, 4)), "over all of the window")
	for i := range cpuSamples {
		w.add(at(4, 5+float64(i)))
	}
	require.Len(t, w.samples, cpuSamples)
	require.Equal(t, []float64{0}, w.add(at(4, 99)), "the busy time has left the window")
	require.Equal(t, []float64{0}, w.add(at(4, 99)), "no time has passed")
	require.Empty(t, w.add(append(at(1, 1), at(1, 1)...)), "a core came: begin anew")
}
