package main

import (
	"context"
	"errors"
	"time"
)

// stock has nothing to complain of.
func stock(context.Context, order) error { return nil }

// mail fails for every fifth order. The order is skipped and the next one tried.
func mail(_ context.Context, o order) error {
	if o.No%5 == 0 {
		return errors.New("no such address")
	}
	return nil
}

// price has a bug.
func price(_ context.Context, o order) error {
	prices := [13]int{}
	prices[o.No%17]++ // panics at orders 13 to 16
	return nil
}

// archive is slow. It gives up at once when ctx ends, as a handler should.
func archive(ctx context.Context, _ order) error {
	select {
	case <-time.After(50 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
