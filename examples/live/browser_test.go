package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// inPage bounds every wait for something in the page: a browser on a busy
// machine takes its time.
const inPage = 30 * time.Second

// tab is a page in a real browser.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// browserPath returns the browser of this machine. The test is skipped if there
// is none, and fails if the environment says that everything must run.
func browserPath(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const advice = "no browser found: install Debian package chromium"
	if os.Getenv("BROADCAST_REQUIRE_ALL") == "1" {
		t.Fatal(advice)
	}
	t.Skip(advice)
	return ""
}

// openTab opens url. When the test ends it fails if anything went wrong in the
// page's own code.
func openTab(t *testing.T, url string) *tab {
	t.Helper()
	dir, err := os.MkdirTemp("", "live") // short: the browser makes a socket in it
	require.NoError(t, err)
	// Whatever a helper of the browser's still writes is no reason to fail.
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browserPath(t)),
		chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.Env("TMPDIR="+dir),
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.WindowSize(1280, 1000),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	// Not t.Context(), which ends before the cleanup that closes the browser.
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	require.NoError(t, chromedp.Do(ctx)) // starts the browser, which lives as long as ctx
	listening, quiet := context.WithCancel(ctx)
	messages := chromedp.Console(listening)
	var wrong []string
	var reader sync.WaitGroup
	reader.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			wrong = append(wrong, m.Text)
		}
	})
	t.Cleanup(func() {
		quiet()
		reader.Wait()
		require.NoError(t, chromedp.Cancel(ctx))
		require.Empty(t, wrong, "the page must have nothing to complain about")
	})
	tb := &tab{t: t, ctx: ctx}
	tb.do(chromedp.Navigate(url))
	return tb
}

func (tb *tab) do(step chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, inPage)
	defer cancel()
	require.NoError(tb.t, chromedp.Do(ctx, step))
}

// until waits until the JavaScript condition holds.
func (tb *tab) until(condition string, args ...any) {
	tb.t.Helper()
	condition = fmt.Sprintf(condition, args...)
	poll := chromedp.Poll[chromedp.Void](condition, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(inPage))
	if err := chromedp.Do(tb.ctx, poll); err != nil {
		page, _ := chromedp.Run(tb.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		require.NoError(tb.t, err, "until %s\nthe page shows:\n%s", condition, page)
	}
}

func (tb *tab) eval(expression string) float64 {
	tb.t.Helper()
	v, err := chromedp.Run(tb.ctx, chromedp.Evaluate[float64](expression))
	require.NoError(tb.t, err)
	return v
}

// turn moves the slider of a subscriber with a key: Home is fast, End stuck.
func (tb *tab) turn(lane, key string) {
	tb.t.Helper()
	tb.do(chromedp.SendKeys(chromedp.CSS(inLane(lane, "input")), key))
}

func inLane(lane, what string) string { return fmt.Sprintf(`[data-lane="%s"] %s`, lane, what) }

// What the page shows, as JavaScript.
const (
	gets      = `parseFloat(document.querySelector('[data-lane="%s"] [data-gauge="receives"]').textContent.replaceAll(',', ''))`
	laneGap   = `parseFloat(document.querySelector('[data-lane="%s"] .mark .gap:not([hidden])')?.textContent.replaceAll(',', ''))`
	figure    = `parseFloat(document.querySelector('[data-lane="%s"] dd.%s').textContent.replaceAll(',', ''))`
	tooWide   = `[...document.querySelectorAll('.lane :is(h3, p, dt, dd, .verdict, .caption):not(.marks), .keyed .mark')].filter((e) => e.scrollWidth > e.clientWidth + 1)`
	lanesEnd  = `document.getElementById('lanes').getBoundingClientRect().bottom + scrollY`
	headline  = `document.getElementById('headline').textContent`
	published = `parseFloat(document.getElementById('published').textContent.replaceAll(',', ''))`
	waits     = `parseFloat(document.getElementById('waits').textContent.replace(/[^0-9.]/g, ''))`
)

func TestPage_Policies(t *testing.T) {
	browserPath(t)
	p := startLive(t, nil)
	tb := openTab(t, p.url+"/#policies")
	everybody := []string{"Block", "DropNewest", "DropOldest", "Eject", "BlockFor", "Reader", "Coalescing"}
	tb.do(chromedp.WaitVisible(chromedp.CSS(inLane("Coalescing", "input"))))
	tb.until(headline + ` === 'Everybody keeps up: nothing waits, nothing is lost.'`)
	for _, lane := range everybody {
		tb.until(gets+` > 50`, lane)
	}

	tb.turn("Block", kb.End)
	tb.until(headline + ` === 'Block is stuck: everybody waits.'`)
	for _, lane := range everybody {
		tb.until(gets+` === 0`, lane)
	}
	tb.until(`document.querySelector('[data-lane="Block"]').dataset.level === 'culprit'`)
	tb.until(waits + ` > 1`)
	tb.until(fmt.Sprintf(`%s > %g`, waits, tb.eval(waits)))         // the page goes on
	tb.until(fmt.Sprintf(`%s > %g`, published, tb.eval(published))) // and so does the hub of the live view

	tb.turn("Block", kb.Home)
	for _, lane := range everybody {
		tb.until(gets+` > 50`, lane)
	}

	tb.turn("Eject", kb.End)
	tb.do(chromedp.WaitVisible(chromedp.CSS(inLane("Eject", "button"))))
	tb.until(headline + ` === 'Eject was too slow and is out: nobody else notices.'`)
	tb.until(gets+` > 50`, "Block")
	tb.turn("Eject", kb.Home)
	tb.do(chromedp.Click(chromedp.CSS(inLane("Eject", "button"))))
	tb.do(chromedp.WaitNotVisible(chromedp.CSS(inLane("Eject", "button"))))
	tb.until(gets+` > 50`, "Eject")

	tb.turn("Reader", kb.End)
	tb.until(headline + ` === 'Reader loses events: nobody else notices.'`)
	tb.until(gets+` > 50`, "Block")
	tb.turn("Reader", kb.Home)
	tb.until(laneGap+` > 0`, "Reader") // where it missed them

	tb.turn("Coalescing", kb.End)
	tb.until(headline + ` === 'Coalescing skips replaced values: nobody else notices.'`)
	tb.until(gets+` > 50`, "Block")
	tb.turn("Coalescing", kb.Home)
	tb.until(`document.querySelectorAll('[data-lane="Coalescing"] .mark .key').length === 4`)
	tb.until(figure+` > 0`, "Coalescing", "coalesced")
	tb.until(gets+` > 50`, "Coalescing")

	tb.turn("DropOldest", kb.End)
	tb.until(headline + ` === 'DropOldest loses events: nobody else notices.'`)
	tb.do(chromedp.Click(chromedp.CSS("#reset")))
	tb.until(headline + ` === 'Everybody keeps up: nothing waits, nothing is lost.'`)
	tb.until(`document.querySelector('[data-lane="DropOldest"] input').value === '0'`) // the slider follows

	// One that has just come, with nothing to show yet.
	tb.turn("Eject", kb.End)
	tb.do(chromedp.WaitVisible(chromedp.CSS(inLane("Eject", "button"))))
	tb.turn("Block", kb.End)
	tb.until(waits + ` > 1`)
	tb.do(chromedp.Click(chromedp.CSS(inLane("Eject", "button"))))
	tb.until(figure+` === 0`, "Eject", "received")
	tb.until(`document.querySelectorAll('[data-lane="Eject"] .mark:not([hidden])').length === 0`)
	require.Equal(t, 0, p.stop())
	tb.until(`document.body.dataset.state === 'ended' || document.body.dataset.state === 'lost'`)
}

// TestPage_Policies_FitsEveryWidth: on desktops and phones nothing is cut or
// scrolls sideways, and nothing moves when the numbers change.
func TestPage_Policies_FitsEveryWidth(t *testing.T) {
	browserPath(t)
	p := startLive(t, nil)
	tb := openTab(t, p.url+"/#policies")
	tb.do(chromedp.WaitVisible(chromedp.CSS(inLane("Coalescing", "input"))))
	for _, width := range []int64{1400, 1241, 1240, 861, 860, 701, 700, 390, 320} {
		tb.turn("DropNewest", kb.Home)
		tb.do(chromedp.EmulateViewport(width, 1000))
		tb.until(`innerWidth === %d && document.documentElement.scrollWidth <= %d`, width, width)
		tb.until(tooWide + `.length === 0`)
		before := tb.eval(lanesEnd)
		tb.turn("DropNewest", kb.End)
		tb.until(headline + ` === 'DropNewest loses events: nobody else notices.'`)
		require.InDelta(t, before, tb.eval(lanesEnd), 0.5, "at %d", width)
		require.Zero(t, tb.eval(tooWide+`.length`), "at %d", width)
	}
	require.Equal(t, 0, p.stop())
}

// What the live view shows, as JavaScript. edges counts for each chart the points
// that have the colour of a gap's edge, which no line has.
const (
	gapWords  = `document.getElementById('gap').textContent`
	button    = `document.getElementById('server').textContent`
	gapsCount = `Number(document.getElementById('gaps').textContent)`
	rate      = `parseFloat(document.getElementById('rate').textContent.replaceAll(',', ''))`
	chartsTop = `document.getElementById('charts').getBoundingClientRect().top + scrollY`
	withGap   = `[...document.querySelectorAll('#charts .plot')].every((p) => p.ariaLabel.includes(' 60 seconds, with 1 gap. '))`
	edges     = `[...document.querySelectorAll('#charts .chart canvas')].map((c) => {
		const edge = getComputedStyle(document.documentElement).getPropertyValue('--gap-edge').trim();
		const [r, g, b] = [1, 3, 5].map((i) => parseInt(edge.slice(i, i + 2), 16));
		const copy = new OffscreenCanvas(c.width, c.height).getContext('2d', { willReadFrequently: true });
		copy.drawImage(c, 0, 0);
		const p = copy.getImageData(0, 0, c.width, c.height).data;
		let n = 0;
		for (let i = 0; i < p.length; i += 4) if (p[i] === r && p[i + 1] === g && p[i + 2] === b) n++;
		return n;
	})`
)

// TestPage_Gap: the button stops the server and starts it again, every page follows,
// each chart shows where the gap is, and the events go on.
func TestPage_Gap(t *testing.T) {
	browserPath(t)
	p := startLive(t, nil)
	tb := openTab(t, p.url+"/")
	tb.do(chromedp.EmulateViewport(1280, 1600)) // only charts that are seen are drawn
	tb.until(`document.querySelectorAll('#charts canvas').length > 2`)
	tb.until(gapWords + ` === 'No gap so far.'`)
	require.Zero(t, tb.eval(`Math.max(...`+edges+`)`), "nothing has the colour of a gap before there is one")

	tb.do(chromedp.Click(chromedp.CSS("#server")))
	tb.until(button + ` === 'Start it again'`)
	tb.until(`/^Gap: disconnected, since \d\d:\d\d:\d\d\. What is published meanwhile is lost\.$/.test(` + gapWords + `)`)
	tb.until(gapsCount + ` === 1`)
	tb.until(rate + ` === 0`)
	tb.until(withGap)
	require.Greater(t, tb.eval(`Math.min(...`+edges+`)`), 50.0, "each chart shows where it began")

	p.turnServer("start", running) // somebody else's page
	tb.until(button + ` === 'Stop the NATS server'`)
	tb.until(`/^Gap: disconnected, [\d:]+ to [\d:]+\. What was published meanwhile is lost; everything behind it is complete\.$/.test(` + gapWords + `)`)
	tb.until(gapsCount + ` === 2`)
	tb.until(rate + ` > 0`)
	tb.until(withGap) // it is one, with two edges now
	tb.until(`Math.min(...` + edges + `) > 200`)

	late := openTab(t, p.url+"/")
	late.until(gapWords + ` === 'No gap since this page is open.'`)
	late.do(chromedp.Click(chromedp.CSS("#server")))
	tb.until(button + ` === 'Start it again'`)
	late.until(button + ` === 'Start it again'`)
	require.Equal(t, 0, p.stop())
}

// TestPage_Gap_MovesNothing: on desktops and phones the charts stay where they are.
func TestPage_Gap_MovesNothing(t *testing.T) {
	browserPath(t)
	p := startLive(t, nil)
	tb := openTab(t, p.url+"/")
	for _, width := range []int64{1280, 981, 980, 900, 561, 560, 390, 320} {
		tb.do(chromedp.EmulateViewport(width, 1000))
		tb.until(`innerWidth === %d && document.documentElement.scrollWidth <= %d`, width, width)
		tb.until(button + ` === 'Stop the NATS server'`)
		tb.until(rate + ` > 0`)
		before := tb.eval(chartsTop)
		tb.do(chromedp.Click(chromedp.CSS("#server")))
		tb.until(`document.getElementById('gap').dataset.level === 'open' && ` + button + ` === 'Start it again'`)
		require.InDelta(t, before, tb.eval(chartsTop), 0.5, "with the server stopped, at %d", width)
		tb.do(chromedp.Click(chromedp.CSS("#server")))
		tb.until(`document.getElementById('gap').dataset.level === 'over'`)
		require.InDelta(t, before, tb.eval(chartsTop), 0.5, "behind a gap, at %d", width)
		tb.until(`document.documentElement.scrollWidth <= %d`, width)
	}
	require.Equal(t, 0, p.stop())
}
