package model

import (
	"flag"
	"os"
	"testing"
)

// TestMain sets how much is checked unless flags say so: rapid's own defaults
// are 100 checks of 30 steps.
func TestMain(m *testing.M) {
	flag.Parse()
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range map[string]string{"rapid.checks": "2000", "rapid.steps": "50"} {
		if !given[name] {
			if err := flag.Set(name, value); err != nil {
				panic(err)
			}
		}
	}
	os.Exit(m.Run())
}
