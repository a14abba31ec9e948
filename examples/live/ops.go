package main

import (
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gobroadcast/broadcast"
	"github.com/gobroadcast/broadcast/bridge"
)

// metricsHandler answers GET /metrics with what all hubs, the bridge, the Go
// runtime and the process count. The registry is its own: what else a program registers
// globally is not this page's to show.
func metricsHandler(a *app) http.Handler {
	reg := prometheus.NewRegistry()
	if b := a.source.bridge; b != nil {
		// The network's side, and that of the intake, the bridge's subscriber.
		reg.MustRegister(bridge.NewCollector("live", b), broadcast.NewCollector("bridge", b))
	}
	reg.MustRegister(
		broadcast.NewCollector("live", a.hub),
		broadcast.NewCollector("policies", a.policies.hub),
		broadcast.NewCollector("coalescing", a.policies.values),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// handlePprof serves the profiles of this process. They show its command line
// and can keep it busy, so they are for this machine only.
func (w *web) handlePprof(mux *http.ServeMux) {
	for path, h := range map[string]http.HandlerFunc{
		"":        pprof.Index,
		"cmdline": pprof.Cmdline,
		"profile": pprof.Profile,
		"symbol":  pprof.Symbol,
		"trace":   pprof.Trace,
	} {
		mux.HandleFunc("GET /debug/pprof/"+path, w.onlyHere(h))
	}
}

func (w *web) onlyHere(next http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		if !w.local {
			http.Error(rw, "profiles are served only where live listens to this machine alone: start it with -listen 127.0.0.1:8080",
				http.StatusForbidden)
			return
		}
		next(rw, r)
	}
}
