package main

// ringMutants are bugs in what readers are made of.
var ringMutants = []mutant{
	{"m20", "6", "a reader looks again before it has parked instead of after", one("park.go", "l.enter(p)\n\t\tif ready() {\n\t\t\tl.leave(p)\n\t\t\treturn nil\n\t\t}", "if ready() {\n\t\t\treturn nil\n\t\t}\n\t\tl.enter(p)"), "park-one", "Law6|Park", false},
	{"m21", "6", "the waker stops though it was told to look again", one("park.go", "if l.waker.CompareAndSwap(wakerRunning, wakerIdle) {\n\t\t\treturn\n\t\t}\n\t\tl.waker.Store(wakerRunning)", "l.waker.Store(wakerIdle)\n\t\treturn"), "park-waves|park-three", "Park", false},
	{"m22", "1", "a chunk is used again whoever may read it", one("ring.go", "return r.loose == 0 && c.index.Load() >= r.kept", "return true"), "skip|skip-batch|reuse-leave", "Ring|Reader|Law7", false},
	{"n1", "1", "a chunk is used again beside readers that are not waited for", one("ring.go", "return r.loose == 0 && ", "return "), "reuse-join", "Ring|Reader|Law7", false},
	{"n2", "1", "a chunk is used again while one who has left may copy from it", one("ring.go", " && c.index.Load() >= r.kept", ""), "reuse-leave", "Ring|Reader|Law7", false},
	{"n3", "1", "only joins before the first event count where chunks are used again", one("ring.go", "if kind != kindBlock {\n\t\tr.loose++", "if kind != kindBlock && r.last == nil {\n\t\tr.loose++"), "reuse-join", "Ring|Reader|Law7", false},
	{"n4", "6", "readers that have left keep chunks from being used again", one("ring.go", "if kind != kindBlock {\n\t\tr.loose--\n\t}\n", "_ = kind\n"), "", "Ring", false},
	{"n5", "1", "one that leaves at the end of a chunk is not thought to look at the next", one("ring.go", "r.kept = seq/chunkLen + 1", "r.kept = (seq + chunkLen - 1) / chunkLen"), "reuse-filter", "Ring|Reader|Law7", false},
	{"n6", "4", "a reader that takes the place of a leaver is looked at twice", one("gate.go", "case r.near != 0: // it has taken the place of one who left meanwhile\n", ""), "gate-sort-leave", "Law4|Gate", false},
	{"m23", "2", "a reader skips one more than it must", one("reader.go", "over := upTo - cursor - r.window;", "over := upTo - cursor - r.window + 1;"), "skip", "Law2|Law6", false},
	{"m24", "4", "a reader that leaves does not free the publisher that waits for it", one("readers.go", "if p&posGated != 0 {\n\t\th.kickPublisher()\n\t}\n\tr.ring", "r.ring"), "gate-leave", "Law4|Gate", false},
	{"m25", "1", "what is replayed to a channel is one too few of what it counts as offered", one("replay.go", "h.joinLocked(s, uint64(len(events)))", "h.joinLocked(s, uint64(len(events))+1)"), "replay", "Replay", false},
	{"m28", "3", "readers are woken when a publish has waited for full subscriptions", []edit{
		{"publish.go", "h.seq.Store(next)\n\t\tring.wake()\n", "h.seq.Store(next)\n"},
		{"publish.go", "h.turn.mu.Unlock()\n\treturn nil\n}\n\n// publishTimed", "h.wakeReaders()\n\th.turn.mu.Unlock()\n\treturn nil\n}\n\n// publishTimed"},
	}, "", "Law3", false},
	{"m31", "4", "the last reader that leaves releases everything", one("readers.go", "max(h.released.floor, r.releasedTo())", "h.seq.Load()"), "released-leave", "Released", false},

	{"p1", "6", "who wakes a few does not begin a new wave", one("park.go", "l.mask.And(^(mask & -mask))\n\t\ts.wave++", "l.mask.And(^(mask & -mask))"), "park-one", "Park", false},
	{"p2", "6", "the waker does not begin a new wave", one("park.go", "s.parked, s.spare = s.spare, nil\n\t\t\ts.wave++", "s.parked, s.spare = s.spare, nil"), "park-waves", "Park", false},
	{"p3", "6", "who leaves its shard clears the bit of those who stay", one("park.go", "if len(s.parked) == 0 {\n\t\t\tl.mask.And", "if true {\n\t\t\tl.mask.And"), "park-cancel|park-close", "Park", false},
	{"p4", "6", "who leaves its shard is not replaced", one("park.go", "last.place = p.place\n\t\ts.parked = shrunk", "s.parked = shrunk"), "park-close", "Park", false},
	{"p5", "6", "a publish wakes before it stores its number", one("publish.go", "h.seq.Store(next)\n\t\tring.wake()", "ring.wake()\n\t\th.seq.Store(next)"), "park-one", "Law6|Park", false},
	{"p6", "5", "a parked reader does not look at its end", one("read.go", "return ended || p&posEnded != 0 || r.hub", "_ = ended\n\treturn p&posEnded != 0 || r.hub"), "park-close-hub", "Law5", false},
	{"p7", "6", "a batch wakes nobody at its end", one("settle.go", "h.wakeReaders() // a batch has not done so yet\n", ""), "gate-batch", "Batch|Reader", false},
	{"p8", "4", "a batch wakes nobody before it waits for a reader", one("gate.go", "h.wakeReaders() // a batch has not done so yet\n", ""), "gate-batch", "Batch|Gate", false},
	{"p9", "5", "a reader that ends is not woken", one("readers.go", "r.ring.wakeOne(&r.parker)\n", ""), "park-close", "Law5", false},
	{"p10", "5", "a close of the hub wakes no reader", one("readers.go", "h.wakeReaders()\n\th.kickPublisher()\n\th.released.ring()", "h.kickPublisher()\n\th.released.ring()"), "park-close-hub", "Law5", false},
	{"p11", "4", "a reader whose context ends when an event is there returns the cause", one("park.go", "if ready() {\n\t\t\t// After", "if ctx.Err() != nil {\n\t\t\tl.leave(p)\n\t\t\treturn causeOf(ctx)\n\t\t}\n\t\tif ready() {\n\t\t\t// After"), "", "Reader|Context|Law4", false},

	{"g1", "4", "a reader that moves does not free the publisher that waits for it", one("read.go", "if p&posGated != 0 {\n\t\tr.hub.kickPublisher()\n\t}\n", ""), "gate", "Law4|Gate", false},
	{"g2", "4", "a publisher does not look again after it said that it waits", one("gate.go", "p := r.pos.Or(posGated); p&posEnded != 0 || p>>posShift+r.window >= next {", "p := r.pos.Or(posGated); p&posEnded != 0 {"), "gate", "Gate", false},
	{"g3", "4", "a close of the hub does not free the publisher at the gate", one("readers.go", "h.wakeReaders()\n\th.kickPublisher()\n", "h.wakeReaders()\n"), "gate-close-hub", "Law4|Law5", false},
	{"g4", "2", "who joins does not lower the gate", one("readers.go", "h.gate.lower(r.kind, start+r.window)\n", ""), "gate-join", "Law2|Gate", false},
	{"g5", "4", "what was waited for in vain is not looked at again", one("gate.go", "h.gate.blocks = next - 1 // so that it is looked at again", "_ = next"), "gate-cancel", "Gate|Law4", false},
	{"g6", "2", "a reader whose time is over skips ahead uncounted", one("gate.go", "h.loseReader(r, droppedOldest, over)", ""), "gate-for", "BlockFor|Gate", false},
	{"g7", "4", "a publisher at the gate does not look at its context", one("gate.go", "if isDone(done) { // nothing was published, so a context that has ended wins\n\t\treturn causeOf(ctx)\n\t}\n", ""), "gate-cancel", "Law4", false},

	{"g8", "4", "a reader that leaves stays among those that are near", one("readers.go", "h.gate.leaveNear(r)\n", ""), "gate-leave", "Gate|Law4", false},
	{"g9", "2", "who joins is not among those that are far", one("gate.go", "g.blocks, g.far = min(g.blocks, limit), min(g.far, limit)", "g.blocks = min(g.blocks, limit)"), "gate-join", "Gate|Law2", false},

	{"e1", "2", "an ejected reader counts what came after it fell out", one("readers.go", "left = min(left, p>>posShift+r.window)\n", ""), "eject-unread", "Law2|Eject", false},
	{"e2", "2", "a sweep forgets when the next reader will fall out", one("readers.go", "h.gate.ejects = min(h.gate.ejects, low)\n", ""), "eject-unread|eject-read", "Eject|Law9", false},
	{"e3", "2", "a close of the hub does not eject who had fallen out", one("readers.go", "if r.limit() < h.seq.Load() {\n\t\t\th.leaveReaderLocked(r, ErrEjected)\n\t\t\tejected", "if false {\n\t\t\th.leaveReaderLocked(r, ErrEjected)\n\t\t\tejected"), "eject-unread", "Eject|Law5", false},
	{"e4", "2", "a range is taken though Close or Eject has come", one("read.go", "if !r.pos.CompareAndSwap(p, next) {", "if r.pos.Store(next); r.pos.Load() != next {"), "eject-read|park-close", "Race|Reader", false},
	{"e5", "2", "what a reader skips is not counted", one("reader.go", "r.lost += over\n", ""), "skip", "Law2", false},
	{"e6", "2", "a batch goes on over a gap", one("read.go", "case behind > r.window && !first || cursor != r.read && !first:\n\t\t\treturn p, 0, nil\n", ""), "skip-batch", "Batch|Missed", false},

	{"w1", "4", "a reader releases without a look at who has asked meanwhile", one("read.go", "if r.pos.Load()&(posOne|posAsked) != 0 && r.pos.And", "if p&(posOne|posAsked) != 0 && r.pos.And"), "released", "Released", false},
	{"w2", "4", "who waits for a release does not look again after it asked", one("released.go", "r.pos.Or(posAsked)\n\treturn r.releasedTo() < seq", "r.pos.Or(posAsked)\n\treturn true"), "released", "Released", false},
	{"w3", "4", "a reader that leaves does not tell who waits for a release", one("readers.go", "h.released.floor, r.releasedTo())\n\t\t}\n\t\th.released.ring()", "h.released.floor, r.releasedTo())\n\t\t}"), "released-leave", "Released", false},
	{"w4", "2", "Shutdown does not wait for readers that drain", one("readers.go", "h.undoneReaders = append(h.undoneReaders, r)", "_ = r"), "shutdown-reader", "Shutdown", false},
}
