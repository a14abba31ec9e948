package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/gobroadcast/broadcast"
)

// totals writes what became of every event, for each subscriber that ever was,
// and an error if the numbers do not add up. It wants everything at rest.
func totals(l *ledger, hub broadcast.Stats) (string, error) {
	known, earlier, nEarlier := l.all()
	sum := earlier
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "offered\treceived\tdropped\tfiltered\tcoalesced\tleft\t  subscriber")
	if nEarlier > 0 {
		row(t, fmt.Sprintf("%d earlier", nEarlier), earlier)
	}
	for _, c := range known {
		a := c.account()
		sum.add(a)
		row(t, c.name, a)
	}
	if n := nEarlier + len(known); n > 1 {
		row(t, fmt.Sprintf("all %d", n), sum)
	}
	if err := t.Flush(); err != nil {
		return "", err
	}
	return b.String(), addUp(sum, hub)
}

// row writes a in columns; the name stands last, left aligned as it comes.
func row(t *tabwriter.Writer, name string, a account) {
	if a.unsent > 0 {
		name += fmt.Sprintf(" (its last %d received could not be written)", a.unsent)
	}
	if a.wrong > 0 {
		name += "  <-- DOES NOT ADD UP"
	}
	fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t%d\t  %s\n", a.offered, a.received, a.dropped, a.filtered, a.coalesced, a.left, name)
}

func addUp(sum account, hub broadcast.Stats) error {
	switch {
	case sum.wrong > 0:
		return fmt.Errorf("THE NUMBERS DO NOT ADD UP for %d subscribers: offered must be received + dropped + filtered + coalesced + left, "+
			"and received what the subscriber itself has counted", sum.wrong)
	case sum.offered != hub.Offered || sum.dropped != hub.Dropped || sum.filtered != hub.Filtered || sum.coalesced != hub.Coalesced:
		return fmt.Errorf("THE NUMBERS DO NOT ADD UP: the subscribers say offered %d, dropped %d, filtered %d, coalesced %d; "+
			"the hub says %d, %d, %d, %d", sum.offered, sum.dropped, sum.filtered, sum.coalesced,
			hub.Offered, hub.Dropped, hub.Filtered, hub.Coalesced)
	}
	return nil
}
