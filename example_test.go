package broadcast_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gobroadcast/broadcast"
)

func Example() {
	hub := broadcast.New[string](16, broadcast.Block)
	sub := hub.Subscribe()

	ctx := context.Background()
	for _, word := range []string{"one", "two", "three"} {
		if err := hub.Publish(ctx, word); err != nil {
			fmt.Println(err)
		}
	}
	hub.Close() // what is buffered stays readable

	for word := range sub.C() {
		fmt.Println(word)
	}
	fmt.Println(sub.Err())
	// Output:
	// one
	// two
	// three
	// broadcast: closed
}

// A filter keeps events away before they take room.
func ExampleWithFilter() {
	hub := broadcast.New[int](16, broadcast.Block)
	even := hub.Subscribe(broadcast.WithFilter(func(n int) bool { return n%2 == 0 }))
	for n := range 6 {
		_ = hub.Publish(context.Background(), n)
	}
	hub.Close()
	for n := range even.C() {
		fmt.Println(n)
	}
	fmt.Println("filtered:", even.Stats().Filtered)
	// Output:
	// 0
	// 2
	// 4
	// filtered: 3
}

// Each subscription may have a policy of its own: the screen wants what is
// newest, the sample what came first, and the audit must not miss any.
func ExampleWithPolicy() {
	hub := broadcast.New[int](2, broadcast.DropOldest)
	screen := hub.Subscribe()
	sample := hub.Subscribe(broadcast.WithPolicy(broadcast.DropNewest))
	audit := hub.Subscribe(broadcast.WithPolicy(broadcast.Block), broadcast.WithBuffer(100))
	for n := range 5 {
		_ = hub.Publish(context.Background(), n)
	}
	hub.Close()
	for _, sub := range []*broadcast.Subscription[int]{screen, sample, audit} {
		for n := range sub.C() {
			fmt.Print(n, " ")
		}
		fmt.Println("dropped:", sub.Stats().Dropped)
	}
	// Output:
	// 3 4 dropped: 3
	// 0 1 dropped: 3
	// 0 1 2 3 4 dropped: 0
}

// Wait for a slow subscriber, but not for ever.
func ExampleBlockFor() {
	hub := broadcast.New[int](1, broadcast.BlockFor(10*time.Millisecond, broadcast.Eject))
	slow := hub.Subscribe(broadcast.WithName("slow"))
	for n := range 3 {
		_ = hub.Publish(context.Background(), n)
	}
	for n := range slow.C() {
		fmt.Println(n)
	}
	fmt.Println(slow.Err())
	fmt.Println("live:", hub.Len())
	// Output:
	// 0
	// broadcast: subscription ejected: its buffer was full
	// live: 0
}

// A policy of one's own has patience with a few overflows in a row.
func ExamplePolicyFunc() {
	patience := broadcast.PolicyFunc(func(o broadcast.Overflow) broadcast.Action {
		if o.Consecutive < 2 {
			return broadcast.DropOldest
		}
		return broadcast.Eject
	})
	hub := broadcast.New[int](1, patience)
	sub := hub.Subscribe()
	for n := range 5 {
		_ = hub.Publish(context.Background(), n)
		fmt.Println(n, sub.Err())
	}
	// Output:
	// 0 <nil>
	// 1 <nil>
	// 2 <nil>
	// 3 broadcast: subscription ejected: its buffer was full
	// 4 broadcast: subscription ejected: its buffer was full
}

func ExampleHub_CloseWithError() {
	errUpstream := errors.New("upstream is gone")
	hub := broadcast.New[int](1, broadcast.Block)
	sub := hub.Subscribe()
	hub.CloseWithError(errUpstream)

	_, open := <-sub.C()
	fmt.Println(open, sub.Err())
	err := hub.Publish(context.Background(), 1)
	fmt.Println(errors.Is(err, broadcast.ErrClosed), errors.Is(err, errUpstream))
	// Output:
	// false broadcast: closed: upstream is gone
	// true true
}

// Shutdown gives the consumers time to finish what they hold.
func ExampleHub_Shutdown() {
	hub := broadcast.New[string](8, broadcast.Block)
	sub := hub.Subscribe()
	_ = hub.Publish(context.Background(), "last words")

	handled := make(chan struct{})
	go func() {
		defer close(handled)
		for event := range sub.C() {
			fmt.Println("handled:", event)
		}
	}()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := hub.Shutdown(ctx)
	<-handled
	fmt.Println("shutdown:", err)
	// Output:
	// handled: last words
	// shutdown: <nil>
}

// A batch takes the turn once, and tells how much of it was published.
func ExampleHub_PublishBatch() {
	hub := broadcast.New[int](2, broadcast.Block)
	hub.Subscribe()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	n, err := hub.PublishBatch(ctx, []int{1, 2, 3, 4})
	fmt.Println(n, errors.Is(err, broadcast.ErrPartial), errors.Is(err, context.DeadlineExceeded))
	// Output: 3 true true
}
