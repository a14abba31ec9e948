package main

import (
	"slices"
	"strings"
	"sync"
)

// maxMarks is how many marks of a trail are kept: what a page has room for.
const maxMarks = 6

// mark is a run of ticks that a consumer got one after the other, and how many
// it did not get just before them.
type mark struct {
	Key     string `json:"key,omitempty"`
	From    uint64 `json:"from"`
	To      uint64 `json:"to"`
	Skipped uint64 `json:"skipped,omitempty"`
}

// trail is what a consumer got last, with the gaps where they were: the latest
// runs, or with keys the latest tick of each.
type trail struct {
	mu    sync.Mutex // guards marks
	marks []mark     // oldest first, or in the order of the keys
}

func (t *trail) add(r receipt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := mark{Key: r.key, From: r.n, To: r.n, Skipped: r.skipped}
	if r.key != "" {
		t.putLocked(m)
		return
	}
	if last := len(t.marks) - 1; last >= 0 && r.skipped == 0 {
		t.marks[last].To = r.n
		return
	}
	if len(t.marks) == maxMarks {
		t.marks = slices.Delete(t.marks, 0, 1)
	}
	t.marks = append(t.marks, m)
}

// putLocked puts m in the place of its key.
func (t *trail) putLocked(m mark) {
	i, found := slices.BinarySearchFunc(t.marks, m.Key, func(m mark, key string) int { return strings.Compare(m.Key, key) })
	if !found {
		t.marks = slices.Insert(t.marks, i, m)
	}
	t.marks[i] = m
}

// all returns the marks as they are now, never nil: the page wants a list.
func (t *trail) all() []mark {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]mark{}, t.marks...)
}
