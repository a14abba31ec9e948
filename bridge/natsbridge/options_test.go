package natsbridge_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gobroadcast/broadcast/bridge/natsbridge"
	"github.com/stretchr/testify/require"
)

// An option that is not for a constructor is an error that names both.
func TestOptions_OfOthers(t *testing.T) {
	nc := inside(t, embedded(t))
	made := map[string]func(natsbridge.Option) error{
		"NewCore":    func(o natsbridge.Option) error { _, err := natsbridge.NewCore(nc, o); return err },
		"NewStream":  func(o natsbridge.Option) error { _, err := natsbridge.NewStream(nc, "S", o); return err },
		"NewDurable": func(o natsbridge.Option) error { _, err := natsbridge.NewDurable(nc, "S", "p", o); return err },
	}
	for name, o := range map[string]struct {
		natsbridge.Option
		kinds []string
	}{
		"WithPendingLimits": {natsbridge.WithPendingLimits(1, 1), []string{"NewCore"}},
		"WithHeartbeat":     {natsbridge.WithHeartbeat(time.Second), []string{"NewStream", "NewDurable"}},
		"WithBatch":         {natsbridge.WithBatch(1), []string{"NewStream", "NewDurable"}},
		"WithDomain":        {natsbridge.WithDomain("d"), []string{"NewStream", "NewDurable"}},
		"WithAckWait":       {natsbridge.WithAckWait(time.Second), []string{"NewDurable"}},
		"WithMaxAckPending": {natsbridge.WithMaxAckPending(1), []string{"NewDurable"}},
	} {
		for constructor, with := range made {
			err := with(o.Option)
			if slices.Contains(o.kinds, constructor) {
				require.NoError(t, err, "%s of %s", name, constructor)
				continue
			}
			require.ErrorContains(t, err, name+" is for "+o.kinds[0])
			require.ErrorContains(t, err, "not for "+constructor)
		}
	}
}
