package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestDecodePayload(t *testing.T) {
	for _, c := range []struct {
		payload string
		want    map[string]float64
		err     error
	}{
		{`{"a":1,"b":-2.5e3}`, map[string]float64{"a": 1, "b": -2500}, nil},
		{`{"a":{"b":[1,{"c":2}]},"s":"x","t":true,"n":null}`, map[string]float64{"a.b.0": 1, "a.b.1.c": 2}, nil},
		{`17`, map[string]float64{"value": 17}, nil},
		{`[1,2]`, map[string]float64{"0": 1, "1": 2}, nil},
		{`"text"`, map[string]float64{}, nil},
		{` {} `, map[string]float64{}, nil},
		{``, nil, errNotJSON},
		{`{"a":1`, nil, errNotJSON},
		{`{"a":1}{"a":2}`, nil, errNotJSON},
		{`NaN`, nil, errNotJSON},
		{`1e999`, nil, errNotJSON},
		{"\xff\xfe", nil, errNotJSON},
		{strings.Repeat("[", 100_000), nil, errNotJSON},
	} {
		f, err := decodePayload([]byte(c.payload))
		require.Equal(t, c.err, err, "payload %.40q", c.payload)
		require.Equal(t, c.want, f.values, "payload %.40q", c.payload)
	}
}

func TestDecodePayload_Bounds(t *testing.T) {
	f, err := decodePayload([]byte("[" + strings.Repeat("1,", 99) + "1]"))
	require.NoError(t, err)
	require.Len(t, f.values, maxFields)
	require.Equal(t, 100-maxFields, f.more)

	long := strings.Repeat("ä", 100)
	f, err = decodePayload([]byte(`{"` + long + `":{"` + long + `":1}}`))
	require.NoError(t, err)
	require.Len(t, f.values, 1)
	for name := range f.values {
		require.LessOrEqual(t, len(name), maxName)
		require.True(t, utf8.ValidString(name))
	}
}

func TestDecodeLine(t *testing.T) {
	for _, c := range []struct {
		line, subject string
		want          map[string]float64
		err           error
	}{
		{`{"a":1}`, "stdin", map[string]float64{"a": 1}, nil},
		{` 3.5 `, "stdin", map[string]float64{"value": 3.5}, nil},
		{"temp\t-4\r", "stdin.temp", map[string]float64{"value": -4}, nil},
		{`{"a":"b"}`, "stdin", map[string]float64{}, errNoNumbers},
		{`{"a"`, "stdin", nil, errNotJSON},
		{``, "", nil, errLine},
		{`temp`, "", nil, errLine},
		{`temp 1 2`, "", nil, errLine},
		{`temp NaN`, "", nil, errLine},
		{`Inf`, "", nil, errLine},
		{`1e999`, "", nil, errLine},
		{`[1]`, "", nil, errLine},
	} {
		subject, f, err := decodeLine(c.line)
		require.Equal(t, c.err, err, "line %q", c.line)
		require.Equal(t, c.subject, subject, "line %q", c.line)
		require.Equal(t, c.want, f.values, "line %q", c.line)
	}
}

func TestEncode_HoldsNoLineBreak(t *testing.T) {
	// One would end the "data:" line of an SSE message.
	e, err := encode("a\nb\r", fields{map[string]float64{"x\n": 1}, 2}, time.UnixMilli(5))
	require.NoError(t, err)
	require.NotContains(t, string(e.json), "\n")
	require.Equal(t, wireEvent{"a\nb\r", 5, map[string]float64{"x\n": 1}, 2}, decodeAs[wireEvent](t, string(e.json)))
}

func TestHead(t *testing.T) {
	require.Equal(t, "abc", head("abc"))
	require.Len(t, head(strings.Repeat("x", 1000)), 60)
	require.True(t, utf8.ValidString(head(strings.Repeat("ä", 29)+"xä\xff")))
}

func TestToken(t *testing.T) {
	for name, want := range map[string]string{
		"eth0":       "eth0",
		"nvme0n1":    "nvme0n1",
		"wlan_0-a":   "wlan_0-a",
		"eth0.100":   "eth0%2E100",
		"Ethernet 2": "Ethernet%202",
		"*":          "%2A",
		">":          "%3E",
		"a%b":        "a%25b",
		"ü":          "%C3%BC",
		"\n\x00":     "%0A%00",
		"":           "_",
	} {
		require.Equal(t, want, token(name), "name %q", name)
	}
}
