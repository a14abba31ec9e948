package main

import "slices"

// mutant is a bug that somebody might make.
type mutant struct {
	ID    string
	Law   string // that it breaks
	What  string
	Edits []edit
	// Scenarios and Tests are where it is looked for first: names of the explorer's
	// scenarios, and a pattern for the library's tests.
	Scenarios string
	Tests     string
	// Race: only the race detector sees it.
	Race bool
}

// edit replaces a text that must stand in the file exactly once.
type edit struct{ File, Old, New string }

func one(file, old, text string) []edit { return []edit{{file, old, text}} }

// mutants are all of them. Left out, because no program can tell them from the
// library: DropOldest that tries to make room only once (only the publisher sends, so
// once is enough unless the consumer is at it, and then there is room); a turn that
// is given back between taking a subscription out and closing its channel (nobody
// finds it any more); a publisher that keeps the turn of a closed hub; a publisher on
// its way to the turn that a close does not dismiss (it sees the close by itself);
// DropOldest that makes room though the consumer has just done so, and a publisher that
// sends to who has left and has room (both may happen in the library, between a look and
// the send); a publisher that gives up without a last look for room (the context has
// ended by then); an eject that counts its loss when it has left (under the same mutex);
// Handle that is over before its stream is closed.
var mutants = slices.Concat(hubMutants, ringMutants, coalesceMutants)

// hubMutants are bugs in what channel subscriptions are made of, and in what is around them.
var hubMutants = []mutant{
	{"m2", "2", "what DropOldest evicts is not counted", one("publish.go", "case <-s.ch:\n\t\t\th.lose(s, droppedOldest)", "case <-s.ch:"), "drop-oldest-1", "Law2", false},
	{"m3", "5", "a channel is closed, and the turn given back, before the set knows", []edit{
		{"close.go", "s.finish(err, h.seq.Load())\n\tlast :=", "if !s.inFlight {\n\t\tclose(s.ch)\n\t\th.turn.mu.Unlock()\n\t\th.turn.mu.Lock()\n\t}\n\ts.finish(err, h.seq.Load())\n\tlast :="},
		{"close.go", "h.registry.leave(s, s.left)\n\th.closeLocked(s)", "h.registry.leave(s, s.left)\n\tif s.inFlight {\n\t\th.closeLocked(s)\n\t}"},
	}, "close-twice|eject-close", "Law5", false},
	{"m4", "4", "closing a subscription does not wake the publisher that waits for it", one("close.go", "case h.kick <- struct{}{}:", "case chan struct{}(nil) <- struct{}{}:"), "block-close-subscription", "Law4", false},
	{"m5", "4", "a blocked publish does not look at its context", one("wait.go", "case <-done:\n\t\th.giveUp(ctx, event)\n\tcase <-alarm:", "case <-alarm:"), "block-cancel", "Law4", false},
	{"m6", "4", "a context that is done does not keep a publish from the fast path", one("publish.go", "checkContext(\"Publish\", ctx)\n\tif ctx.Err() != nil {\n\t\treturn causeOf(ctx)\n\t}\n", "checkContext(\"Publish\", ctx)\n"), "block-cancel", "Law4|Context", false},
	{"m7", "2", "who looks at the members shares their list with who joins and leaves", one("member.go", "live := slices.Clone(s.live)", "live := slices.Clip(s.live)"), "", "ConcurrentSafe|Stress", true},
	{"m8", "2", "who leaves does not fold its counts in", one("member.go", "s.base += s.leaveSide(m, left)\n", "s.leaveSide(m, left)\n"), "close-twice", "Law2", false},
	{"m9", "5", "the second close of a subscription closes again", one("close.go", "case s.ended.Load():\n\t\treturn false\n\tcase s.at < 0:", "case s.at < 0:"), "close-twice", "Law5", false},
	{"m10", "2", "an eject counts twice", one("publish.go", "h.ejected.Add(1)", "h.ejected.Add(2)"), "eject-close", "Law2", false},
	{"m11", "7", "who has left stays reachable", one("member.go", "list[n] = zero", "_ = zero"), "", "Law7", false},
	{"m13", "1", "two subscriptions share a buffer", one("hub.go", "t := target[T]{s.ch, s}", "t := target[T]{s.ch, s}\n\tif len(h.subs) > 0 {\n\t\tt.ch = h.subs[0].sub.ch\n\t}"), "drop-newest", "Law1", false},
	{"m14", "1", "the number is taken before the turn", []edit{
		{"publish.go", "\th.turn.mu.Lock()\n\tif h.turn.busy || h.closed != nil {\n\t\tif err := h.enter(ctx); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\tnext := h.seq.Load() + 1", "\tnumber := h.seq.Load() + 1\n\th.turn.mu.Lock()\n\tif h.turn.busy || h.closed != nil {\n\t\tif err := h.enter(ctx); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\tnext := number"},
	}, "drop-newest", "Law1", false},
	{"m15", "7", "who leaves stays with its context", one("member.go", "m.special.stop()\n", "_ = m.special.stop\n"), "", "Law7|Context", false},
	{"m16", "5", "a close drops what is buffered", one("close.go", "if !s.inFlight {\n\t\tclose(s.ch)", "for len(s.ch) > 0 {\n\t\t<-s.ch\n\t}\n\tif !s.inFlight {\n\t\tclose(s.ch)"), "block-close-subscription", "Law5", false},
	{"m17", "5", "Err is set after the channel is closed", []edit{
		{"close.go", "s.finish(err, h.seq.Load())\n\tlast :=", "last :="},
		{"close.go", "h.registry.leave(s, s.left)\n\th.closeLocked(s)", "h.registry.leave(s, h.seq.Load())\n\th.closeLocked(s)\n\ts.finish(err, h.seq.Load())"},
	}, "err-closed", "Law5", false},
	{"m17b", "5", "a member is seen to have ended before it is known why", one("member.go", "m.err, m.left = err, left\n\tm.ended.Store(true)", "m.ended.Store(true)\n\tm.err, m.left = err, left"), "", "ConcurrentSafe|Stress|Law5", true},
	{"m18", "2", "the number moves on once for each subscription", one("publish.go", "} else {\n\t\th.seq.Store(next)\n\t}", "} else {\n\t\th.seq.Store(next - 1 + max(1, uint64(len(h.subs))))\n\t}"), "drop-newest", "Law2", false},
	{"m19", "9", "a buffer has one place too many", one("subscription.go", "make(chan T, c.buffer)", "make(chan T, c.buffer+1)"), "block-two", "Law9|Law6", false},
	{"m27", "3", "each BlockFor has a start of its own", one("settle.go", "h.waitStart().Add(p.d)", "time.Now().Add(p.d)"), "", "BlockFor|Law3", false},
	{"m29", "2", "who joins while a publisher waits is stamped one too low", one("hub.go", "s.joined = h.seq.Load() - replayed", "s.joined = h.seq.Load() - replayed\n\tif h.turn.busy {\n\t\ts.joined--\n\t}"), "", "Law2", false},
	{"m30", "1", "others publish in the middle of a batch", []edit{
		{"publish.go", "stops := h.stops\n\th.stops = nil\n\th.turn.mu.Unlock()\n\tdefer func() { // also", "stops := h.stops\n\th.stops = nil\n\th.turn.busy = false\n\th.turn.mu.Unlock()\n\tdefer func() { // also"},
		{"publish.go", "a context of the user's own panics\n\t\th.turn.mu.Lock()", "a context of the user's own panics\n\t\th.turn.mu.Lock()\n\t\th.turn.busy = true"},
	}, "batch", "Batch", false},

	{"t1", "4", "a publisher that was called and goes on stays the one that is coming", one("turn.go", "t.coming = nil\n\t\tswitch {", "switch {"), "turn-three", "Turn", false},
	{"t2", "4", "a publisher that was handed the turn keeps it when its context has ended", one("turn.go", "case w.handed && ended:\n\t\t\tt.passLocked()\n\t\t\treturn false", "case w.handed && ended:\n\t\t\treturn false"), "turn-handed", "Turn", false},
	{"t3", "4", "a publisher that was called does not call the next when its context has ended", one("turn.go", "case ended:\n\t\t\tt.callLocked()\n\t\t\treturn false", "case ended:\n\t\t\treturn false"), "turn-called", "Turn", false},
	{"t4", "4", "whoever gives the turn back calls nobody", one("turn.go", "t.busy = false\n\tt.callLocked()", "t.busy = false"), "turn-three", "Turn", false},
	{"t5", "5", "a close leaves the last publisher waiting until the one before it returns", one("turn.go", "for t.wait.Len() > 0 {\n\t\tw := t.wait.Remove(t.wait.Front()).(*waiting)\n\t\tw.dismissed", "for t.wait.Len() > 1 {\n\t\tw := t.wait.Remove(t.wait.Front()).(*waiting)\n\t\tw.dismissed"), "turn-filter", "Turn|Law4", false},
	{"t6", "4", "a publisher whose context has ended stays in the queue", one("turn.go", "t.wait.Remove(place)\n\t\t\treturn false", "_ = place\n\t\t\treturn false"), "turn-handed", "Turn", false},
	{"t7", "4", "a publish that finds others waiting does not call them", one("publish.go", "if len(h.aloft)+len(h.stops) > 0 || h.turn.contended() {", "if len(h.aloft)+len(h.stops) > 0 {"), "turn-three", "Turn", false},
	{"t8", "5", "a publisher that had to wait does not look again whether the hub is open", one("publish.go", "case mine && h.closed == nil:\n\t\treturn nil\n\tcase mine:\n\t\th.turn.passLocked()\n\t}", "case mine:\n\t\treturn nil\n\t}"), "turn-handed-close", "Turn|Law5", false},
	{"t9", "5", "who comes to wait when all were dismissed waits", one("turn.go", "case t.closed:\n\t\treturn false\n\tcase !t.busy:", "case !t.busy:"), "turn-filter", "Turn", false},
	{"t10", "1", "a publisher that waits for room keeps the others not away", one("settle.go", "h.turn.busy = true\n\th.turn.mu.Unlock()\n\tdefer func() {\n\t\th.waitIsOver", "h.turn.mu.Unlock()\n\tdefer func() {\n\t\th.waitIsOver"), "block-close-subscription", "Law1|Law4", false},
	{"t11", "4", "a waiting publisher that was called and found the turn taken is not put back", one("turn.go", "place = t.wait.PushFront(w)", "place = t.wait.PushFront(&waiting{called: make(chan struct{}, 1)})"), "turn-three", "Turn", false},

	{"f1", "5", "who left during the flight of an event is not closed at its end", one("settle.go", "h.releaseLeaversLocked()\n\tfor _, s := range h.aloft {", "for _, s := range h.aloft {"), "leave-filter", "Law5", false},
	{"f2", "4", "a publish that the close of the hub cut off returns nil", one("settle.go", "h.cutOff = h.cutOff || s.byHub", ""), "block-close-hub", "Law4|Law5", false},
	{"f3", "2", "the event in flight to who leaves is not counted", one("settle.go", "if s.open {\n\t\t\th.drop(s, droppedClosed)", "if s.open {\n\t\t\ts.open = false"), "block-close-subscription", "Law2", false},
	{"f4", "4", "a publish that gave subscriptions up returns nil", one("wait.go", "h.canceled = causeOf(ctx)", ""), "block-cancel", "Law4", false},
	{"f5", "2", "what a canceled publish gives up is not counted", one("wait.go", "h.drop(w.sub, droppedCanceled)", "w.sub.open = false"), "block-cancel", "Law2", false},
	{"f6", "5", "a subscription stays in flight for ever", one("settle.go", "h.drop(s, droppedNewest)\n\t\t}\n\t\ts.inFlight = false", "h.drop(s, droppedNewest)\n\t\t}"), "block-two", "Law5", false},
	{"f7", "5", "a channel is closed while a publisher may send on it", one("publish.go", "s.open, s.inFlight = true, true", "s.open = true"), "block-close-subscription", "Law5", false},
	{"f8", "2", "a policy ejects who has left meanwhile", one("settle.go", "if !s.ended.Load() {\n\t\t\ts.inFlight = false", "if true {\n\t\t\ts.inFlight = false"), "policy-closes", "Policy|Law8", false},
	{"f9", "2", "an event that was dropped is still open", one("publish.go", "s.open = false\n\th.lose(s, why)", "h.lose(s, why)"), "block-cancel", "Law2", false},
	{"f10", "2", "DropOldest without a buffer does not count", one("publish.go", "h.drop(s, droppedOldest)\n\t\t\t\treturn", "return"), "hand-off", "Edge|Overflow", false},
	{"f11", "8", "after a panic the others are not seen to", one("settle.go", "h.lookAndWait(ctx, event)\n\t\t}()", "}()"), "filter-panics", "Panic|Law8", false},
	{"f12", "2", "what a filter keeps away is not counted in the hub", one("settle.go", "h.filtered.Add(1)", ""), "leave-filter", "Law2", false},
	{"f13", "4", "BlockFor never wakes at its time", one("wait.go", "for _, w := range h.full {\n\t\tif !w.deadline.IsZero() {", "for _, w := range h.full {\n\t\tif false {"), "block-for", "BlockFor", false},
	{"f14", "3", "at its time BlockFor drops without another look for room", one("wait.go", "if !w.sub.ended.Load() && !h.offer(w.sub, event) {\n\t\t\th.consult(w.sub, w.then, event)", "if !w.sub.ended.Load() {\n\t\t\th.consult(w.sub, w.then, event)"), "", "BlockFor", false},
	{"f15", "4", "a publisher that waits for several does not look at who leaves", one("wait.go", "case kicked:\n\t\th.releaseLeavers()\n", "case kicked:\n"), "block-two", "Law4", false},

	{"s1", "2", "who joins does not take its number off the sum", one("member.go", "s.base -= s.joinSide(m, b.joined)", "s.joinSide(m, b.joined)"), "subscribe-publish", "Law2", false},
	{"s2", "2", "Stats looks at the number before the shard stands still", one("member.go", "s.mu.Lock()\n\t\toffered += s.base + s.plain()*c.seq.Load()", "seq := c.seq.Load()\n\t\ts.mu.Lock()\n\t\toffered += s.base + s.plain()*seq"), "stats-join", "Law2|Stats", false},
	{"s3", "1", "who takes the place of a leaver does not know it", one("close.go", "last.sub.at = s.at\n", ""), "leave-order", "Law5|Law2", false},
	{"s4", "2", "who takes the place of a leaver in the registry does not know it", one("member.go", "last.base().place = b.place\n", ""), "leave-order", "Law2|Law5", false},
	{"s5", "2", "a close of the hub does not fold the counts in", one("close.go", "h.registry.leaveAll(left)", ""), "hub-close-twice", "Law2|Law5", false},
	{"s6", "2", "losses are looked at after what was offered", []edit{
		{"member.go", "func (c *counters) stats(r *registry) Stats {\n", "func (c *counters) stats(r *registry) Stats {\n\toffered := r.offered(c)\n"},
		{"member.go", "s.Offered = r.offered(c)", "s.Offered = offered"},
	}, "stats", "Law2|Stats", false},
	{"s7", "2", "a member looks whether it has left before it looks at the number", one("member.go", "upTo := c.seq.Load()\n\tif m.ended.Load() {", "ended := m.ended.Load()\n\tupTo := c.seq.Load()\n\tif ended {"), "stats-leave", "Stats|Law2", false},
	{"s8", "2", "a subscription counts what the hub does not", one("publish.go", "h.dropped[why].Add(1)\n", ""), "drop-newest", "Law2", false},

	{"h1", "8", "the last eject does not end interest", one("publish.go", "h.hooks.eject(s.Stats())\n\th.loseInterestLocked()", "h.hooks.eject(s.Stats())"), "interest-eject", "Law8|Hook|Interest", false},
	{"h2", "8", "the last leave does not end interest", one("close.go", "h.leaveLocked(s, err)\n\t\th.loseInterestLocked()", "h.leaveLocked(s, err)"), "interest", "Law8|Hook|Interest", false},
	{"h3", "8", "every join begins interest", one("hub.go", "if h.live() == 1 {", "if h.live() >= 1 {"), "interest", "Law8|Hook|Interest", false},
	{"h4", "8", "two hooks run at once", one("hooks.go", "h.running = true\n", ""), "interest", "Law8|Hook", false},
	{"h5", "8", "a close of the hub does not end interest", one("close.go", "if interest {\n\t\th.hooks.edge()\n\t}\n\th.losses.close()", "_ = interest\n\th.losses.close()"), "", "Law8|Hook|Interest", false},

	{"c1", "5", "Handle does not close its stream", one("handle.go", "src.Close()\n\t\tif d.end", "if d.end"), "handle-cancel", "Handle", false},
	{"c2", "5", "Handle is never over", one("handle.go", "d.running.Add(-1) // last: Shutdown waits for this", ""), "shutdown-handle", "Handle|Shutdown", false},
	{"c3", "5", "a batch does not look whether the hub has closed", one("publish.go", "if err == nil {\n\t\t\terr = h.closed\n\t\t}\n", ""), "batch-close", "Batch", false},
	{"c4", "4", "a batch does not look at its context between events", one("publish.go", "if ctx.Err() != nil {\n\t\treturn causeOf(ctx)\n\t}\n\treturn nil\n}\n\n// pass", "return nil\n}\n\n// pass"), "", "Batch", false},
	{"c5", "4", "a batch does not count the event that was cut off", one("publish.go", "return i + 1, err", "return i, err"), "batch-cancel", "Batch", false},
	{"c6", "3", "the pass goes forwards", one("publish.go", "the ejected was.\n\tfor i := len(h.subs) - 1; i >= 0; i-- {", "the ejected was.\n\tfor i := 0; i < len(h.subs); i++ {"), "interest-eject", "Law3|Eject", false},
	{"c7", "5", "who joins does not look whether its context has ended meanwhile", one("hub.go", "case h.closed != nil || s.ended.Load():", "case h.closed != nil:"), "subscribe-context", "Context", false},
	{"c8", "5", "who never joined has no closed channel", one("close.go", "s.finish(err, 0)\n\t\tclose(s.ch)", "s.finish(err, 0)"), "subscribe-context", "Context|Law5", false},
	{"c9", "5", "a close does not send those away who wait for their turn", one("close.go", "h.turn.dismissLocked()\n\treturn subs", "return subs"), "turn-filter", "Law5|Turn", false},
	{"c10", "5", "Shutdown does not wait for the event in flight", one("close.go", "if !s.inFlight && len(s.ch) == 0 {\n\t\t\treturn true", "if len(s.ch) == 0 {\n\t\t\treturn true"), "", "Shutdown|Law5", false},
	{"c11", "4", "Handle goes on under load when its context has ended", one("handle.go", "if ctx.Err() != nil {\n\t\treturn event, false, false\n\t}\n\tselect {", "select {"), "handle-cancel", "Handle", false},

	{"f16", "2", "the lists of the flight are given back in the middle of a pass", one("settle.go", "if !h.turn.busy && len(h.aloft) == 0 && cap(h.aloft)", "if !h.turn.busy && cap(h.aloft)"), "", "Law2", false},
	{"f17", "1", "the helpers of a publisher are not waited for", one("wait.go", "close(stop)\n\t\trunning.Wait()", "close(stop)"), "block-three", "Law3", false},
	{"f18", "8", "the filter of who has left is asked", one("settle.go", "if s.ended.Load() || s.keep != nil &&", "if s.keep != nil &&"), "", "Law8", false},
	{"t12", "1", "who was called in vain calls the next though another has the turn", one("turn.go", "if t.busy || t.coming != nil || t.wait.Len() == 0 {", "if t.coming != nil || t.wait.Len() == 0 {"), "turn-two-at-once", "Turn", false},
	{"c12", "5", "Shutdown gives up though an event is in flight", one("close.go", "over = over && !s.inFlight && s.at == forsaken", "over = over && s.at == forsaken"), "", "Law5|Shutdown", false},
	{"s9", "2", "Stats of a subscription looks at what was offered last", []edit{
		{"subscription.go", "\toffered := s.offered(&s.hub.counters)\n\tst := SubscriptionStats{", "\tst := SubscriptionStats{"},
		{"subscription.go", "\tst.Offered = max(offered, gone)", "\toffered := s.offered(&s.hub.counters)\n\tst.Offered = max(offered, gone)"},
	}, "stats-received|stats-eject", "Stats|Law2", false},
	{"s10", "2", "Stats looks at what was published first", []edit{
		{"member.go", "func (c *counters) stats(r *registry) Stats {\n", "func (c *counters) stats(r *registry) Stats {\n\tpublished := c.seq.Load()\n"},
		{"member.go", "s.Published = c.seq.Load()", "s.Published = published"},
	}, "stats", "Stats|Law2", false},
	{"s11", "2", "Received of a subscription is more than all in the middle of a publish", one("subscription.go", "st.Offered = max(offered, gone)", "st.Offered = offered"), "stats-received", "Stats|Law2", false},

	{"l1", "7", "a loss noted as the logger ends is never logged", one("log.go", "l.running = l.noted || some && !l.closed", "l.running = some && !l.closed"), "log-note", "Log", false},
	{"l2", "7", "after Close the logger ends though more was noted", one("log.go", "l.running = l.noted || some && !l.closed", "l.running = (l.noted || some) && !l.closed"), "log-close", "Log", false},
	{"l3", "7", "a publish that is blocked is never logged", one("wait.go", "if h.losses != nil && !h.warned {\n\t\tsooner", "if false {\n\t\tsooner"), "log-blocked", "Log", false},
	{"l4", "7", "a Shutdown that gives up leaves the rest to be logged a second later", one("close.go", "h.losses.hasten() // its goroutine need not outlive us by a second\n", ""), "", "Log", false},
	{"u1", "2", "a publish that is timed does not wait for readers", one("publish.go", "if err := h.take(ctx); err != nil {\n\t\treturn err\n\t}\n\tnext := h.seq.Load() + 1\n\tif next > h.gate.limit {", "if err := h.take(ctx); err != nil {\n\t\treturn err\n\t}\n\tnext := h.seq.Load() + 1\n\tif false {"), "timed-gate", "Collector", false},
	{"u2", "4", "a publish that is timed does not wait for room", one("publish.go", "h.timed = start // else it belongs to the other histogram\n\t}\n\treturn h.land(ctx, event)", "h.timed = start\n\t}\n\th.turn.mu.Unlock()\n\treturn nil"), "timed", "Collector", false},
	{"b1", "2", "a publish that waits for room does not count as blocked", one("wait.go", "h.blocked.Add(1)\n", ""), "block-cancel", "Stats|Law2", false},
	{"b2", "2", "a publish that waits for a reader and for room counts twice as blocked", one("wait.go", "if !h.waited {\n\t\th.waited = true\n\t\th.blocked.Add(1)", "h.blocked.Add(1)\n\tif !h.waited {\n\t\th.waited = true"), "gate-mixed", "Stats|Law2", false},
	{"d1", "6", "DropOldest makes room for two", one("publish.go", "case <-s.ch:\n\t\t\th.lose(s, droppedOldest)", "case <-s.ch:\n\t\t\th.lose(s, droppedOldest)\n\t\t\tif len(s.ch) > 0 {\n\t\t\t\t<-s.ch\n\t\t\t\th.lose(s, droppedOldest)\n\t\t\t}"), "drop-oldest-2", "Law6", false},
	{"d2", "6", "a policy is told of one loss too many", one("subscription.go", "Dropped:     s.dropped.Load(),", "Dropped:     s.dropped.Load() + 1,"), "policy-closes", "Policy", false},
	{"d3", "3", "BlockFor waits half its time", one("settle.go", "h.waitStart().Add(p.d)", "h.waitStart().Add(p.d / 2)"), "block-for", "BlockFor", false},
}
