package broadcast

import "log/slog"

// Stats is what a hub has counted since it was made. Who leaves folds its
// counts in, so every counter only grows.
type Stats struct {
	// Subscribers is how many subscriptions and readers are live now, and Readers
	// how many of these are readers.
	Subscribers, Readers int
	// Published is how many events the hub has accepted.
	Published uint64
	// Offered is one for each event and subscription that was live when the event
	// was published. At every quiet point, summed over all subscriptions that
	// ever were, Offered = Received + Len + Dropped + Filtered + Coalesced.
	Offered uint64
	// Dropped is how many offered events were lost, and DroppedBy tells why; its
	// fields add up to Dropped.
	Dropped   uint64
	DroppedBy DropReasons
	// Filtered is how many offered events a filter kept away.
	Filtered uint64
	// Ejected is how many subscriptions were ended by Eject.
	Ejected uint64
	// Blocked is how many publishes waited for room, once each.
	Blocked uint64
	// Coalesced is how many offered values were replaced before delivery; always
	// 0 for a Hub.
	Coalesced uint64
	// HandlerErrors and HandlerPanics are how many calls of a handler by Handle
	// returned an error or panicked.
	HandlerErrors, HandlerPanics uint64
}

// DropReasons are lost deliveries by their reason.
type DropReasons struct {
	Newest   uint64 // DropNewest at a full buffer; or its filter or policy panicked
	Oldest   uint64 // DropOldest made room, or had none to make
	Canceled uint64 // the publisher's context ended while it waited for room
	Closed   uint64 // the subscription or the hub closed with the event in flight
	Ejected  uint64 // the event that led to an eject
}

// LogValue renders the counts as one group of attributes.
func (s Stats) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int("subscribers", s.Subscribers),
		slog.Int("readers", s.Readers),
		slog.Uint64("published", s.Published),
		slog.Uint64("offered", s.Offered),
		slog.Uint64("dropped", s.Dropped),
		slog.Uint64("filtered", s.Filtered),
		slog.Uint64("ejected", s.Ejected),
		slog.Uint64("blocked", s.Blocked),
		slog.Uint64("coalesced", s.Coalesced),
		slog.Uint64("handler_errors", s.HandlerErrors),
		slog.Uint64("handler_panics", s.HandlerPanics),
	)
}

// SubscriptionStats is what a hub knows of one subscription or reader. At every
// quiet point (no publish and no receive in progress)
// Offered = Received + Len + Dropped + Filtered + Coalesced, also after it has
// ended.
type SubscriptionStats struct {
	// ID is unique in the hub, from 1 in the order of Subscribe. It is 0 for a
	// subscription that was never live.
	ID uint64
	// Name is what WithName gave it.
	Name string
	// Reader tells a reader of the ring from a channel subscription.
	Reader bool
	// Len is how many events wait in its buffer, and Cap how many fit.
	Len, Cap int
	// Offered is how many events were published while it was live.
	Offered uint64
	// Received is how many its consumer has taken. It is derived: exact at quiet
	// points; in between it may be one too high, two under DropOldest (the event in
	// flight, and the one that was taken out and is not counted yet), or too low by what
	// was published during the call.
	Received uint64
	// Dropped is how many it has lost, and Filtered how many its filter kept away.
	Dropped, Filtered uint64
	// Coalesced is how many values were replaced before delivery; always 0 for a
	// subscription to a Hub.
	Coalesced uint64
}
