package natsbridge

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// Option configures a source of this package. Where an option is given twice, the
// last one counts. One that is not for the constructor is an error of that.
type Option interface{ apply(*config) }

// kind is a set of constructors.
type kind uint8

const (
	forCore kind = 1 << iota
	forStream
	forDurable
)

func (k kind) String() string {
	var names []string
	for i, name := range []string{"NewCore", "NewStream", "NewDurable"} {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " and ")
}

type option struct {
	name string
	kind kind // the constructors that it is for
	set  func(*config)
}

func (o option) apply(c *config) {
	if o.kind&c.kind == 0 && c.foreign == nil {
		c.foreign = fmt.Errorf("natsbridge: %s is for %v, and not for %v", o.name, o.kind, c.kind)
	}
	o.set(c)
}

type config struct {
	kind    kind  // the constructor
	foreign error // the first option that is not for it

	maxMessages, maxBytes int // pending ones, of one subscription
	streams               streamConfig
}

func newConfig(k kind, opts []Option) config {
	c := config{
		kind:        k,
		maxMessages: nats.DefaultSubPendingMsgsLimit,
		maxBytes:    nats.DefaultSubPendingBytesLimit,
		streams:     newStreamConfig(),
	}
	for _, o := range opts {
		o.apply(&c)
	}
	return c
}

// WithPendingLimits bounds how many messages, and bytes, of one subscription of NewCore
// wait to be decoded: further ones are dropped, which is a Gap with their exact number,
// where they are missing. Without it, 500,000 messages and 64 MiB, as nats.go has it.
// A negative number is no bound, and 0 is an error of NewCore.
func WithPendingLimits(messages, bytes int) Option {
	return option{"WithPendingLimits", forCore, func(c *config) { c.maxMessages, c.maxBytes = messages, bytes }}
}

func (c *config) check() error {
	if c.foreign == nil && (c.maxMessages == 0 || c.maxBytes == 0) {
		return fmt.Errorf("natsbridge: WithPendingLimits(%d, %d): 0 would drop everything; a negative number is no bound", c.maxMessages, c.maxBytes)
	}
	return c.foreign
}
