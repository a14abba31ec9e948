package main

import (
	"fmt"
	"io"
	"time"
)

// progress shows what runs, which of how many, and about how much time is left.
type progress struct {
	out      io.Writer
	terminal bool
	scale    scale
	steps    []step
	began    time.Time
	now      func() time.Time
	shown    time.Time
}

func newProgress(out io.Writer, terminal bool, s scale, steps []step) *progress {
	return &progress{out: out, terminal: terminal, scale: s, steps: steps, began: time.Now(), now: time.Now}
}

// begin is called before step i. On a terminal the line is written over, elsewhere there
// is one every 5 seconds.
func (p *progress) begin(i int, st step) {
	now := p.now()
	if !p.terminal && i > 0 && now.Sub(p.shown) < 5*time.Second {
		return
	}
	p.shown = now
	line := fmt.Sprintf("%d of %d  %s  about %v left", i+1, len(p.steps), label(st), p.left(i, now).Round(time.Second))
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[K%s", line)
	} else {
		fmt.Fprintln(p.out, line)
	}
}

// end leaves the line.
func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// left guesses: what is left takes as long as what was done, by their nominal times, and
// not longer than the budget.
func (p *progress) left(i int, now time.Time) time.Duration {
	var done, todo time.Duration
	for k, st := range p.steps {
		if k < i {
			done += p.scale.nominal(st)
		} else {
			todo += p.scale.nominal(st)
		}
	}
	elapsed := now.Sub(p.began)
	guess := todo
	if done > 5*time.Second {
		guess = time.Duration(float64(todo) * float64(elapsed) / float64(done))
	}
	return max(0, min(guess, p.scale.budget-elapsed))
}

// label says what a step is.
func label(st step) string {
	j := st.jobs[0]
	who := j.Peer
	if len(st.jobs) > 1 {
		who = fmt.Sprintf("%d competitors", len(st.jobs))
	}
	text := fmt.Sprintf("%s: %s", who, j.Workload)
	if j.Misuse != "" {
		return text + ", " + j.Misuse
	}
	text += fmt.Sprintf(", subscribers %d, buffer %d", j.Subscribers, j.Buffer)
	if j.Publishers > 0 {
		text += fmt.Sprintf(", publishers %d", j.Publishers)
	}
	return fmt.Sprintf("%s (run %d)", text, st.run+1)
}
