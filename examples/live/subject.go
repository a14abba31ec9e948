package main

import (
	"fmt"
	"strings"
)

// token makes a name of the host into one token of a NATS subject. Names of
// devices and interfaces may hold what a token must not (dots, spaces, * and >:
// eth0.100 is an ordinary VLAN). Such bytes are percent-encoded, so that two
// names never become one subject, and the page can show the name as it was.
func token(name string) string {
	if name == "" {
		return "_"
	}
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; plain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
