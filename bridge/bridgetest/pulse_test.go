package bridgetest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What a pulse says is late is what it could not come in time: here because somebody
// sets it back.
func TestPulse_CountsWhatItIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pulse{}
		stop := p.start()
		e := &env{pulse: p}
		since := e.stopwatch()
		time.Sleep(100*beat + beat/2)
		require.Equal(t, 100*beat+beat/2, since(), "a pulse that comes in time takes nothing off")
		late, _ := p.behind()
		require.Zero(t, late)
		p.last.Add(-int64(7 * beat)) // as if it had not been run since then
		require.Equal(t, 100*beat+beat/2-(7*beat-beat/2), since())
		time.Sleep(beat)
		require.Equal(t, 101*beat+beat/2-7*beat, since(), "what was late stays so")
		stop()
		require.Equal(t, time.Second, func() time.Duration {
			since := (&env{}).stopwatch()
			time.Sleep(time.Second)
			return since()
		}())
	})
}
