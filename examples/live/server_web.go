package main

import (
	"context"
	"fmt"
	"net/http"
)

// postServer stops or starts the NATS server in this process, as change does. Doing
// again what is done already changes nothing. When the answer comes it has been
// done, and all pages are about to be told.
func (w *web) postServer(change func(*embedded, context.Context) error) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		server := w.app.source.server
		if server == nil {
			http.Error(rw, "the source of these events is not a server that live runs: it can stop and start only its own", http.StatusNotFound)
			return
		}
		if !empty(rw, r) {
			return
		}
		if err := change(server, r.Context()); err != nil {
			http.Error(rw, err.Error(), http.StatusServiceUnavailable)
			return
		}
		tell(w.app.news)
		rw.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(rw, "{\"server\":%q}\n", w.app.source.serverState())
	}
}
