package report

import (
	"bytes"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/gobroadcast/broadcast/benchmarks/internal/peer"
	"github.com/gobroadcast/broadcast/benchmarks/internal/work"
)

// picture is a plot as SVG.
type picture struct {
	name string
	svg  []byte
}

// chart is what a plot shows: a line for each peer.
type chart struct {
	name, title, x, y string
	lines             []line
	ticks             []plot.Tick // of the x axis
}

type line struct {
	peer   string
	points plotter.XYs
}

// plots draws all plots for which there are data.
func plots(data Data) ([]picture, error) {
	data.Results = withLatencies(data.Results)
	var pictures []picture
	for _, c := range charts(data) {
		svg, err := c.draw()
		if err != nil {
			return nil, err
		}
		pictures = append(pictures, picture{c.name, svg})
	}
	return pictures, nil
}

func charts(data Data) (charts []chart) {
	x := indexOf(data.Results)
	add := func(c chart) {
		if len(c.lines) > 0 {
			charts = append(charts, c)
		}
	}
	var buffers []int
	for _, c := range cells(data.Results, "throughput") {
		if !slices.Contains(buffers, c.Buffer) {
			buffers = append(buffers, c.Buffer)
		}
	}
	for _, b := range buffers {
		add(overSubscribers(x, data, chart{
			name:  throughputPlot(b),
			title: "Deliveries a second without loss, buffers of " + count(b),
			y:     "deliveries a second",
		}, "throughput", b, func(c work.Cell, name string) float64 {
			return float64(c.Subscribers) * 1e9 / x.absolute(c, name, work.EventNanos).mid
		}))
	}
	parked := func(name, title, metric string) {
		add(overSubscribers(x, data, chart{name: name, title: title, y: "microseconds"}, "parked", 0,
			func(c work.Cell, peer string) float64 { return x.absolute(c, peer, metric).mid / 1e3 }))
	}
	parked("publish", "How long a publish takes, all subscribers parked", work.PublishNanos)
	parked("last", "Until the last parked subscriber has the event", work.LastNanos)
	add(latencyChart(x, data))
	return charts
}

// overSubscribers is a chart over the numbers of subscribers. A buffer of 0 is any.
func overSubscribers(x index, data Data, c chart, workload string, buffer int, value func(work.Cell, string) float64) chart {
	c.x = "subscribers"
	list := slices.DeleteFunc(cells(data.Results, workload), func(c work.Cell) bool { return buffer != 0 && c.Buffer != buffer })
	for _, cell := range list {
		c.ticks = append(c.ticks, plot.Tick{Value: float64(cell.Subscribers), Label: count(cell.Subscribers)})
	}
	for _, name := range data.Peers {
		var points plotter.XYs
		for _, cell := range list {
			if _, bad := x.bad(cell, name); bad || len(x[cell][name]) == 0 {
				continue
			}
			if y := value(cell, name); y > 0 && !math.IsInf(y, 0) {
				points = append(points, plotter.XY{X: float64(cell.Subscribers), Y: y})
			}
		}
		if len(points) > 0 {
			c.lines = append(c.lines, line{name, points})
		}
	}
	return c
}

// latencyChart has latencies over quantiles, with as much room for each further nine.
func latencyChart(x index, data Data) chart {
	c := chart{name: "latency", title: "Latency at a fixed rate, from when an event was due", x: "percentile", y: "microseconds"}
	place := func(q float64) float64 { return 100 / (100 - q) }
	for _, q := range []float64{50, 90, 99, 99.9, 99.99} {
		c.ticks = append(c.ticks, plot.Tick{Value: place(q), Label: strconv.FormatFloat(q, 'f', -1, 64)})
	}
	for _, cell := range cells(data.Results, "latency") {
		for _, name := range data.Peers {
			if _, bad := x.bad(cell, name); bad {
				continue
			}
			if points := curve(x[cell][name], place); len(points) > 0 {
				c.lines = append(c.lines, line{name, points})
			}
		}
	}
	return c
}

// curve is the median of the runs at each quantile.
func curve(runs []work.Result, place func(float64) float64) (points plotter.XYs) {
	if len(runs) == 0 {
		return nil
	}
	for _, p := range runs[0].Curve {
		if p.Quantile < 50 || p.Quantile >= 100 {
			continue // the last one is at no place
		}
		var all []float64
		for _, r := range runs {
			if ns, ok := quantile(r, p.Quantile); ok {
				all = append(all, ns/1e3)
			}
		}
		points = append(points, plotter.XY{X: place(p.Quantile), Y: spreadOf(all).mid})
	}
	return points
}

// palette has colors that can be told apart, also by most who see fewer.
var palette = []color.RGBA{
	{0x33, 0x33, 0x33, 0xff},
	{0x99, 0x99, 0x99, 0xff},
	{0x8c, 0x56, 0x4b, 0xff},
	{0x1f, 0x77, 0xb4, 0xff},
	{0x17, 0xbe, 0xcf, 0xff},
	{0xe3, 0x77, 0xc2, 0xff},
	{0xbc, 0xbd, 0x22, 0xff},
	{0x94, 0x67, 0xbd, 0xff},
}

// ownPalette is for this library.
var ownPalette = []color.RGBA{{0xd6, 0x27, 0x28, 0xff}, {0xff, 0x7f, 0x0e, 0xff}, {0x2c, 0xa0, 0x2c, 0xff}, {0x1f, 0x3f, 0x9f, 0xff}}

// style of a peer's line, the same in all plots.
func style(name string) (draw.LineStyle, draw.GlyphStyle) {
	var ours, others int
	for _, p := range peer.All() {
		l := draw.LineStyle{Width: vg.Points(1)}
		if p.Ours() {
			l.Color, l.Width = ownPalette[ours%len(ownPalette)], vg.Points(2.2)
			ours++
		} else {
			l.Color = palette[others%len(palette)]
			if others >= len(palette) {
				l.Dashes = []vg.Length{vg.Points(4), vg.Points(2)}
			}
			others++
		}
		if p.Name == peer.Baseline {
			l.Width = vg.Points(2.2)
		}
		if p.Name == name {
			return l, draw.GlyphStyle{Color: l.Color, Radius: vg.Points(2), Shape: draw.CircleGlyph{}}
		}
	}
	return draw.LineStyle{Width: vg.Points(1)}, draw.GlyphStyle{Radius: vg.Points(2), Shape: draw.CircleGlyph{}}
}

const (
	width       = 23 * vg.Centimeter
	height      = 13 * vg.Centimeter
	legendWidth = 5.2 * vg.Centimeter
)

func (c chart) draw() ([]byte, error) {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.title, c.x, c.y
	p.BackgroundColor = color.White
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.ConstantTicks(c.ticks), shortTicks{}
	legend := plot.NewLegend()
	legend.Top, legend.Left, legend.Padding = true, true, vg.Points(1)
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{0xe4}, color.Gray{0xe4}
	p.Add(grid)
	for _, l := range c.lines {
		drawn, glyphs, err := plotter.NewLinePoints(l.points)
		if err != nil {
			return nil, err
		}
		drawn.LineStyle, glyphs.GlyphStyle = style(l.peer)
		p.Add(drawn, glyphs)
		legend.Add(l.peer, drawn, glyphs)
	}
	p.Y.Min, p.Y.Max = decades(p.Y.Min, p.Y.Max)
	canvas := vgsvg.New(width, height)
	all := draw.New(canvas)
	p.Draw(draw.Crop(all, 0, -legendWidth, 0, 0))
	legend.Draw(draw.Crop(all, width-legendWidth+vg.Points(6), -vg.Points(4), vg.Points(20), -vg.Points(24)))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(out.Bytes(), []byte(typeface), []byte(typeface+",Helvetica,Arial,sans-serif")), nil
}

// typeface is what the SVG asks for. Few have it, so others are named after it.
const typeface = "font-family:Liberation Sans"

// shortTicks are those of a log scale, with numbers that can be read.
type shortTicks struct{}

func (shortTicks) Ticks(low, high float64) []plot.Tick {
	ticks := plot.LogTicks{Prec: -1}.Ticks(low, high)
	for i, t := range ticks {
		if t.Label != "" {
			ticks[i].Label = short(t.Value)
		}
	}
	return ticks
}

func short(x float64) string {
	switch {
	case x >= 1e6:
		return strconv.FormatFloat(x/1e6, 'g', -1, 64) + " M"
	case x >= 1e3:
		return strconv.FormatFloat(x/1e3, 'g', -1, 64) + " k"
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// decades widens a range so that a tick of a log scale lies at each end.
func decades(low, high float64) (float64, float64) {
	return math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high*1.0001)))
}
