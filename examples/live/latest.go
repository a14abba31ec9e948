package main

import (
	"strings"
	"sync"

	"github.com/gobroadcast/broadcast"
)

// maxSubjects bounds what latest remembers; a page draws far fewer.
const maxSubjects = 1000

// latest keeps the newest event of every subject, so that a page that opens has
// something to show at once. It is a consumer of the hub like any browser.
type latest struct {
	mu        sync.Mutex // guards bySubject
	bySubject map[string]event
}

// run takes events until the hub has closed and the buffer is empty.
func (l *latest) run(sub *broadcast.Subscription[event], c *consumer) {
	for e := range sub.C() {
		c.received.Add(1)
		if !e.isGap { // one of the past says nothing about what is shown
			l.put(e)
		}
	}
}

func (l *latest) put(e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.bySubject[e.subject]; known || len(l.bySubject) < maxSubjects {
		l.bySubject[e.subject] = e
	}
}

// all returns the events whose subjects begin with prefix, sorted by subject.
func (l *latest) all(prefix string) []event {
	l.mu.Lock()
	defer l.mu.Unlock()
	var events []event
	for _, subject := range sortedKeys(l.bySubject) {
		if strings.HasPrefix(subject, prefix) {
			events = append(events, l.bySubject[subject])
		}
	}
	return events
}
