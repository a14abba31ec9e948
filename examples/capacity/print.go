package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// print writes the plan.
func (m measured) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s subscribers, %s events behind at most, %s an event, %s events a second; %d core(s)\n\n",
		group(m.subscribers), group(m.buffer), size(float64(m.event)), group(m.rate), m.cores)
	m.costTable(&b)
	fmt.Fprintln(&b)
	if m.event > largest {
		fmt.Fprintf(&b, "Events of more than %s are to be published as pointers: buffers hold %d bytes for each, and the events are extra.\n",
			size(largest), pointerBytes)
	}
	if m.size != m.slot() {
		fmt.Fprintf(&b, "Measured with events of %s, the next size that this program has.\n", size(float64(m.size)))
	}
	if m.n < m.subscribers {
		fmt.Fprintf(&b, "Measured with %s subscribers; the rates, and what a publish to channels takes, are scaled.\n", group(m.n))
	}
	if m.event > largest || m.size != m.slot() || m.n < m.subscribers {
		fmt.Fprintln(&b)
	}
	m.memoryTable(&b)
	m.network(&b)
	m.verdict(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (m measured) costTable(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\ta publish takes\thighest rate\tof which you ask for")
	for k := range kinds {
		c := m.costs[k]
		fmt.Fprintf(t, "%v\t%v\t%s/s\t%s %%\n", k, rounded(c.publish), figure(c.rate), figure(100*float64(m.rate)/c.rate))
	}
	_ = t.Flush()
}

func (m measured) memoryTable(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "memory\tformula\tall\tgoroutines\tmeasured, each")
	for k := range kinds {
		each, shared := m.memory(k)
		formula := size(each) + " each"
		if shared > 0 {
			formula += " + " + size(shared)
		}
		fmt.Fprintf(t, "%v\t%s\t%s\t+ %s\t%s with its goroutine (formula %s)\n", k, formula, size(m.total(k)),
			size(m.goroutine*float64(m.subscribers)), size(m.costs[k].each), size(m.expected(k)))
	}
	_ = t.Flush()
	fmt.Fprintln(b)
}

// expected is what the formula says of what was measured.
func (m measured) expected(k kind) float64 {
	l := m.load
	l.event = m.size
	each, shared := l.memory(k)
	return each + shared/float64(m.held) + m.goroutine
}

func (m measured) network(b *strings.Builder) {
	least, most := m.wire(m.subscribers)
	fmt.Fprintf(b, "A broker with a connection for each subscriber sends %s to %s;\n", bits(least), bits(most))
	least, most = m.wire(1)
	fmt.Fprintf(b, "with one for this process, and a hub behind it, %s to %s.\n\n", bits(least), bits(most))
}

func (m measured) verdict(b *strings.Builder) {
	var rates [kinds]float64
	for k := range kinds {
		rates[k] = m.costs[k].rate
	}
	c := m.choose(rates)
	switch {
	case !c.fits:
		fmt.Fprintf(b, "Choose: nothing does %s events a second without loss and with half of it to spare. Let slow subscribers lose what is\n"+
			"old (DropOldest), or split them among %s machines like this one, with %v.\n", group(m.rate), group(c.machines), c.kind)
	case c.kind == channels:
		fmt.Fprintf(b, "Choose: channel subscriptions. They do the rate with half of it to spare, and work in a select.\n")
	case c.kind == next && float64(m.rate) <= rates[channels]*headroom:
		fmt.Fprintf(b, "Choose: readers with Next. Channel subscriptions do the rate too, but their buffers take %s.\n", size(m.total(channels)))
	case c.kind == next:
		fmt.Fprintf(b, "Choose: readers with Next. Channel subscriptions would leave less than half of the time for all else.\n")
	default:
		fmt.Fprintf(b, "Choose: readers with ReadBatch. Everything else would leave less than half of the time for all else.\n")
	}
}

func rounded(d time.Duration) time.Duration {
	switch {
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond)
	case d >= time.Microsecond:
		return d.Round(10 * time.Nanosecond)
	}
	return d
}

// size writes bytes.
func size(x float64) string {
	for _, u := range []string{"B", "KiB", "MiB", "GiB"} {
		if x < 1024 {
			return unit(x, u)
		}
		x /= 1024
	}
	return unit(x, "TiB")
}

// bits writes bytes a second as bits a second, as networks are sold.
func bits(x float64) string {
	x *= 8
	for _, u := range []string{"bit/s", "kbit/s", "Mbit/s", "Gbit/s"} {
		if x < 1000 {
			return unit(x, u)
		}
		x /= 1000
	}
	return unit(x, "Tbit/s")
}

func unit(x float64, u string) string {
	if x < 10 && x != float64(int(x)) {
		return fmt.Sprintf("%.1f %s", x, u)
	}
	return fmt.Sprintf("%.0f %s", x, u)
}

// figure writes a rate with three digits that count.
func figure(x float64) string {
	if x >= 1000 {
		step := 1
		for float64(step)*1000 <= x {
			step *= 10
		}
		return group((int(x) + step/2) / step * step)
	}
	return fmt.Sprintf("%.3g", x)
}

func group(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
