package natsbridge

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gobroadcast/broadcast/bridge"
)

// place is what a Position of a stream says: name@born:seq, where born tells streams
// apart that had the same name one after the other.
type place struct {
	stream string
	born   int64 // when the stream was made, in ns
	seq    uint64
}

// origin is a place without its number, as it begins every position of the stream.
func origin(stream string, born time.Time) string {
	return stream + "@" + strconv.FormatInt(born.UnixNano(), 36) + ":"
}

// at is the position of message seq of the stream that prefix is the origin of.
func at(prefix string, seq uint64) bridge.Position {
	b := make([]byte, 0, len(prefix)+20)
	b = append(b, prefix...)
	return bridge.Position(strconv.AppendUint(b, seq, 10))
}

var errNoPosition = errors.New("not a position of a stream")

func parsePosition(p bridge.Position) (place, error) {
	head, number, ok := cutLast(string(p), ":")
	name, born, ok2 := cutLast(head, "@")
	if !ok || !ok2 || name == "" {
		return place{}, errNoPosition
	}
	pl := place{stream: name}
	var err, err2 error
	pl.born, err = strconv.ParseInt(born, 36, 64)
	pl.seq, err2 = strconv.ParseUint(number, 10, 64)
	if err != nil || err2 != nil || origin(name, time.Unix(0, pl.born))+strconv.FormatUint(pl.seq, 10) != string(p) {
		return place{}, errNoPosition
	}
	return pl, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// maxDurable is the longest name of a durable that is spelled out. Servers take 255.
const maxDurable = 200

// durableName is the durable of a pattern: both in letters that JetStream takes, and
// never the same for two pairs. "__" is in none of the parts.
func durableName(name, pattern string) string {
	if full := escape(name) + "__" + escape(pattern); len(full) <= maxDurable {
		return full
	}
	sum := sha256.Sum256([]byte(strconv.Quote(name) + pattern))
	return "__" + hex.EncodeToString(sum[:])
}

// escape leaves letters, digits and dashes, and writes any other byte as _ and two
// digits.
func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "_%02X", c)
		}
	}
	return b.String()
}

// covers tells whether pattern matches every subject that subject does, which may have
// wildcards too.
func covers(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, t := range p {
		switch {
		case t == ">":
			return i < len(s)
		case i >= len(s), s[i] == ">":
			return false
		case t != "*" && t != s[i]:
			return false
		}
	}
	return len(p) == len(s)
}

// meets tells whether there is a subject that both match.
func meets(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := 0; i < len(x) && i < len(y); i++ {
		switch {
		case x[i] == ">" || y[i] == ">":
			return true
		case x[i] != "*" && y[i] != "*" && x[i] != y[i]:
			return false
		}
	}
	return len(x) == len(y)
}
