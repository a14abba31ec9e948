package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	l, err := parse(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, load{10_000, 64, 256, 1000}, l)
	l, err = parse([]string{"-subscribers", "5", "-buffer=6", "-event", "7", "-rate", "8"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, load{5, 6, 7, 8}, l)
}

func TestParse_Wrong(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"-subscribers", "0"}, "-subscribers is 0: pass a number from 1 to 100000000"},
		{[]string{"-subscribers", "100000001"}, "-subscribers is 100000001: pass a number from 1 to 100000000"},
		{[]string{"-buffer", "-1"}, "-buffer is -1: pass a number from 1 to 16777216"},
		{[]string{"-event", "0"}, "-event is 0: pass a number from 1 to 1073741824"},
		{[]string{"-rate", "-3"}, "-rate is -3: pass a number from 1 to 1000000000"},
		{[]string{"-rate", "x"}, `invalid value "x" for flag -rate: parse error; -help lists all flags`},
		{[]string{"-speed", "1"}, "flag provided but not defined: -speed; -help lists all flags"},
		{[]string{"10000"}, `"10000" is not a flag; -help lists all flags`},
	} {
		var stderr bytes.Buffer
		_, err := parse(c.args, &stderr)
		require.EqualError(t, err, c.says)
		require.Empty(t, stderr.String(), "it is told once, by main")
	}
}

func TestParse_Help(t *testing.T) {
	var stderr bytes.Buffer
	_, err := parse([]string{"-help"}, &stderr)
	require.ErrorIs(t, err, flag.ErrHelp)
	for _, want := range []string{"go run ./examples/capacity -subscribers 10000", "-buffer how many", "-event bytes", "-rate how many"} {
		require.Contains(t, stderr.String(), want)
	}
}

// A run from end to end, with rounds too short to mean anything.
func TestMeasureAll(t *testing.T) {
	var told []string
	m, err := measureAll(t.Context(), load{3, 4, 20, 10}, time.Millisecond, func(s string) { told = append(told, s) })
	require.NoError(t, err)
	require.Equal(t, 3, m.n)
	require.Equal(t, 32, m.size, "the next one")
	require.Positive(t, m.goroutine)
	for k := range kinds {
		require.Positive(t, m.costs[k].publish)
		require.Positive(t, m.costs[k].rate)
		require.Positive(t, m.costs[k].each)
	}
	require.Len(t, told, 10)
	require.Equal(t, "measuring 1 of 10: idle goroutines, 3 subscribers", told[0])
	require.Equal(t, "measuring 10 of 10: readers with ReadBatch, highest rate, 3 subscribers", told[9])
	require.NoError(t, m.print(io.Discard))
}

// Whenever it is interrupted, it ends with that error and leaves nothing running.
func TestMeasureAll_Canceled(t *testing.T) {
	because := errors.New("enough")
	for at := 1; at <= 10; at++ {
		ctx, cancel := context.WithCancelCause(t.Context())
		step := 0
		_, err := measureAll(ctx, load{2, 4, 8, 10}, time.Millisecond, func(string) {
			if step++; step == at {
				cancel(because)
			}
		})
		require.ErrorIs(t, err, because)
	}
}

// What is too much to be measured is scaled.
func TestMeasureAll_Scaled(t *testing.T) {
	m, err := measureAll(t.Context(), load{64, 1 << 14, largest, 10}, time.Millisecond, func(string) {})
	require.NoError(t, err)
	require.Equal(t, 1, m.n)
	var out bytes.Buffer
	require.NoError(t, m.print(&out))
	require.Contains(t, out.String(), "Measured with 1 subscribers; the rates, and what a publish to channels takes, are scaled.")
}

func TestMemory(t *testing.T) {
	l := load{subscribers: 10_000, buffer: 64, event: 256}
	each, shared := l.memory(channels)
	require.Equal(t, 64*256+96+124.0, each)
	require.Zero(t, shared)
	each, shared = l.memory(next)
	require.Equal(t, 384.0, each)
	require.Equal(t, 128*256.0, shared, "two chunks")
	each, _ = l.memory(batch)
	require.Equal(t, 384+16*256.0, each)
	require.Equal(t, 10_000*384+128*256.0, l.total(next))
	l.event = largest + 1
	each, _ = l.memory(channels)
	require.Equal(t, 64*8+96+124.0, each, "pointers")
}

func TestWire(t *testing.T) {
	l := load{event: 256, rate: 1000}
	least, most := l.wire(10)
	require.InDelta(t, 10_000*286*(1+66/1448.0), least, 0.1)
	require.Equal(t, 10_000*(286+66.0), most)
	l.event = 2000
	_, most = l.wire(1)
	require.Equal(t, 1000*(2030+2*66.0), most, "two packets")
}

func TestChoose(t *testing.T) {
	small, big := load{100, 64, 64, 1000}, load{100_000, 64, 256, 1000}
	for _, c := range []struct {
		name  string
		load  load
		rates [kinds]float64
		want  choice
	}{
		{"channels do it", small, [kinds]float64{2000, 9000, 9000}, choice{channels, true, 1}},
		{"channels have less than half to spare", small, [kinds]float64{1999, 2000, 9000}, choice{next, true, 1}},
		{"channels do it, but the buffers are large", big, [kinds]float64{9000, 9000, 9000}, choice{next, true, 1}},
		{"only channels do it, and the buffers are large", big, [kinds]float64{9000, 900, 900}, choice{channels, true, 1}},
		{"only batches", small, [kinds]float64{100, 1000, 2000}, choice{batch, true, 1}},
		{"nothing", small, [kinds]float64{100, 500, 600}, choice{batch, false, 4}},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, c.load.choose(c.rates)) })
	}
}

func TestPrint(t *testing.T) {
	m := measured{
		load: load{10_000, 64, 200, 1000}, n: 10_000, held: 10_000, size: 256, cores: 2, goroutine: 2600,
		costs: [kinds]cost{
			{3140 * time.Microsecond, 614.2, 20_480},
			{13_050 * time.Nanosecond, 2936, 4500},
			{970 * time.Nanosecond, 12_345, 8500},
		},
	}
	var out bytes.Buffer
	require.NoError(t, m.print(&out))
	require.Equal(t, `10,000 subscribers, 64 events behind at most, 200 B an event, 1,000 events a second; 2 core(s)

                        a publish takes  highest rate  of which you ask for
channel subscriptions   3.14ms           614/s         163 %
readers with Next       13.05µs          2,940/s       34.1 %
readers with ReadBatch  970ns            12,300/s      8.1 %

Measured with events of 256 B, the next size that this program has.

memory                  formula                all      goroutines  measured, each
channel subscriptions   13 KiB each            124 MiB  + 25 MiB    20 KiB with its goroutine (formula 19 KiB)
readers with Next       384 B each + 25 KiB    3.7 MiB  + 25 MiB    4.4 KiB with its goroutine (formula 2.9 KiB)
readers with ReadBatch  3.5 KiB each + 25 KiB  34 MiB   + 25 MiB    8.3 KiB with its goroutine (formula 6.9 KiB)

A broker with a connection for each subscriber sends 19 Gbit/s to 24 Gbit/s;
with one for this process, and a hub behind it, 1.9 Mbit/s to 2.4 Mbit/s.

Choose: readers with Next. Channel subscriptions would leave less than half of the time for all else.
`, out.String())
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		load  load
		rates [kinds]float64
		says  string
	}{
		{load{100, 64, 64, 1000}, [kinds]float64{9000, 9000, 9000}, "Choose: channel subscriptions."},
		{load{100_000, 64, 256, 1000}, [kinds]float64{9000, 9000, 9000}, "their buffers take 1.5 GiB."},
		{load{100, 64, 64, 1000}, [kinds]float64{1, 1, 9000}, "Choose: readers with ReadBatch."},
		{load{100, 64, 64, 1000}, [kinds]float64{1, 600, 1}, "split them among 4 machines like this one, with readers with Next."},
	} {
		m := measured{load: c.load, n: 1, held: 1, size: c.load.event}
		for k, rate := range c.rates {
			m.costs[k].rate = rate
		}
		var out bytes.Buffer
		require.NoError(t, m.print(&out))
		require.Contains(t, out.String(), c.says)
	}
}

func TestUnits(t *testing.T) {
	for x, want := range map[float64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 20 << 20: "20 MiB", 3 << 40: "3 TiB"} {
		require.Equal(t, want, size(x))
	}
	for x, want := range map[float64]string{1: "8 bit/s", 1000: "8 kbit/s", 1.25e9: "10 Gbit/s", 1e13: "80 Tbit/s"} {
		require.Equal(t, want, bits(x))
	}
	for x, want := range map[float64]string{0.5: "0.5", 61.42: "61.4", 999: "999", 1000: "1,000", 12_345: "12,300", 1_234_567: "1,230,000"} {
		require.Equal(t, want, figure(x))
	}
}
