package natsbridge_test

import (
	"context"
	"os"
	"testing"

	"go.uber.org/goleak"
)

var bg = context.Background()

// The test binary is also the NATS server that can be killed. When all tests are
// over, nothing runs.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		childMain()
		return
	}
	goleak.VerifyTestMain(m)
}
