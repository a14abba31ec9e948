package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/internal/checks/instrument"
	"github.com/stretchr/testify/require"
)

const root = "../../.."

// Every mutant applies to the sources of today, changes them, and compiles.
func TestMutants_Apply(t *testing.T) {
	compiles, err := instrument.Checker(root, t.TempDir())
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, m := range mutants {
		t.Run(m.ID, func(t *testing.T) {
			require.False(t, seen[m.ID], "there are two of this name")
			seen[m.ID] = true
			replace, err := apply(root, m)
			require.NoError(t, err)
			for name, text := range replace {
				source, err := os.ReadFile(filepath.Join(root, name))
				require.NoError(t, err)
				require.NotEqual(t, string(source), text)
			}
			require.NoError(t, compiles(replace))
		})
	}
}

// An edit that does not apply is an error, and so is a mutant that does not compile:
// neither was found.
func TestFind_Errors(t *testing.T) {
	abs, err := filepath.Abs(root)
	require.NoError(t, err)
	use := measured(abs)
	_, err = find(t.Context(), abs, mutant{ID: "gone", Edits: one("hub.go", "no such text", "")}, use)
	require.ErrorContains(t, err, "want 1")
	_, err = find(t.Context(), abs, mutant{ID: "twice", Edits: one("hub.go", "return", "")}, use)
	require.ErrorContains(t, err, "want 1")
	broken := mutant{ID: "broken", Edits: one("errors.go", "// causeOf is", "var x int = \"\"\n\n// causeOf is")}
	for _, s := range use[:2] {
		_, err = find(t.Context(), abs, broken, []*suite{s})
		require.ErrorContains(t, err, "compile", s.name)
	}
}

// measured are the suites without their controls.
func measured(root string) []*suite {
	all := suites(root)
	for _, s := range all {
		s.limit = time.Minute
	}
	return all
}

// A suite that finds something in the library as it is, or that cannot run, tells
// nothing of mutants; and what takes longer than the limit is told from a failure.
func TestFind_Control(t *testing.T) {
	finds := &suite{name: "finds", run: func(context.Context, question) (kill, error) {
		return kill{By: "finds", Detail: "a flake"}, nil
	}}
	_, err := find(t.Context(), "", mutant{}, []*suite{finds})
	require.ErrorContains(t, err, "a flake")
	slow := &suite{name: "slow", run: func(context.Context, question) (kill, error) {
		return kill{}, nil
	}}
	require.NoError(t, slow.control(t.Context()))
	require.GreaterOrEqual(t, slow.limit, time.Minute)

	abs, err := filepath.Abs(root)
	require.NoError(t, err)
	endless := mutant{ID: "endless", Tests: "TestLaw6", Edits: one("publish.go", "checkContext(\"Publish\", ctx)\n", "for ctx != nil {\n\t}\n")}
	tests := suites(abs)[1]
	tests.limit = time.Second
	found, err := find(t.Context(), abs, endless, []*suite{tests})
	require.NoError(t, err)
	require.Equal(t, hang, found.How)
}

// A harmless edit survives, and a bug does not.
func TestFind(t *testing.T) {
	abs, err := filepath.Abs(root)
	require.NoError(t, err)
	tests := measured(abs)[1]
	harmless := mutant{ID: "harmless", Tests: "TestLaw6", Edits: one("errors.go", "// causeOf is", "var _ = 0\n\n// causeOf is")}
	replace, err := apply(abs, harmless)
	require.NoError(t, err)
	found, err := tests.run(t.Context(), question{harmless, replace, true, time.Minute})
	require.NoError(t, err)
	require.Empty(t, found.By)
	bug := mutant{ID: "bug", Tests: "TestLaw2", Edits: one("publish.go", "h.dropped[why].Add(1)\n", "")}
	found, err = find(t.Context(), abs, bug, []*suite{tests})
	require.NoError(t, err)
	require.Equal(t, "tests", found.By)
	require.Contains(t, found.Detail, "FAIL")
}
