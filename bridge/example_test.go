package bridge_test

import (
	"context"
	"fmt"

	"github.com/gobroadcast/broadcast/bridge"
	"github.com/gobroadcast/broadcast/bridge/bridgetest"
)

// Two subscribers of a topic share one network subscription.
func Example() {
	ctx := context.Background()
	system := bridgetest.NewMemory(bridge.Capabilities{})
	b, err := bridge.New(system, func(m *bridge.Message) (string, error) { return string(m.Data), nil })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()

	first, err := b.Subscribe(ctx, "greetings")
	if err != nil {
		fmt.Println(err)
		return
	}
	second, err := b.Subscribe(ctx, "greetings")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = system.Publish(ctx, "greetings", []byte("hello"))
	fmt.Println((<-first.C()).Value, (<-second.C()).Value)
	fmt.Println("network subscriptions:", system.Subscriptions("greetings"))
	// Output:
	// hello hello
	// network subscriptions: 1
}

// What was lost while the connection was down is told in the stream.
func ExampleGap() {
	ctx := context.Background()
	system := bridgetest.NewMemory(bridge.Capabilities{ExactGaps: true})
	b, err := bridge.New(system, func(m *bridge.Message) (string, error) { return string(m.Data), nil })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	sub, err := b.Subscribe(ctx, "prices")
	if err != nil {
		fmt.Println(err)
		return
	}
	system.Refuse(bridgetest.ErrDown)
	for range 3 {
		_ = system.Publish(ctx, "prices", []byte("lost"))
	}
	system.Refuse(nil)
	lost := uint64(0)
	for e := range sub.C() {
		if e.Gap == nil {
			fmt.Println(e.Value)
			break
		}
		lost += e.Gap.Count
		if lost == 3 {
			fmt.Println("3 are missing:", e.Gap.Reason)
		}
		if lost >= 3 { // again for each that came before the connection was back
			_ = system.Publish(ctx, "prices", []byte("42"))
		}
	}
	// Output:
	// 3 are missing: disconnected
	// 42
}
