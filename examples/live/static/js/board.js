// The board of charts: decides where a number is drawn, in bounded space, and
// when.

import { Panel } from './panel.js';
import { byId } from './dom.js';
import { count, plain } from './format.js';
import { Gaps } from './gaps.js';
import { fromZero, place } from './host.js';
import { Rate, slotOf } from './series.js';

const MAX_PANELS = 12;
const MAX_BEYOND = 1000; // subjects without a chart that are told apart
const calm = matchMedia('(prefers-reduced-motion: reduce)');
const frame = () => (calm.matches ? 1000 : 100); // ms between two drawings

const hubPanel = {
  id: 'hub', order: 90, title: 'Hub', unit: 'events per second', format: count, axis: plain, range: fromZero(10),
};

export class Board {
  constructor(root) {
    this.root = root;
    this.panels = new Map(); // id -> Panel
    this.adopted = []; // panels that others fill
    this.gaps = new Gaps();
    this.beyond = new Set(); // subjects for which there was no chart left
    this.offset = 0; // this clock minus the server's, ms
    this.paused = false;
    this.hubRates = { published: new Rate(), offered: new Rate(), dropped: new Rate() };
    this.drawn = 0;
    requestAnimationFrame((t) => this.tick(t));
  }

  event({ subject, time, values, more = 0 }) {
    this.gaps.event(time);
    const { panel, series } = place(subject, values) ?? unknown(subject, values);
    this.add(panel, series, time, more);
  }

  // status draws what the hub does, from the status of every second.
  status(hub) {
    const offset = Date.now() - hub.time;
    // Only a jump counts: following every delay would make the charts tremble.
    if (Math.abs(offset - this.offset) > 250) this.offset = offset;
    const series = Object.entries(this.hubRates).map(([label, rate]) => ({
      label, value: rate.add(hub.time, hub[label]),
    }));
    this.add(hubPanel, series, hub.time, 0);
    this.gaps.status(hub);
  }

  add(spec, series, time, more) {
    const panel = this.panels.get(spec.id) ?? this.open(spec);
    if (!panel) return;
    panel.unnamed = more;
    for (const s of series) panel.add(s, time);
  }

  // open makes a chart, if there is room for one. One place is kept for the
  // hub's own.
  open(spec) {
    const others = this.panels.size - (this.panels.has(hubPanel.id) ? 1 : 0);
    if (spec !== hubPanel && others >= MAX_PANELS - 1) {
      this.overflow(spec.id);
      return undefined;
    }
    const panel = new Panel(spec, this.gaps.bands);
    this.panels.set(spec.id, panel);
    const next = [...this.root.children].find((c) => Number(c.dataset.order) > spec.order);
    this.root.insertBefore(panel.card, next ?? null);
    byId('waiting').hidden = this.panels.size > 1 || spec !== hubPanel;
    return panel;
  }

  // adopt takes a panel of another's, to be drawn with its own.
  adopt(panel) {
    this.adopted.push(panel);
  }

  all() {
    return [...this.panels.values(), ...this.adopted];
  }

  overflow(id) {
    if (this.beyond.size < MAX_BEYOND) this.beyond.add(id);
    const more = this.beyond.size === MAX_BEYOND ? ' or more' : '';
    const note = byId('beyond');
    note.hidden = false;
    note.textContent = `${MAX_PANELS} charts are drawn. ${count(this.beyond.size)}${more} further `
      + `${this.beyond.size === 1 ? 'subject has' : 'subjects have'} none.`;
  }

  // mark takes a gap of the stream, which all charts show and which breaks the
  // lines of events. What the hub does goes on.
  mark(gap) {
    this.gaps.mark(gap);
    for (const panel of this.panels.values()) if (panel.spec !== hubPanel) panel.gap();
  }

  // gap breaks all lines, since the page itself was away: what comes next is not
  // the continuation.
  gap() {
    this.gaps.forget();
    for (const panel of this.all()) panel.gap();
    for (const rate of Object.values(this.hubRates)) rate.reset();
  }

  pause(paused) {
    this.paused = paused;
    return paused;
  }

  tick(t) {
    requestAnimationFrame((next) => this.tick(next));
    if (this.paused || t - this.drawn < frame()) return;
    this.drawn = t;
    const slot = slotOf(Date.now() - this.offset);
    for (const panel of this.all()) panel.draw(slot);
  }
}

// unknown gives every subject that is not a host's a chart of its own.
function unknown(subject, values) {
  const panel = { id: `subject ${subject}`, order: 50, title: subject, unit: '', format: plain };
  return { panel, series: Object.entries(values).map(([label, value]) => ({ label, value })) };
}
