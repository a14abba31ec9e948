package peer

import "github.com/dustin/go-broadcast"

// dustin dispatches in one goroutine, which waits for whoever is full; the buffer given
// to it is that of its input, those of the outputs are the subscribers' own. It never
// closes a channel, so whoever unregisters ends its own goroutine.
var dustin = Peer{
	Name:   "dustin",
	Title:  "dustin/go-broadcast",
	Module: "github.com/dustin/go-broadcast",
	How:    "Register of a channel with the buffer, Submit; the input is buffered alike",
	Ahead: "Publish only hands the event to one goroutine that fans out later: it occupies its caller for one wake-up, " +
		"nothing is delivered yet, and the caller hears of nothing. \"Until the last subscriber has it\" has the whole " +
		"time",
	Bounds: true,
	New:    func(c Config) Bus { return &dustinBus{broadcast.NewBroadcaster(c.Buffer), c.Buffer} },
}

type dustinBus struct {
	broadcast.Broadcaster
	buffer int
}

func (d *dustinBus) Subscribe(take func(Event)) func() {
	ch := make(chan any, d.buffer)
	d.Register(ch)
	each(ch, func(e any) { take(e.(Event)) })
	return func() {
		d.Unregister(ch)
		close(ch)
	}
}

func (d *dustinBus) Publish(e Event) error {
	d.Submit(e)
	return nil
}
