package natsbridge_test

import (
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge/bridgetest"
	"github.com/gobroadcast/broadcast/bridge/natsbridge"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// pendingLimit is small, for messages to be dropped, and large enough for the bursts
// of the suite.
const pendingLimit = 4096

// Every row that core NATS can run, against a server in a process of its own, through
// a proxy.
func TestCore_Conformance(t *testing.T) {
	bridgetest.Run(t, func(tb testing.TB) *bridgetest.Harness {
		server := newChild(tb)
		nc, proxy := proxied(tb, server.addr())
		src, err := natsbridge.NewCore(nc, natsbridge.WithPendingLimits(pendingLimit, 64<<20))
		require.NoError(tb, err)
		direct := connect(tb, server.url(), nats.PingInterval(time.Minute)) // it is past the faults
		heal := func(fault func()) func(bool) {
			return func(on bool) {
				if on {
					fault()
				} else {
					proxy.Heal()
				}
			}
		}
		return &bridgetest.Harness{
			Source:        src,
			Publish:       publisher(direct),
			Subscriptions: server.subscriptions,
			SlowConsumers: server.slowConsumers,
			Restart: func(down time.Duration) {
				server.kill()
				time.Sleep(down) // how long it is away is what the row asks for
				server.start()
				waitConnected(tb, direct)
			},
			Cut:       func() { proxy.Cut() },
			Blackhole: heal(proxy.Blackhole),
			Mute:      heal(proxy.Mute),
			Refuse: func(on bool) {
				if on {
					proxy.Refuse()
					proxy.Cut()
				} else {
					proxy.Heal()
				}
			},
			Overrun:   bridgetest.Overrun{Messages: 2 * pendingLimit},
			TooLarge:  1<<20 + 1,
			KeepAlive: keepAlive,
		}
	})
}

func waitConnected(tb testing.TB, nc *nats.Conn) {
	tb.Helper()
	eventually(tb, "connected", func() bool { return nc.IsConnected() && nc.Flush() == nil })
}
