// Package broadcasttest helps to test code that is built on a hub of package
// broadcast.
//
// A [Recorder] is a subscriber that keeps what it receives: [Record] takes
// events as they come, [Slow] at a pace, [Stuck] none until it is released, and
// [RecordChan] takes them from any channel. All of them wait without polling and
// on the clock of the goroutine's bubble, so with testing/synctest a test of a
// slow subscriber takes no time and is exact.
//
// [CheckConservation] proves that nothing was lost without being counted: for
// every subscription, and in the sums of the hub.
//
// A recorder costs one goroutine, which ends with its stream or with
// [Recorder.Close].
package broadcasttest
