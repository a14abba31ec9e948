package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../../.."

// Every mutant applies to the sources of today, and changes them.
func TestMutants_Apply(t *testing.T) {
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
		})
	}
}

// An edit that does not apply is an error, and so is a mutant that does not compile:
// neither was found.
func TestFind_Errors(t *testing.T) {
	abs, err := filepath.Abs(root)
	require.NoError(t, err)
	use := suites(abs)
	_, err = find(t.Context(), abs, mutant{ID: "gone", Edits: one("hub.go", "no such text", "")}, use)
	require.ErrorContains(t, err, "want 1")
	_, err = find(t.Context(), abs, mutant{ID: "twice", Edits: one("hub.go", "return", "")}, use)
	require.ErrorContains(t, err, "want 1")
	broken := mutant{ID: "broken", Edits: one("errors.go", "// causeOf is", "var x int = \"\"\n\n// causeOf is")}
	for _, s := range use[:2] {
		_, err = find(t.Context(), abs, broken, []suite{s})
		require.ErrorContains(t, err, "compile", s.name)
	}
}

// A harmless edit survives, and a bug does not.
func TestFind(t *testing.T) {
	abs, err := filepath.Abs(root)
	require.NoError(t, err)
	tests := suites(abs)[1:2]
	harmless := mutant{ID: "harmless", Tests: "TestLaw6", Edits: one("errors.go", "// causeOf is", "var _ = 0\n\n// causeOf is")}
	found, err := find(t.Context(), abs, harmless, tests)
	require.NoError(t, err)
	require.Empty(t, found.By)
	bug := mutant{ID: "bug", Tests: "TestLaw2", Edits: one("publish.go", "h.dropped[why].Add(1)\n", "")}
	found, err = find(t.Context(), abs, bug, tests)
	require.NoError(t, err)
	require.Equal(t, "tests", found.By)
	require.Contains(t, found.Detail, "FAIL")
}
