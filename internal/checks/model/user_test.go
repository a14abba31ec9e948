package model

import (
	"time"

	"github.com/gobroadcast/broadcast"
)

// userPolicy is a policy of a name, for the model and for the hub.
type userPolicy struct {
	name   string
	model  Policy
	leaves bool // it closes its own subscription
}

var policies = []userPolicy{
	{"Block", Policy{Act: Block}, false},
	{"DropNewest", Policy{Act: DropNewest}, false},
	{"DropOldest", Policy{Act: DropOldest}, false},
	{"Eject", Policy{Act: Eject}, false},
	{"BlockFor DropNewest", Policy{Wait: 2 * time.Millisecond, Act: DropNewest}, false},
	{"BlockFor DropOldest", Policy{Wait: 3 * time.Millisecond, Act: DropOldest}, false},
	{"BlockFor Eject", Policy{Wait: 5 * time.Millisecond, Act: Eject}, false},
	{"patient", Policy{Ask: patient}, false},
	{"mixed", Policy{Ask: mixed}, false},
	{"panics", Policy{Ask: panics}, false},
	{"leaves", Policy{Ask: leaves}, true},
	{"BlockFor mixed", Policy{Wait: 2 * time.Millisecond, Ask: mixed}, false},
	{"BlockFor panics", Policy{Wait: 2 * time.Millisecond, Ask: panics}, false},
	{"BlockFor leaves", Policy{Wait: 2 * time.Millisecond, Ask: leaves}, true},
}

// patient ejects who overflows three times in a row.
func patient(o Overflow) Act {
	if o.Consecutive < 2 {
		return DropNewest
	}
	return Eject
}

func mixed(o Overflow) Act {
	return []Act{DropOldest, DropNewest, Block}[(o.Dropped+o.Consecutive)%3]
}

func panics(o Overflow) Act {
	return []Act{DropOldest, Panic}[o.Dropped%2]
}

func leaves(o Overflow) Act {
	return []Act{DropNewest, DropOldest, Leave}[o.Dropped%3]
}

// real is the policy as the hub takes it. note is given what the hub tells it,
// and self closes its own subscription.
func (u userPolicy) real(note func(broadcast.Overflow) Overflow, self func()) broadcast.Policy {
	actions := [...]broadcast.Action{
		Block: broadcast.Block, DropNewest: broadcast.DropNewest, DropOldest: broadcast.DropOldest, Eject: broadcast.Eject,
	}
	var p broadcast.Policy
	if ask := u.model.Ask; ask != nil {
		p = broadcast.PolicyFunc(func(o broadcast.Overflow) broadcast.Action {
			switch act := ask(note(o)); act {
			case Panic:
				panic(thrown)
			case Leave:
				self()
				return broadcast.Block
			default:
				return actions[act]
			}
		})
	} else {
		p = actions[u.model.Act]
	}
	if u.model.Wait > 0 {
		return broadcast.BlockFor(u.model.Wait, p)
	}
	return p
}

// filters are what subscriptions keep. The first ones are drawn more often.
var filters = []func(int) Verdict{
	nil,
	nil,
	nil,
	func(e int) Verdict { return []Verdict{Keep, Reject}[e%2] },
	func(e int) Verdict { return []Verdict{Reject, Keep, Keep}[e%3] },
	func(int) Verdict { return Reject },
	func(e int) Verdict { return []Verdict{Keep, Reject, Keep, Crash}[e%4] },
	func(e int) Verdict { return []Verdict{Keep, Keep, Keep, LeaveKeep, Keep, Keep, LeaveReject}[e%7] },
	func(e int) Verdict { return []Verdict{Keep, CancelKeep, Keep}[e%3] },
}

// keeps is the filter as the hub takes it. self closes its own
// subscription, and cancel ends the context of the publish of an event.
func keeps(f func(int) Verdict, self func(), cancel func(int)) func(int) bool {
	return func(e int) bool {
		switch f(e) {
		case Keep:
			return true
		case LeaveKeep:
			self()
			return true
		case CancelKeep:
			cancel(e)
			return true
		case LeaveReject:
			self()
		case Crash:
			panic(thrown)
		}
		return false
	}
}
