package natsbridge

import (
	"fmt"

	"github.com/nats-io/nats.go"
)

// Option configures a source of this package. Where an option is given twice, the
// last one counts.
type Option interface{ apply(*config) }

type option func(*config)

func (o option) apply(c *config) { o(c) }

type config struct {
	maxMessages, maxBytes int // pending ones, of one subscription
	streams               streamConfig
}

func newConfig(opts []Option) config {
	c := config{
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
	return option(func(c *config) { c.maxMessages, c.maxBytes = messages, bytes })
}

func (c *config) check() error {
	if c.maxMessages == 0 || c.maxBytes == 0 {
		return fmt.Errorf("natsbridge: WithPendingLimits(%d, %d): 0 would drop everything; a negative number is no bound", c.maxMessages, c.maxBytes)
	}
	return nil
}
