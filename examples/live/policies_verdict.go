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
	isStuck := l.Speed == stuck && l.Len == l.Cap
	// A wait that the rate survives, as within a burst, holds nobody up.
	isSlow := l.Speed != stuck && fullOften && s.Blocked > 0.05 && s.Real < 0.95*float64(s.Rate)
	switch {
	case l.Name == "Block" && isStuck:
		return "stuck: everybody waits"
	case l.Name == "Block" && isSlow:
		return "slow: everybody waits"
	case l.Name == "BlockFor" && isStuck:
		return fmt.Sprintf("stuck: everybody waits %v for each event", blockForWait)
	case l.Name == "BlockFor" && isSlow:
		return fmt.Sprintf("slow: everybody waits, at most %v", blockForWait)
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
	case l.Speed == stuck && l.Len == l.Cap:
		return verdict{suffers, "stuck, its buffer is full"}
	case l.Speed == stuck:
		return verdict{suffers, "stuck, its buffer fills"}
	case len(held) > 0 && l.Gets < 0.9*float64(s.Rate):
		return verdict{suffers, "waits for " + and(held)}
	}
	return verdict{good, "keeps up"}
}

func (s *state) headline() verdict {
	var lines, losers, gone, filling []string
	for _, l := range s.Lanes {
		switch {
		case l.Verdict.Level == culprit:
			lines = append(lines, s.blame(l))
		case l.Verdict.Level == out:
			gone = append(gone, l.Name)
		case l.Loses > 0:
			losers = append(losers, l.Name)
		case l.Speed == stuck:
			filling = append(filling, l.Name)
		}
	}
	level := suffers
	if len(lines) > 0 {
		level = culprit
	}
	if len(losers) > 0 {
		lines = append(lines, fmt.Sprintf("%s %s events: nobody else notices.", and(losers), verb(losers, "loses", "lose")))
	}
	if len(gone) > 0 {
		lines = append(lines, and(gone)+" was too slow and is out: nobody else notices.")
	}
	if len(lines) == 0 && len(filling) > 0 {
		lines = append(lines, fmt.Sprintf("%s %s stuck: the buffer takes the events, for now.", and(filling), verb(filling, "is", "are")))
	}
	if len(lines) == 0 {
		return verdict{good, "Everybody keeps up: nothing waits, nothing is lost."}
	}
	return verdict{level, strings.Join(lines, " ")}
}

// blame says what a culprit does to everybody.
func (s *state) blame(l laneState) string {
	how := "slow"
	if l.Speed == stuck {
		how = "stuck"
	}
	if l.Name == "Block" && l.Speed == stuck {
		return "Block is stuck: everybody waits."
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
