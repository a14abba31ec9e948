package bridge

// Lagger is a source that knows how far it is behind. A collector asks it at
// each scrape, from any goroutine, so it must not wait for the network: it tells
// what it knows.
type Lagger interface {
	// Lag returns how many messages of pattern the system has that were not
	// delivered yet: the distance to the end of a log, or the queue of the client
	// where the system keeps none. ok is false if that is not known, as before
	// Run and after it.
	Lag(pattern string) (n uint64, ok bool)
}

// Warner is a source whose system tells it that it takes messages too slowly. The
// rules are those of Lagger.
type Warner interface {
	// Warnings returns how many such warnings there were for pattern. It may start
	// again from 0 with each Run of the pattern, and keeps what it had until then: a
	// bridge adds up what it sees.
	Warnings(pattern string) uint64
}
