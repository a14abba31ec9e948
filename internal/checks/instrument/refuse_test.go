package instrument

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the instrumenter does not know it refuses: every operation by which goroutines
// meet is a yield, or the sources are not explored.
func TestOverlay_Refuses(t *testing.T) {
	for name, text := range map[string]string{
		"sync.Cond":                        "func f(c *sync.Cond) { c.Wait() }",
		"sync.NewCond":                     "func f(m *sync.Mutex) { sync.NewCond(m) }",
		"sync.RWMutex":                     "func f(m *sync.RWMutex) { m.RLock() }",
		"sync.Locker":                      "func f(m sync.Locker) { m.Lock() }",
		"sync.Once":                        "func f(o *sync.Once) { o.Do(func() {}) }",
		"embedded mutex":                   "func f(m *struct{ sync.Mutex }) { m.Lock() }",
		"method value":                     "func f(m *sync.Mutex) { g := m.Lock; g() }",
		"method expression":                "func f(m *sync.Mutex) { g := (*sync.Mutex).Lock; g(m) }",
		"method expression called":         "func f(m *sync.Mutex) { (*sync.Mutex).Lock(m) }",
		"deferred method value":            "func f(m *sync.Mutex) func() { return m.Unlock }",
		"atomic value":                     "func f(c *atomic.Int64) { g := c.Load; g() }",
		"atomic function":                  "func f(c *int64) { atomic.AddInt64(c, 1) }",
		"time.AfterFunc":                   "func f() { time.AfterFunc(0, func() {}) }",
		"time.AfterFunc as value":          "func f() { g := time.AfterFunc; g(0, func() {}) }",
		"time.Sleep in brackets":           "func f() { (time.Sleep)(0) }",
		"context method as value":          "func f(ctx context.Context) { g := ctx.Err; _ = g() }",
		"context.WithCancel":               "func f(ctx context.Context) { context.WithCancel(ctx) }",
		"context.WithTimeoutCause":         "func f(ctx context.Context) { context.WithTimeoutCause(ctx, 0, nil) }",
		"context.WithDeadlineCause":        "func f(ctx context.Context) { context.WithDeadlineCause(ctx, time.Time{}, nil) }",
		"context.WithCancelCause as value": "func f(ctx context.Context) { g := context.WithCancelCause; g(ctx) }",
		"iter.Pull":                        "func f(s iter.Seq[int]) { iter.Pull(s) }",
		"iter.Pull[int]":                   "func f(s iter.Seq[int]) { iter.Pull[int](s) }",
		"iter.Pull2":                       "func f(s iter.Seq2[int, int]) { iter.Pull2(s) }",
		"reflect Send":                     "func f(v reflect.Value) { v.Send(v) }",
		"reflect Recv":                     "func f(v reflect.Value) { v.Recv() }",
		"reflect TrySend":                  "func f(v reflect.Value) { v.TrySend(v) }",
		"reflect TryRecv":                  "func f(v reflect.Value) { v.TryRecv() }",
		"reflect Close":                    "func f(v reflect.Value) { v.Close() }",
		"reflect Close as value":           "func f(v reflect.Value) { g := v.Close; g() }",
		"range":                            "func f(c chan int) { for range c {} }",
		"range of a named type":            "type ch chan int\nfunc f(c ch) { for range c {} }",
		"range of a parameter":             "func f[C chan int | <-chan int](c C) { for range c {} }",
		"range of a constraint":            "type some interface{ ~chan int }\nfunc f[C some](c C) { for range c {} }",
		"go with arguments":                "func f(i int) { go f(i) }",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := overlay(t, text)
			require.ErrorContains(t, err, "teach the instrumenter")
		})
	}
}

// Len of a channel is a yield, also where its type is a parameter; what nobody waits
// for is left alone.
func TestOverlay_Accepts(t *testing.T) {
	text, err := overlay(t, `func f[C ~chan int](c C) int { return len(c) }
func g(v reflect.Value, ctx context.Context) int { return v.Len() + len(time.Now().String()) + len([]int{}) }
func h(s iter.Seq[int], list []int) { for range s {}; for range list {} }
func i(m *sync.Mutex, n *atomic.Int64) { m.Lock(); defer m.Unlock(); (n).Add(1) }`)
	require.NoError(t, err)
	require.Contains(t, text, `len(sched.Point(c, "p.go:`)
	require.Contains(t, text, "sched.Lock(m,")
	require.Contains(t, text, "defer sched.Unlock(m)")
	require.Contains(t, text, "sched.Point((n),")
}

// overlay is what becomes of a package of these declarations.
func overlay(t *testing.T, text string) (string, error) {
	dir, out := t.TempDir(), t.TempDir()
	head := `package p

import (
	"context"
	"iter"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

var (
	_ context.Context
	_ iter.Seq[int]
	_ reflect.Value
	_ sync.Mutex
	_ atomic.Int64
	_ time.Time
)

`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module p\n\ngo 1.26\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "p.go"), []byte(head+text+"\n"), 0o600))
	t.Setenv("GOWORK", "off")
	_, err := Package{Dir: dir}.Overlay(out)
	if err != nil {
		return "", err
	}
	rewritten, err := os.ReadFile(filepath.Join(out, "p.go"))
	require.NoError(t, err)
	return string(rewritten), nil
}
