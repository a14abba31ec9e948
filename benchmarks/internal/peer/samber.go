package peer

import "github.com/samber/ro"

// samber calls its observers in Next. ObserveOn gives each a goroutine and a buffer.
var samber = Peer{
	Name:   "ro",
	Title:  "samber/ro",
	Module: "github.com/samber/ro",
	How:    "a publish subject, ObserveOn(buffer) for each observer; Complete is its Close",
	Bounds: true,
	New:    func(c Config) Bus { return &subject{ro.NewPublishSubject[Event](), c.Buffer} },
}

type subject struct {
	ro.Subject[Event]
	buffer int
}

func (s *subject) Subscribe(take func(Event)) func() {
	return ro.ObserveOn[Event](s.buffer)(s.AsObservable()).Subscribe(ro.OnNext(take)).Unsubscribe
}

func (s *subject) Publish(e Event) error {
	s.Next(e)
	return nil
}

func (s *subject) Close() error {
	s.Complete()
	return nil
}
