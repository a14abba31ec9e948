package model

import (
	"testing"

	"pgregory.net/rapid"
)

// TestModel draws programs and compares the hub with the model after each
// operation. Each program runs in a bubble of its own, so every one also proves
// that it leaves no goroutine behind.
func TestModel(t *testing.T) {
	before := operations.Load()
	rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, program) })
	t.Logf("%d operations compared with the model", operations.Load()-before)
}

func program(t *rapid.T) {
	m := newMachine(setup{
		policy: rapid.IntRange(0, len(policies)-1).Draw(t, "hub's policy"),
		buffer: rapid.IntRange(0, 4).Draw(t, "hub's buffer"),
		hooks:  rapid.Bool().Draw(t, "hooks"),
		log:    rapid.Bool().Draw(t, "log"),
		meters: rapid.Bool().Draw(t, "meters"),
	})
	t.Cleanup(m.release)
	actions := map[string]func(*rapid.T){
		"Publish again": drawn(m, opPublish), // more often than the others
		"Subscribe":     drawn(m, opSubscribe, 13, 4, 8, 7),
		"Close":         func(t *rapid.T) { closeSometimes(t, m) },
	}
	for k := range kinds {
		if _, there := actions[kindNames[k]]; !there {
			actions[kindNames[k]] = drawn(m, k, 7)
		}
	}
	t.Repeat(actions)
	if err := m.finish(); err != nil {
		t.Fatal(err)
	}
}

// drawn is an action that draws its arguments, each from 0 to what is given.
func drawn(m *machine, k kind, up ...uint8) func(*rapid.T) {
	return func(t *rapid.T) {
		if !m.applies(op{kind: k}) {
			t.SkipNow() // before anything is drawn: rapid picks another
		}
		o := op{kind: k}
		for i, arg := range []*uint8{&o.a, &o.b, &o.c, &o.d}[:arguments[k]] {
			*arg = rapid.Uint8Range(0, up[i]).Draw(t, "argument")
		}
		t.Log(o)
		if err := m.do(o); err != nil {
			t.Fatal(err)
		}
	}
}

// closeSometimes leaves most programs a hub that is open to their end.
func closeSometimes(t *rapid.T, m *machine) {
	dice := rapid.IntRange(0, 39).Draw(t, "dice")
	if dice < 38 {
		return
	}
	o := op{kind: opClose, a: uint8(dice)}
	t.Log(o)
	if err := m.do(o); err != nil {
		t.Fatal(err)
	}
}
