package main

import (
	"context"
	"sync"
)

// knob holds a value that others follow.
type knob[T any] struct {
	mu      sync.Mutex // guards all below
	value   T
	current context.Context // ends when there is a new value
	change  context.CancelFunc
}

func newKnob[T any](value T) *knob[T] {
	k := &knob[T]{value: value}
	k.current, k.change = context.WithCancel(context.Background())
	return k
}

// update changes the value in place and wakes those who follow it.
func (k *knob[T]) update(change func(*T)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(&k.value)
	k.change()
	k.current, k.change = context.WithCancel(context.Background())
}

func (k *knob[T]) set(value T) { k.update(func(v *T) { *v = value }) }

// get returns the value and a context that ends when there is a new one.
func (k *knob[T]) get() (value T, current context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.value, k.current
}
