package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConsole_OnATerminalRewritesTheStatusLine(t *testing.T) {
	var screen bytes.Buffer
	c := &console{out: &screen, err: &screen, terminal: true}
	c.status("one")
	c.status("two")
	c.note("careful: %d", 3)
	c.status("")
	one, two := wrapOff+"one"+wrapOn, wrapOff+"two"+wrapOn
	require.Equal(t, clearLine+one+clearLine+two+clearLine+"careful: 3\n"+clearLine+two+clearLine, screen.String())
}

func TestConsole_ElsewhereWritesLines(t *testing.T) {
	var out, err bytes.Buffer
	c := newConsole(&out, &err)
	c.status("one")
	c.status("two")
	c.note("careful")
	c.status("")
	require.Equal(t, "one\ntwo\n", out.String())
	require.Equal(t, "careful\n", err.String())
}
