package report

import (
	"fmt"
	"strconv"
	"strings"
)

// digits writes three significant digits, and not fewer than all before the point.
func digits(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x >= 999.5:
		return group(strconv.FormatFloat(x, 'f', 0, 64))
	case x >= 99.95:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case x >= 9.995:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case x >= 0.1:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case x >= 0.01:
		return strconv.FormatFloat(x, 'f', 3, 64)
	}
	return strconv.FormatFloat(x, 'g', 2, 64)
}

func group(s string) string {
	var parts []string
	for len(s) > 3 {
		parts = append([]string{s[len(s)-3:]}, parts...)
		s = s[:len(s)-3]
	}
	return strings.Join(append([]string{s}, parts...), ",")
}

func count(n int) string { return group(strconv.Itoa(n)) }

// ranged writes a spread: the median, and in brackets the smallest and largest run.
func ranged(s spread, unit string) string {
	if s.n == 0 {
		return ""
	}
	if s.n == 1 || digits(s.low) == digits(s.high) {
		return digits(s.mid) + unit
	}
	return fmt.Sprintf("%s%s (%s to %s)", digits(s.mid), unit, digits(s.low), digits(s.high))
}

func scaled(s spread, by float64) spread {
	return spread{s.mid * by, s.low * by, s.high * by, s.n}
}

// nanos writes a time in the unit that suits its median.
func nanos(s spread) string {
	switch {
	case s.mid >= 1e9:
		return ranged(scaled(s, 1e-9), " s")
	case s.mid >= 1e6:
		return ranged(scaled(s, 1e-6), " ms")
	case s.mid >= 1e3:
		return ranged(scaled(s, 1e-3), " µs")
	}
	return ranged(s, " ns")
}

// escape keeps a text of a peer's inside its cell of a table.
func escape(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;", "*", "\\*", "`", "'").Replace(s)
}

// table writes rows of cells; the first one is the head.
func table(w *strings.Builder, rows [][]string) {
	for i, row := range rows {
		w.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			w.WriteString("|" + strings.Repeat("---|", len(row)) + "\n")
		}
	}
	w.WriteString("\n")
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + one + "s"
}
