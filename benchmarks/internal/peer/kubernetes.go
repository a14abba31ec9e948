package peer

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// kubernetes dispatches in one goroutine. WaitIfChannelFull loses nothing;
// DropIfChannelFull would drop for all watchers alike.
var kubernetes = Peer{
	Name:   "kubernetes",
	Title:  "Kubernetes watch.Broadcaster",
	Module: "k8s.io/apimachinery",
	How:    "WaitIfChannelFull; events are objects with an Event inside; Shutdown is its Close",
	Ahead:  "Publish only hands the event to one goroutine that fans out later: see dustin",
	Bounds: true,
	New:    func(c Config) Bus { return watchers{watch.NewBroadcaster(c.Buffer, watch.WaitIfChannelFull)} },
}

type watchers struct{ b *watch.Broadcaster }

type object struct{ event Event }

func (o *object) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }
func (o *object) DeepCopyObject() runtime.Object   { return &object{o.event} }

func (w watchers) Subscribe(take func(Event)) func() {
	watcher, err := w.b.Watch()
	if err != nil {
		panic(err)
	}
	each(watcher.ResultChan(), func(e watch.Event) { take(e.Object.(*object).event) })
	return watcher.Stop
}

func (w watchers) Publish(e Event) error { return w.b.Action(watch.Added, &object{e}) }

func (w watchers) Close() error {
	w.b.Shutdown()
	return nil
}
