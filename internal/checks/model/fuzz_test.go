package model

import (
	"strings"
	"testing"
	"testing/synctest"
)

// FuzzProgram takes bytes as a program: three that say what the hub is, then an
// operation after the other, each a byte for its kind and one for each argument.
// The executor and the model are those of TestModel; what is new is that the
// inputs are led by what they cover in the hub's code.
func FuzzProgram(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		const most = 2000 // bytes: longer programs find nothing that these do not
		s, ops := decode(code[:min(len(code), most)])
		synctest.Test(t, func(t *testing.T) {
			m := newMachine(s)
			defer m.release()
			for i, o := range ops {
				if err := m.do(o); err != nil {
					t.Fatalf("%v\nthe hub: %+v\nthe program:\n%s", err, s, listing(ops[:i+1]))
				}
			}
			if err := m.finish(); err != nil {
				t.Fatalf("%v\nthe hub: %+v\nthe program:\n%s", err, s, listing(ops))
			}
		})
	})
}

func listing(ops []op) string {
	var b strings.Builder
	for _, o := range ops {
		b.WriteString("\t" + o.String() + "\n")
	}
	return b.String()
}

// decode reads a program. What is missing at the end is 0.
func decode(code []byte) (setup, []op) {
	next := func() (b uint8) {
		if len(code) > 0 {
			b, code = code[0], code[1:]
		}
		return b
	}
	s := setup{policy: int(next()), buffer: int(next())}
	flags := next()
	s.hooks, s.log, s.meters = flags&1 != 0, flags&2 != 0, flags&4 != 0
	var ops []op
	for len(code) > 0 {
		o := op{kind: kind(next()) % kinds}
		for _, arg := range []*uint8{&o.a, &o.b, &o.c, &o.d}[:arguments[o.kind]] {
			*arg = next()
		}
		ops = append(ops, o)
	}
	return s, ops
}

// encode is the inverse of decode.
func encode(policy, buffer, flags uint8, ops ...op) []byte {
	code := []byte{policy, buffer, flags}
	for _, o := range ops {
		code = append(code, uint8(o.kind))
		code = append(code, []uint8{o.a, o.b, o.c, o.d}[:arguments[o.kind]]...)
	}
	return code
}

// seeds take each policy with each filter and several capacities through every
// operation and every end.
func seeds() (all [][]byte) {
	for policy := range uint8(len(policies)) {
		for filter := range uint8(len(filters)) {
			sub := op{opSubscribe, policy, (policy + filter) % 5, filter, 5}
			all = append(all, encode(policy, filter%5, policy%8,
				sub, op{kind: opPlain}, op{kind: opPark, a: filter}, op{kind: opPublish},
				op{kind: opPublishBatch, a: 4}, op{kind: opReceive}, op{kind: opPublish}, op{kind: opPublishBatch, a: 3},
				op{kind: opAdvance, a: 4}, op{kind: opReceiveAll}, sub, op{kind: opPublishCanceled, a: filter},
				op{kind: opPublishBatch, a: 4}, op{kind: opAdvance, a: 7}, op{kind: opPublish},
				op{kind: opCancelPublish, a: policy}, op{kind: opPublishBatch, a: 2}, op{kind: opCancelSub, a: filter},
				op{kind: opReceiveAll, a: 1}, sub, op{kind: opPublishBatch, a: 4}, op{kind: opCloseSub, a: filter},
				op{kind: opStats}, op{kind: opPublish}, op{kind: opReceive, a: 1}, op{kind: opClose, a: policy}, sub,
				op{kind: opPublish}, op{kind: opReceiveAll, a: 2}))
		}
	}
	return all
}

// Bytes that mean another program than was written would make the seeds empty.
func TestSeeds(t *testing.T) {
	used := map[kind]bool{}
	for _, code := range seeds() {
		s, ops := decode(code)
		again := encode(uint8(s.policy), uint8(s.buffer), code[2], ops...)
		if string(again) != string(code) {
			t.Fatalf("%v: decoded and encoded it is %v", code, again)
		}
		for _, o := range ops {
			used[o.kind] = true
		}
	}
	if len(used) != int(kinds) {
		t.Errorf("the seeds have %d kinds of operation, want all %d", len(used), kinds)
	}
}
