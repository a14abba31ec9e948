package model

import (
	"fmt"
	"time"
)

// kind is what an operation does.
type kind uint8

const (
	opSubscribe kind = iota
	opPlain
	opCloseSub
	opCancelSub
	opPublish
	opPublishBatch
	opPublishCanceled
	opCancelPublish
	opReceive
	opReceiveAll
	opPark
	opAdvance
	opClose
	opStats
	kinds
)

var kindNames = [kinds]string{
	"Subscribe", "Plain", "CloseSub", "CancelSub", "Publish", "PublishBatch", "PublishCanceled", "CancelPublish",
	"Receive", "ReceiveAll", "Park", "Advance", "Close", "Stats",
}

// op is an operation with its arguments. An op that does not apply, such as a
// receive without a subscription, does nothing.
type op struct {
	kind       kind
	a, b, c, d uint8
}

// arguments is how many an operation has.
var arguments = [kinds]int{
	opSubscribe: 4, opCloseSub: 1, opCancelSub: 1, opPublishBatch: 1, opPublishCanceled: 1, opCancelPublish: 1,
	opReceive: 1, opReceiveAll: 1, opPark: 1, opAdvance: 1, opClose: 1,
}

func (o op) String() string {
	args := []uint8{o.a, o.b, o.c, o.d}[:arguments[o.kind]]
	if o.kind == opSubscribe {
		return fmt.Sprintf("Subscribe(%s, cap %d, filter %d, context %d)",
			policies[int(o.a)%len(policies)].name, o.b%5, int(o.c)%len(filters), o.d%8)
	}
	return fmt.Sprintf("%s%v", kindNames[o.kind], args)
}

const maxLive, maxCalls, maxBatch = 5, 4, 5

// applies tells whether o can be done now.
func (m *machine) applies(o op) bool {
	switch o.kind {
	case opSubscribe, opPlain:
		return m.model.Len() < maxLive
	case opCloseSub, opCancelSub, opReceive, opReceiveAll:
		return len(m.subs) > 0
	case opPark:
		return len(m.subs) > 0 && m.mayPark(m.pick(int(o.a)))
	case opPublish, opPublishBatch:
		return len(m.calls) < maxCalls
	case opCancelPublish:
		return len(m.calls) > 0
	}
	return true
}

// do does o to the hub and to the model, and compares all that can be seen.
func (m *machine) do(o op) error {
	if !m.applies(o) {
		return nil
	}
	operations.Add(1)
	var err error
	switch o.kind {
	case opSubscribe:
		// Of eight contexts five are none, two live, and one has ended.
		m.subscribe(joining{policy: int(o.a), cap: int(o.b % 5), filter: int(o.c), context: o.d%8 > 4, ended: o.d%8 == 7})
	case opPlain:
		m.subscribe(joining{plain: true})
	case opCloseSub:
		m.closeSub(m.pick(int(o.a)))
	case opCancelSub:
		m.cancelSub(m.pick(int(o.a)))
	case opPublish:
		m.publish(1, false, false)
	case opPublishBatch:
		m.publish(int(o.a%maxBatch), true, false)
	case opPublishCanceled:
		m.publish(1+int(o.a/2%3), o.a%2 == 1 || o.a/2%3 > 0, true)
	case opCancelPublish:
		m.cancelPublish(int(o.a))
	case opReceive:
		_, err = m.receive(m.pick(int(o.a)))
	case opReceiveAll:
		err = m.receiveAll(m.pick(int(o.a)))
	case opPark:
		m.park(m.pick(int(o.a)))
	case opAdvance:
		m.advance(time.Duration(o.a%8) * 500 * time.Microsecond)
	case opClose:
		m.close(o.a%2 == 1)
	}
	if err == nil {
		err = m.check()
	}
	if err != nil {
		return fmt.Errorf("after %v: %w", o, err)
	}
	return nil
}
