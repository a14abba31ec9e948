package main

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWeb_RefusesNamesOfOthers: see guard.
func TestWeb_RefusesNamesOfOthers(t *testing.T) {
	for host, want := range map[string]int{"localhost:8080": http.StatusOK, "rebound.example.com": http.StatusForbidden} {
		for local, want := range map[bool]int{true: want, false: http.StatusOK} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host = host
			rec := httptest.NewRecorder()
			(&web{local: local}).handler().ServeHTTP(rec, r)
			require.Equal(t, want, rec.Code, "host %s, on loopback %v", host, local)
		}
	}
}

func TestWeb_RefusesStreamsWhileStopping(t *testing.T) {
	w := &web{}
	w.refuse()
	rec := httptest.NewRecorder()
	w.handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/events", nil))
	require.Equal(t, http.StatusServiceUnavailable, rec.Code)
}

// TestWeb_ProfilesAreForThisMachineOnly: see handlePprof.
func TestWeb_ProfilesAreForThisMachineOnly(t *testing.T) {
	for local, want := range map[bool]int{true: http.StatusOK, false: http.StatusForbidden} {
		r := httptest.NewRequest(http.MethodGet, "/debug/pprof/cmdline", nil)
		r.Host = "127.0.0.1"
		rec := httptest.NewRecorder()
		(&web{local: local}).handler().ServeHTTP(rec, r)
		require.Equal(t, want, rec.Code, "on loopback %v", local)
	}
}

// TestStatic_IsSelfContained: the page works offline, and text from outside
// cannot become markup.
func TestStatic_IsSelfContained(t *testing.T) {
	err := fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		ext := path.Ext(name)
		if err != nil || strings.Contains(name, "/vendor/") || ext != ".js" && ext != ".html" && ext != ".css" {
			return err
		}
		text, err := fs.ReadFile(static, name)
		for _, no := range []string{"://", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("} {
			require.NotContains(t, string(text), no, name)
		}
		return err
	})
	require.NoError(t, err)
}
