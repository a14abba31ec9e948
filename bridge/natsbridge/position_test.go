package natsbridge

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		pattern, subject string
		covers, meets    bool
	}{
		{"a", "a", true, true},
		{"a", "b", false, false},
		{"a", "a.b", false, false},
		{"a.b", "a", false, false},
		{">", "a.b", true, true},
		{">", ">", true, true},
		{"a.>", "a", false, false},
		{"a.>", "a.b", true, true},
		{"a.>", "a.*", true, true},
		{"a.>", "a.>", true, true},
		{"a.>", ">", false, true},
		{"a.*", "a.>", false, true},
		{"a.*", "a.b", true, true},
		{"a.*", "a.*", true, true},
		{"a.b", "a.*", false, true},
		{"a.b", "*.c", false, false},
		{"*.b", "a.*", false, true},
		{"a.*.c", "a.b.c", true, true},
		{"a.*.c", "a.b", false, false},
		{"*", ">", false, true},
		{"*.*", "*.>", false, true},
	} {
		require.Equal(t, c.covers, covers(c.pattern, c.subject), "%q covers %q", c.pattern, c.subject)
		require.Equal(t, c.meets, meets(c.pattern, c.subject), "%q meets %q", c.pattern, c.subject)
		require.Equal(t, c.meets, meets(c.subject, c.pattern), "%q meets %q", c.subject, c.pattern)
	}
}

func TestPosition(t *testing.T) {
	for _, name := range []string{"S", "a@b:c", "ü"} {
		born := time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
		p := at(origin(name, born), 1<<63)
		got, err := parsePosition(p)
		require.NoError(t, err)
		require.Equal(t, place{name, born.UnixNano(), 1 << 63}, got)
	}
}

func TestNumbers(t *testing.T) {
	var n numbers
	for i := range uint64(3 * mostNumbers) {
		n.add(i)
		require.True(t, n.has(i))
		if i >= mostNumbers/2 {
			require.True(t, n.has(i-mostNumbers/2+1))
		}
		require.LessOrEqual(t, len(n.young)+len(n.old), mostNumbers)
	}
	require.False(t, n.has(0))
}
