package main

import (
	"context"
	"sync"
	"time"

	"github.com/gobroadcast/broadcast"
)

// deposit is an event. By its number a subscriber tells what a snapshot has.
type deposit struct{ No, Amount int }

// balance is the account after deposit No.
type balance struct{ No, Total int }

func (b balance) with(d deposit) balance { return balance{No: d.No, Total: b.Total + d.Amount} }

// account is the source of truth. The hub tells of its changes, and forgets.
type account struct {
	hub *broadcast.Hub[deposit]

	mu  sync.Mutex // guards now
	now balance
}

// add is called by one goroutine: that of several must publish in the order in
// which they change the balance.
func (a *account) add(no int) {
	d := deposit{No: no, Amount: no}
	a.mu.Lock()
	a.now = a.now.with(d)
	a.mu.Unlock()
	// After the change, so that a snapshot is never behind an event. Under Eject
	// this waits for nobody, and the hub is open: there is nothing to fail.
	_ = a.hub.Publish(context.Background(), d)
}

func (a *account) snapshot() balance {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

// pause stands for whatever takes d.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
