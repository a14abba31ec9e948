package peer

import "github.com/docker/go-events"

// docker has a Broadcaster write to sinks, and says to put a Queue before each, which is
// unbounded and has the goroutine in which the sink takes its events.
var docker = Peer{
	Name:   "docker",
	Title:  "docker/go-events",
	Module: "github.com/docker/go-events",
	How:    "a Broadcaster, and a Queue before each sink; unbounded; Remove and Close of the queue unsubscribe",
	Ahead:  "Publish only hands the event to one goroutine, which hands it to one more for each subscriber, with queues that have no bound",
	New:    func(Config) Bus { return sinks{events.NewBroadcaster()} },
}

type sinks struct{ *events.Broadcaster }

type sink struct{ take func(Event) }

func (s *sink) Write(e events.Event) error {
	s.take(e.(Event))
	return nil
}

func (s *sink) Close() error { return nil }

func (s sinks) Subscribe(take func(Event)) func() {
	queue := events.NewQueue(&sink{take})
	if err := s.Add(queue); err != nil {
		panic(err)
	}
	return func() {
		_ = s.Remove(queue)
		_ = queue.Close()
	}
}

func (s sinks) Publish(e Event) error { return s.Write(e) }
