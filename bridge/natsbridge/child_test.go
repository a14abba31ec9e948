package natsbridge_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// childEnv makes the test binary a NATS server: it holds the port and the directory
// of the store.
const childEnv = "NATSBRIDGE_TEST_SERVER"

// childMain is a server in a process of its own. It answers questions from its
// standard input, one a line, and ends with it.
func childMain() {
	port, dir, _ := strings.Cut(os.Getenv(childEnv), " ")
	o := &server.Options{Host: "127.0.0.1", JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true}
	o.Port, _ = strconv.Atoi(port)
	s, err := server.NewServer(o)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		fmt.Println("the port is taken, or the store is broken")
		return
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		what, subject, _ := strings.Cut(in.Text(), " ")
		var n int
		switch what {
		case "subscriptions":
			n, err = subscriptions(s, subject)
		case "inboxes":
			n, err = inboxes(s, subject)
		case "slow":
			var v *server.Varz
			if v, err = s.Varz(nil); err == nil {
				n = int(v.SlowConsumers)
			}
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(n)
	}
}

// child is a server in a process of its own, with JetStream and a store in files. It
// can be killed and started again on the same port.
type child struct {
	tb   testing.TB
	port int
	dir  string

	mu  sync.Mutex // guards the rest, and one question at a time
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// newChild starts a server, which ends with the test.
func newChild(tb testing.TB) *child {
	tb.Helper()
	c := &child{tb: tb, dir: tb.TempDir()}
	var err error
	for range 10 { // somebody else may take the port first
		c.port = freePort(tb)
		if err = c.tryStart(); err == nil {
			break
		}
	}
	require.NoError(tb, err)
	tb.Cleanup(c.kill)
	return c
}

// freePort is a port that nobody has. It is below those that the kernel gives to
// connections: one of these could be taken while the server is down.
func freePort(tb testing.TB) int {
	tb.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port
		}
	}
	tb.Fatal("no free port")
	return 0
}

func (c *child) addr() string { return fmt.Sprintf("127.0.0.1:%d", c.port) }
func (c *child) url() string  { return "nats://" + c.addr() }

// start starts the server after kill.
func (c *child) start() {
	c.tb.Helper()
	require.NoError(c.tb, c.tryStart())
}

// tryStart returns when the server takes connections.
func (c *child) tryStart() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	c.cmd = exec.Command(exe)
	c.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", childEnv, c.port, c.dir))
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err = c.cmd.Start(); err != nil {
		return err
	}
	c.out = bufio.NewReader(out)
	if line, err := c.out.ReadString('\n'); err != nil || line != "ready\n" {
		c.killLocked()
		return fmt.Errorf("the server in a process of its own does not start: %q, %v", line, err)
	}
	return nil
}

// kill ends the server as kill -9 does. It is idempotent.
func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killLocked()
}

func (c *child) killLocked() {
	if c.cmd.ProcessState == nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait() // its error is that it was killed
	}
}

// ask puts a question to childMain.
func (c *child) ask(question string) int {
	c.tb.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := fmt.Fprintln(c.in, question)
	require.NoError(c.tb, err)
	line, err := c.out.ReadString('\n')
	require.NoError(c.tb, err)
	n, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(c.tb, err)
	return n
}

func (c *child) subscriptions(subject string) int { return c.ask("subscriptions " + subject) }
func (c *child) slowConsumers() uint64            { return uint64(c.ask("slow")) }
