package main

import (
	"fmt"
	"slices"
	"strings"
)

// verdict is what the numbers mean, in words.
type verdict struct {
	Level string `json:"level"` // one of those below
	Text  string `json:"text"`
}

const (
	good    = "good"    // keeps up
	suffers = "suffers" // loses, or gets less than is wanted
	culprit = "culprit" // holds everybody up
	out     = "out"     // was ejected
)

// judge says of every lane how it fares, and in a headline who suffers from
// whom. fullOften is of the last second.
func (s *state) judge(fullOften []bool) {
	var held []string // the culprits
	for i := range s.Lanes {
		l := &s.Lanes[i]
		if text := s.holdsUp(l, fullOften[i]); text != "" {
			l.Verdict = verdict{culprit, text}
			held = append(held, l.Name)
		}
	}
	for i := range s.Lanes {
		if l := &s.Lanes[i]; l.Verdict.Level == "" {
			l.Verdict = s.fares(l, held)
		}
	}
	s.Verdict = s.headline()
}

// holdsUp says how the publisher has to wait for l, or nothing.
func (s *state) holdsUp(l *laneState, fullOften bool) string {
	if l.patience == 0 {
		return ""
	}
	isStuck := l.Speed == stuck && l.Len == l.Cap
	// A wait that the rate survives, as within a burst, holds nobody up.
	isSlow := l.Speed != stuck && fullOften && s.Blocked > 0.05 && s.Real < 0.95*float64(s.Rate)
	switch {
	case isStuck && l.patience == forever:
		return "stuck: everybody waits"
	case isStuck:
		return fmt.Sprintf("stuck: everybody waits %v for each event", l.patience)
	case isSlow && l.patience == forever:
		return "slow: everybody waits"
	case isSlow:
		return fmt.Sprintf("slow: everybody waits, at most %v", l.patience)
	}
	return ""
}

// fares says how somebody fares who holds nobody up.
func (s *state) fares(l *laneState, held []string) verdict {
	switch {
	case !l.Live:
		return verdict{out, "ejected: its buffer was full"}
	case l.Loses > 0:
		return verdict{suffers, fmt.Sprintf("loses %s/s, alone", perSecond(l.Loses))}
	case l.Speed == stuck && l.Keys > 0:
		return verdict{suffers, "stuck, only the latest of each key waits"}
	case l.Speed == stuck && l.Len == l.Cap:
		return verdict{suffers, "stuck, its buffer is full"}
	case l.Speed == stuck:
		return verdict{suffers, "stuck, its buffer fills"}
	case len(held) > 0 && l.Gets < 0.9*float64(s.Rate):
		return verdict{suffers, "waits for " + and(held)}
	case s.skipsAhead(l):
		return verdict{good, fmt.Sprintf("always the latest: %s/s replaced", perSecond(l.Coalesces))}
	}
	return verdict{good, "keeps up"}
}

// skipsAhead tells whether l is meant to show less than all. What bursts alone
// make it skip is not worth a word.
func (s *state) skipsAhead(l *laneState) bool {
	return l.Keys > 0 && l.Coalesces > 0 && l.Speed < s.Rate
}

func (s *state) headline() verdict {
	var lines, losers, gone, filling, skipping []string
	for i := range s.Lanes {
		l := &s.Lanes[i]
		switch {
		case l.Verdict.Level == culprit:
			lines = append(lines, s.blame(l))
		case l.Verdict.Level == out:
			gone = append(gone, l.Name)
		case l.Loses > 0:
			losers = append(losers, l.Name)
		case l.Keys > 0 && l.Speed == stuck || s.skipsAhead(l):
			skipping = append(skipping, l.Name)
		case l.Speed == stuck:
			filling = append(filling, l.Name)
		}
	}
	var alone []string
	if len(losers) > 0 {
		alone = append(alone, fmt.Sprintf("%s %s events", and(losers), verb(losers, "loses", "lose")))
	}
	if len(gone) > 0 {
		alone = append(alone, and(gone)+" was too slow and is out")
	}
	if len(lines)+len(alone) == 0 && len(filling) > 0 {
		lines = append(lines, fmt.Sprintf("%s %s stuck: the buffer takes the events, for now.", and(filling), verb(filling, "is", "are")))
	}
	if len(skipping) > 0 {
		alone = append(alone, fmt.Sprintf("%s %s replaced values", and(skipping), verb(skipping, "skips", "skip")))
	}
	if len(alone) > 0 {
		lines = append(lines, strings.Join(alone, ", ")+": nobody else notices.")
	}
	if len(lines) == 0 {
		return verdict{good, "Everybody keeps up: nothing waits, nothing is lost."}
	}
	return verdict{s.worst(), strings.Join(lines, " ")}
}

// worst is the level of the headline. Who is out troubles nobody else.
func (s *state) worst() string {
	level := good
	for _, l := range s.Lanes {
		switch l.Verdict.Level {
		case culprit:
			return culprit
		case suffers, out:
			level = suffers
		}
	}
	return level
}

// blame says what a culprit does to everybody.
func (s *state) blame(l *laneState) string {
	how := "slow"
	if l.Speed == stuck {
		how = "stuck"
	}
	if l.patience == forever && l.Speed == stuck {
		return l.Name + " is stuck: everybody waits."
	}
	return fmt.Sprintf("%s is %s: everybody gets %s of %d events/s.", l.Name, how, perSecond(s.Real), s.Rate)
}

func perSecond(rate float64) string {
	if rate < 10 {
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

// and lists names as people do.
func and(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(slices.Clone(names[:last]), ", ") + " and " + names[last]
}

func verb(names []string, one, several string) string {
	if len(names) == 1 {
		return one
	}
	return several
}
