package natsbridge

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gobroadcast/broadcast/bridge"
)

// maxSubject is the longest pattern that is sent. A server takes 4,096 bytes in one
// line of the protocol, and a longer one costs the application its connection.
const maxSubject = 4000

// checkSubject says what is wrong with a pattern. It is at least as strict as the
// server, which closes the connection because of a malformed one.
func checkSubject(pattern string) error {
	why := ""
	tokens := strings.Split(pattern, ".")
	switch {
	case pattern == "":
		why = "it is empty"
	case len(pattern) > maxSubject:
		return bridge.Permanent(fmt.Errorf("natsbridge: %w: %d bytes, and a server takes no more than %d", ErrSubject, len(pattern), maxSubject))
	case strings.ContainsFunc(pattern, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		why = "a space or a control character"
	case hasEmpty(tokens):
		why = "an empty token: a dot at the beginning, at the end, or beside another"
	case hasEarlyTail(tokens):
		why = `">" stands for all that follows, and is the last token`
	}
	if why == "" {
		return nil
	}
	return bridge.Permanent(fmt.Errorf("natsbridge: %w %q: %s", ErrSubject, pattern, why))
}

// ErrSubject is wrapped by the error of a Run whose pattern is not a NATS subject.
var ErrSubject = errors.New("malformed subject")

func hasEmpty(tokens []string) bool {
	for _, t := range tokens {
		if t == "" {
			return true
		}
	}
	return false
}

func hasEarlyTail(tokens []string) bool {
	for _, t := range tokens[:len(tokens)-1] {
		if t == ">" {
			return true
		}
	}
	return false
}
