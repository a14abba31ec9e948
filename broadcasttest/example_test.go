package broadcasttest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/broadcasttest"
)

func ExampleRecord() {
	hub := broadcast.New[string](16, broadcast.Block)
	recorder := broadcasttest.Record(hub.Subscribe())

	ctx := context.Background()
	for _, word := range []string{"one", "two", "three"} {
		_ = hub.Publish(ctx, word) // in a test: by the code that is tested
	}

	words, err := recorder.Wait(ctx, 3)
	fmt.Println(words, err)

	hub.Close()
	words, err = recorder.WaitEnd(ctx)
	fmt.Println(words, err)
	// Output:
	// [one two three] <nil>
	// [one two three] <nil>
}

// What a subscriber sees that cannot keep up: it has the first event in hand,
// and two more in its buffer, when others come.
func ExampleSlow() {
	hub := broadcast.New[int](2, broadcast.DropOldest)
	slow := broadcasttest.Slow(hub.Subscribe(), time.Hour)

	ctx := context.Background()
	_ = hub.Publish(ctx, 1)
	_, _ = slow.Wait(ctx, 1)
	for n := 2; n <= 6; n++ {
		_ = hub.Publish(ctx, n)
	}
	fmt.Println("dropped:", slow.Stats().Dropped)

	slow.SetPace(time.Millisecond)
	hub.Close()
	fmt.Println(slow.WaitEnd(ctx))
	// Output:
	// dropped: 3
	// [1 5 6] <nil>
}

// A subscriber that hangs is ejected, and later finds out.
func ExampleStuck() {
	hub := broadcast.New[int](2, broadcast.Eject)
	stuck := broadcasttest.Stuck(hub.Subscribe())

	ctx := context.Background()
	for n := range 5 {
		_ = hub.Publish(ctx, n)
	}
	fmt.Println(hub.Len(), "subscribers")

	stuck.Release()
	fmt.Println(stuck.WaitEnd(ctx))
	fmt.Println(stuck.Err())
	// Output:
	// 0 subscribers
	// [0 1] <nil>
	// broadcast: subscription ejected: its buffer was full
}

func ExampleCheckConservation() {
	var t testing.TB = printer{} // in a test: its own

	hub := broadcast.New[int](2, broadcast.DropNewest)
	recorder := broadcasttest.Record(hub.Subscribe(broadcast.WithBuffer(100)))
	stuck := broadcasttest.Stuck(hub.Subscribe())
	byHand := hub.Subscribe(broadcast.WithName("mail"))

	ctx := context.Background()
	for n := range 10 {
		_ = hub.Publish(ctx, n)
	}
	_, _ = recorder.Wait(ctx, 10)
	<-byHand.C()

	broadcasttest.CheckConservation(t, hub, recorder, stuck, broadcasttest.Counted(byHand, 1))

	// A consumer that has lost an event between the channel and its work.
	broadcasttest.CheckConservation(t, hub, recorder, stuck, broadcasttest.Counted(byHand, 0))

	hub.Close()
	stuck.Close()
	// Output:
	// conservation of subscription 3 "mail": Offered = 10, want 9 = 0 counted by the consumer + Len 1 + Dropped 8 + Filtered 0 + Coalesced 0
	// conservation of subscription 3 "mail": Received = 1, want 0, which the consumer counted
}

// printer is a testing.TB for an example, which has none.
type printer struct{ testing.TB }

func (printer) Helper() {}

func (printer) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
