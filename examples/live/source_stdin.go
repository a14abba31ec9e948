package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
)

// maxLine is the longest line that is read as an event; of a longer one the
// rest is skipped, and it counts as malformed.
const maxLine = 64 << 10

// startStdin makes events of the lines of r. Two goroutines share the work,
// because a read from a terminal cannot be interrupted: the one that handles
// lines is waited for, the one that reads may stay in Read until r is closed or
// the process ends.
func startStdin(r io.Reader, in *intake, con *console) source {
	ctx, cancel := context.WithCancel(context.Background())
	lines := make(chan string)
	ended := make(chan struct{})
	var handler sync.WaitGroup
	go func() {
		defer close(lines)
		if err := readLines(ctx, r, lines); err != nil {
			con.note("Standard input: %v.", err)
		}
	}()
	handler.Go(func() {
		handleLines(ctx, lines, in)
		if ctx.Err() == nil {
			con.print("Standard input has ended; the page stays until Ctrl-C.")
			close(ended)
		}
	})
	stop := func(context.Context) error {
		cancel()
		handler.Wait()
		return nil
	}
	return source{what: "lines", over: "standard input", ended: ended, stop: stop}
}

// readLines sends the lines of r until it ends or ctx does.
func readLines(ctx context.Context, r io.Reader, lines chan<- string) error {
	br := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := readLine(br)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		select {
		case lines <- line:
		case <-ctx.Done():
			return nil
		}
	}
}

// readLine returns the next line. One that is too long is cut, and marked so
// that its start is not taken for an event.
func readLine(br *bufio.Reader) (string, error) {
	start, more, err := br.ReadLine()
	line := string(start)
	if more {
		line += " ..."
	}
	for more && err == nil {
		_, more, err = br.ReadLine()
	}
	if line != "" {
		err = nil // the next call will meet the error again
	}
	return line, err
}

func handleLines(ctx context.Context, lines <-chan string, in *intake) {
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return
			}
			in.line(line)
		case <-ctx.Done():
			return
		}
	}
}
