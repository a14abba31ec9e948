// One card with a chart: its series, its drawing, its legend.

import { element } from './dom.js';
import { terse } from './format.js';
import { drawGaps } from './bands.js';
import { Rate, Series, SLOT, SLOTS, slotOf } from './series.js';
import { theme } from './theme.js';

const MAX_SERIES = 16;
const LEGEND_EVERY = 300; // ms: digits that change faster cannot be read
const { uPlot } = globalThis;

// The axis says how long ago; it is the same for all charts and never moves.
const ago = Array.from({ length: SLOTS }, (_, i) => ((i - SLOTS + 1) * SLOT) / 1000);

export class Panel {
  // spec: id, order, title, unit, format(number), and optionally axis(number),
  // range(max), fill, and overlaid: lines that often run on top of each other.
  // gaps are those of its events, as Gaps has them.
  constructor(spec, gaps = []) {
    this.spec = spec;
    this.gaps = gaps;
    this.gapsShown = 0;
    this.series = new Map(); // label -> {series, rate}
    this.beyond = new Set(); // labels for which there was no room
    this.unnamed = 0; // numbers that the server has left out
    this.visible = true;
    this.legendAt = 0;
    this.build();
  }

  build() {
    this.plot = element('div', 'plot');
    this.plot.setAttribute('role', 'img');
    this.legend = element('ul', 'legend');
    const head = element('header', '', element('h2', '', this.spec.title), element('p', '', this.spec.unit));
    this.card = element('article', 'card chart', head, this.plot, this.legend);
    this.card.dataset.order = this.spec.order;
    // The last entry counts: a busy page is told of several changes at once.
    new IntersectionObserver((entries) => { this.visible = entries.at(-1).isIntersecting; }).observe(this.card);
    new ResizeObserver(() => this.chart?.setSize(this.size())).observe(this.plot);
  }

  size() {
    return { width: this.plot.clientWidth, height: this.plot.clientHeight };
  }

  add({ label, value, counter }, time) {
    let line = this.series.get(label);
    if (!line) {
      if (this.series.size >= MAX_SERIES) {
        if (this.beyond.size < 1000) this.beyond.add(label);
        return;
      }
      line = { series: new Series(label), rate: counter ? new Rate() : null };
      this.series.set(label, line);
      this.dropChart(); // it is made anew, with the line, when it is drawn
    }
    const v = line.rate ? line.rate.add(time, value) : value;
    if (v !== undefined) line.series.add(slotOf(time), v);
  }

  gap() {
    for (const { series, rate } of this.series.values()) {
      series.gap();
      rate?.reset();
    }
  }

  draw(slot) {
    if (this.series.size === 0 || (this.chart && !this.visible)) return;
    if (this.plot.clientWidth === 0) return; // its view is not shown
    this.slot = slot;
    const data = [ago, ...[...this.series.values()].map(({ series }) => series.view(slot))];
    if (this.chart) this.chart.setData(data);
    else this.makeChart(data);
    if (performance.now() - this.legendAt >= LEGEND_EVERY) this.showValues();
  }

  dropChart() {
    this.chart?.destroy();
    this.chart = null;
  }

  makeChart(data) {
    const { format, axis = format, range, fill, overlaid } = this.spec;
    const last = this.series.size - 1;
    const lines = [...this.series.keys()].map((label, i) => ({
      label,
      stroke: () => theme.series(i),
      width: overlaid ? 1.6 + 0.5 * (last - i) : 1.6, // the first shows at the sides of the last
      dash: theme.dashed(i) ? [5, 4] : undefined,
      fill: fill && this.series.size <= 4 ? () => `${theme.series(i)}18` : undefined,
      points: { show: isSparse, size: 5 },
    }));
    this.chart = new uPlot({
      ...this.size(),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: 'live' }, points: { size: 6 } },
      padding: [8, 16, 0, 0],
      scales: {
        x: { time: false, range: [ago[0], 0] },
        y: { range: range ? (_, min, max) => this.spec.range(max ?? 0) : undefined },
      },
      axes: [timeAxis(), valueAxis(axis)],
      series: [{}, ...lines],
      hooks: { draw: [(chart) => { this.gapsShown = drawGaps(chart, this.gaps, this.slot); }] }, // over the lines
    }, data, this.plot);
    this.buildLegend();
  }

  buildLegend() {
    this.values = [];
    const items = [...this.series.keys()].map((label, i) => {
      const swatch = element('span', theme.dashed(i) ? 'swatch dashed' : 'swatch');
      swatch.style.color = `var(--series-${i % theme.count()})`;
      const value = element('span', 'value');
      this.values.push(value);
      return element('li', '', swatch, element('span', 'label', label), value);
    });
    this.more = element('li', 'more');
    this.legend.replaceChildren(...items, this.more);
    this.legendAt = 0;
  }

  // showValues writes the newest values, or those under the mouse.
  showValues() {
    this.legendAt = performance.now();
    const at = this.chart.cursor.idx;
    const texts = [...this.series.values()].map(({ series }, i) => {
      const v = at == null ? series.latest : nearest(this.chart.data[i + 1], at);
      return v == null ? '' : this.spec.format(v);
    });
    texts.forEach((t, i) => { this.values[i].textContent = t; });
    const hidden = this.beyond.size + this.unnamed;
    this.more.textContent = hidden > 0 ? `and ${hidden} more, not drawn` : '';
    const names = [...this.series.keys()].map((label, i) => `${label} ${texts[i]}`);
    const gaps = this.gapsShown > 0 ? `, with ${this.gapsShown} ${this.gapsShown === 1 ? 'gap' : 'gaps'}` : '';
    this.plot.setAttribute('aria-label', `${this.spec.title}, the last 60 seconds${gaps}. ${names.join(', ')}`);
  }
}

// isSparse: a few samples a minute are better seen as dots on the line.
function isSparse(chart, i) {
  let n = 0;
  for (const v of chart.data[i]) if (v != null && ++n > 12) return false;
  return true;
}

// nearest returns the last sample at or before slot i.
function nearest(values, i) {
  while (i > 0 && values[i] === undefined) i--;
  return values[i];
}

function timeAxis() {
  return {
    ...axisStyle(),
    size: 26,
    splits: () => [-60, -45, -30, -15, 0],
    values: (_, splits) => splits.map((s) => (s === 0 ? 'now' : `${-s} s`)),
  };
}

function valueAxis(format) {
  return { ...axisStyle(), size: 58, space: 36, values: (_, splits) => splits.map((v) => terse(format(v))) };
}

function axisStyle() {
  return {
    stroke: () => theme.color('--soft'),
    font: theme.font,
    grid: { stroke: () => theme.color('--grid'), width: 1 },
    ticks: { show: false },
  };
}
