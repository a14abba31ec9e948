package main

import (
	"fmt"
	"io"
	"os"
	"sync"
)

// console writes to the terminal. On one, the status line rewrites itself and
// other lines appear above it; into a file or pipe every line is a line.
type console struct {
	mu       sync.Mutex // guards all below, and the order of what is written
	out, err io.Writer
	terminal bool
	shown    string // the status line that stands on the terminal now
}

// The status line must not wrap: a wrapped line cannot be rewritten.
const (
	clearLine = "\r\x1b[K"
	wrapOff   = "\x1b[?7l"
	wrapOn    = "\x1b[?7h"
)

func newConsole(out, err io.Writer) *console {
	return &console{out: out, err: err, terminal: isTerminal(out)}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// status replaces the status line; an empty one removes it.
func (c *console) status(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.terminal:
		c.shown = line
		c.drawLocked()
	case line != "":
		fmt.Fprintln(c.out, line)
	}
}

// print writes lines that stay to standard output.
func (c *console) print(format string, args ...any) { c.write(c.out, format, args) }

// note writes a line about something unusual to standard error.
func (c *console) note(format string, args ...any) { c.write(c.err, format, args) }

func (c *console) write(w io.Writer, format string, args []any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.terminal {
		fmt.Fprint(c.out, clearLine)
	}
	fmt.Fprintf(w, format+"\n", args...)
	if c.terminal {
		c.drawLocked()
	}
}

func (c *console) drawLocked() {
	fmt.Fprint(c.out, clearLine)
	if c.shown != "" {
		fmt.Fprint(c.out, wrapOff, c.shown, wrapOn)
	}
}
