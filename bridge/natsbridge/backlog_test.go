package natsbridge

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// Whatever comes and is taken in whatever order: what is taken rises, what is missing
// is counted exactly where it is missing, bounds hold, and the mark of another
// connection is on the first message of it that is kept.
func TestBacklog_Random(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { testBacklog(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func testBacklog(t *testing.T, rnd *rand.Rand) {
	maxMessages, maxBytes := 1+rnd.IntN(200), 1+rnd.IntN(2000)
	if rnd.IntN(4) == 0 {
		maxMessages = -1
	}
	if rnd.IntN(4) == 0 {
		maxBytes = -1
	}
	q := newBacklog(maxMessages, maxBytes)
	var (
		pushed, last int   // numbers from 1
		marks        []int // numbers from which on another connection begins
		c            *chunk
	)
	takeOne := func() bool {
		var lost int
		if c, lost = q.take(c); c == nil {
			last += lost
			return false
		}
		for _, p := range c.parcels[:c.n] {
			n := int(p.msg.Data[0]) | int(p.msg.Data[1])<<8
			require.Equal(t, n-last-1, p.lost, "before number %d", n)
			last = n
			another := false
			for len(marks) > 0 && marks[0] <= n {
				marks, another = marks[1:], true
			}
			require.Equal(t, another, p.another, "number %d", n)
		}
		return true
	}
	for range 2000 {
		if rnd.IntN(40) == 0 {
			for n := rnd.IntN(10); n > 0 && takeOne(); n-- {
			}
			continue
		}
		dropped := 0
		if rnd.IntN(50) == 0 {
			dropped = rnd.IntN(3)
		}
		pushed += dropped + 1
		another := rnd.IntN(50) == 0
		if another {
			marks = append(marks, pushed)
		}
		m := &nats.Msg{Data: make([]byte, 2+rnd.IntN(40))}
		m.Data[0], m.Data[1] = byte(pushed), byte(pushed>>8)
		q.push(m, dropped, another)
		require.True(t, maxMessages < 0 || q.messages <= maxMessages)
		require.True(t, maxBytes < 0 || q.bytes <= maxBytes)
	}
	for takeOne() {
	}
	require.Equal(t, pushed, last)
	require.Zero(t, q.messages)
	require.Zero(t, q.bytes)
	n, _ := q.stats()
	require.Zero(t, n)
}

// Whoever waits for ready does not wait for nothing, and a steady flow allocates
// nothing.
func TestBacklog_Ready(t *testing.T) {
	q := newBacklog(2, -1)
	m := &nats.Msg{Data: []byte("x")}
	var c *chunk
	for range 3 {
		q.push(m, 0, false)
		<-q.ready
		c, _ = q.take(c)
		require.Equal(t, 1, c.n)
		c, _ = q.take(c)
		require.Nil(t, c)
	}
	for range 4 { // two are lost
		q.push(m, 0, false)
	}
	<-q.ready
	c, _ = q.take(c)
	require.Equal(t, 2, c.n)
	c, lost := q.take(c)
	require.Nil(t, c)
	require.Equal(t, 2, lost)
	_, warnings := q.stats()
	require.Equal(t, uint64(1), warnings)

	allocs := testing.AllocsPerRun(1000, func() {
		q.push(m, 0, false)
		<-q.ready
		c, _ = q.take(c)
		c, _ = q.take(c)
	})
	require.Zero(t, allocs)
}
