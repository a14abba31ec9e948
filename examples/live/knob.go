package main

import "sync"

// knob holds a value that others follow.
type knob[T any] struct {
	mu      sync.Mutex // guards both below
	value   T
	changed chan struct{}
}

func newKnob[T any](value T) *knob[T] { return &knob[T]{value: value, changed: make(chan struct{})} }

// update changes the value in place and wakes those who follow it.
func (k *knob[T]) update(change func(*T)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(&k.value)
	close(k.changed)
	k.changed = make(chan struct{})
}

func (k *knob[T]) set(value T) { k.update(func(v *T) { *v = value }) }

// get returns the value and a channel that is closed when there is a new one.
func (k *knob[T]) get() (value T, changed <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.value, k.changed
}
