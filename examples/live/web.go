package main

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"sync"
	"time"
)

//go:embed static
var static embed.FS

// web serves the page and the streams.
type web struct {
	app     *app
	metrics http.Handler
	srv     *http.Server
	failed  chan error    // gets the error that ended the server, if one did
	served  chan struct{} // closed when Serve has returned
	local   bool          // it listens to this machine only

	mu       sync.Mutex // guards stopping, and streams against new ones then
	stopping bool
	streams  sync.WaitGroup
}

func startWeb(ln net.Listener, a *app) *web {
	w := &web{app: a, metrics: metricsHandler(a), failed: make(chan error, 1), served: make(chan struct{}), local: onLoopback(ln.Addr())}
	w.srv = &http.Server{
		Handler: w.handler(),
		// No WriteTimeout: a stream lasts. It has a deadline for each write.
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
	}
	go func() {
		defer close(w.served)
		if err := w.srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			w.failed <- err
		}
	}()
	return w
}

func (w *web) handler() http.Handler {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /events", w.stream)
	mux.HandleFunc("GET /metrics", func(rw http.ResponseWriter, r *http.Request) { w.metrics.ServeHTTP(rw, r) })
	w.handlePprof(mux)
	w.handlePolicies(mux)
	mux.HandleFunc("POST /server/stop", w.postServer((*embedded).stop))
	mux.HandleFunc("POST /server/start", w.postServer((*embedded).start))
	// A page of somebody else's may not turn the controls.
	return w.guard(http.NewCrossOriginProtection().Handler(mux))
}

// guard sets the headers that hold for everything, and refuses requests that a
// page of somebody else's makes this browser send: with a name of its own that
// resolves to 127.0.0.1 (DNS rebinding), such a page could read the events.
func (w *web) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.local && !isLocalHost(r.Host) {
			http.Error(rw, "live answers only to localhost and 127.0.0.1", http.StatusForbidden)
			return
		}
		// What a page of somebody else's loads from here it cannot read, but it can
		// keep the process busy: with profiles, with open streams.
		if site := r.Header.Get("Sec-Fetch-Site"); (site == "cross-site" || site == "same-site") && r.URL.Path != "/" {
			http.Error(rw, "live answers only to its own page", http.StatusForbidden)
			return
		}
		h := rw.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(rw, r)
	})
}

func isLocalHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func onLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// enter counts a stream in, unless the server is stopping.
func (w *web) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stopping {
		w.streams.Add(1)
	}
	return !w.stopping
}

// refuse lets no new stream begin.
func (w *web) refuse() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopping = true
}

// stop waits for the streams, which end with the hub. When ctx ends first, it
// cuts the connections of those that are stuck.
func (w *web) stop(ctx context.Context) error {
	err := w.srv.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, w.srv.Close())
	}
	w.streams.Wait()
	<-w.served
	return err
}
