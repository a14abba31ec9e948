package sched

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// plan makes the choices of a schedule.
type plan interface {
	// joined tells of a new actor.
	joined(a *actor)
	// actor picks who goes on. With preempting, the first of options is the one
	// that runs and could go on.
	actor(options []*actor, preempting bool) (int, error)
	// pick picks one of n ways in which an operation may go.
	pick(n int) (int, error)
	// taken is what was picked so far.
	taken() []int
}

// search goes through all schedules with at most bound preemptions, depth first.
// A preemption is a change of actor while the one that runs could go on; changes
// where it cannot are free. After: Musuvathi and Qadeer, Iterative Context
// Bounding, PLDI 2007.
type search struct {
	bound int
	path  []choice // of the schedule that runs, or ran
	depth int
	spent int // preemptions
}

type choice struct{ taken, options int }

func (s *search) joined(*actor) {}

func (s *search) actor(options []*actor, preempting bool) (int, error) {
	n := len(options)
	if preempting && s.spent >= s.bound {
		n = 1
	}
	i, err := s.pick(n)
	if preempting && i > 0 {
		s.spent++
	}
	return i, err
}

func (s *search) pick(n int) (int, error) {
	if s.depth == len(s.path) {
		s.path = append(s.path, choice{0, n})
	}
	c := s.path[s.depth]
	if c.options != n {
		return 0, fmt.Errorf("the explorer lost its way: choice %d had %d options and has %d now; the scenario or the code does something that depends on neither the schedule nor the time of the bubble", s.depth, c.options, n)
	}
	s.depth++
	return c.taken, nil
}

// next turns to the next schedule, and tells whether there is one.
func (s *search) next() bool {
	s.depth, s.spent = 0, 0
	for n := len(s.path); n > 0; n-- {
		last := &s.path[n-1]
		if last.taken+1 < last.options {
			last.taken++
			s.path = s.path[:n]
			return true
		}
	}
	s.path = nil
	return false
}

func (s *search) taken() []int {
	var all []int
	for _, c := range s.path[:s.depth] {
		all = append(all, c.taken)
	}
	return all
}

// random gives every actor a random priority and runs the highest, but at depth-1
// random steps the one that runs falls to the lowest. Of a bug that needs d
// orderings among n actors and k steps, a schedule finds it with a probability
// of at least 1/(n*k^(d-1)). After: Burckhardt and others, A Randomized
// Scheduler with Probabilistic Guarantees of Finding Bugs, ASPLOS 2010.
type random struct {
	rng     *rand.Rand
	changes map[int]bool // the steps at which the one that runs falls
	steps   int
	lowest  int
	all     []int
}

// newRandom makes the plan of one schedule of about length steps.
func newRandom(seed uint64, depth, length int) *random {
	p := &random{rng: rand.New(rand.NewPCG(seed, 0)), changes: map[int]bool{}}
	for range depth - 1 {
		p.changes[p.rng.IntN(max(length, 1))] = true
	}
	return p
}

func (p *random) joined(a *actor) { a.prio = p.rng.IntN(1 << 30) }

func (p *random) actor(options []*actor, preempting bool) (int, error) {
	if p.changes[p.steps] && preempting {
		p.lowest--
		options[0].prio = p.lowest
	}
	p.steps++
	best := 0
	for i, a := range options {
		if a.prio > options[best].prio {
			best = i
		}
	}
	p.all = append(p.all, best)
	return best, nil
}

func (p *random) pick(n int) (int, error) {
	i := p.rng.IntN(n)
	p.all = append(p.all, i)
	return i, nil
}

func (p *random) taken() []int { return p.all }

// replay repeats a schedule.
type replay struct {
	path  []int
	depth int
}

func (p *replay) joined(*actor) {}

func (p *replay) actor(options []*actor, _ bool) (int, error) { return p.pick(len(options)) }

func (p *replay) pick(n int) (int, error) {
	i := 0
	if p.depth < len(p.path) {
		i = p.path[p.depth]
	}
	p.depth++
	if i >= n {
		return 0, fmt.Errorf("the schedule does not fit: choice %d is %d of %d; was it printed for this scenario and this code?", p.depth-1, i, n)
	}
	return i, nil
}

func (p *replay) taken() []int { return p.path[:min(p.depth, len(p.path))] }

// format writes choices as "0x12,1,0x3", without the zeros at the end.
func format(choices []int) string {
	end := len(choices)
	for end > 0 && choices[end-1] == 0 {
		end--
	}
	choices = choices[:end]
	if len(choices) == 0 {
		return "0"
	}
	var parts []string
	for i := 0; i < len(choices); {
		n := 1
		for i+n < len(choices) && choices[i+n] == choices[i] {
			n++
		}
		part := strconv.Itoa(choices[i])
		if n > 1 {
			part += "x" + strconv.Itoa(n)
		}
		parts = append(parts, part)
		i += n
	}
	return strings.Join(parts, ",")
}

// parse reads what format has written.
func parse(s string) ([]int, error) {
	var all []int
	for part := range strings.SplitSeq(s, ",") {
		value, times, repeated := strings.Cut(strings.TrimSpace(part), "x")
		v, err := strconv.Atoi(value)
		n := 1
		if err == nil && repeated {
			n, err = strconv.Atoi(times)
		}
		if err != nil || v < 0 || n < 1 || n > maxSteps {
			return nil, fmt.Errorf("schedule %q: %q is neither a choice nor choice x times, like 0x12,1,0x3", s, part)
		}
		for range n {
			all = append(all, v)
		}
	}
	return all, nil
}
