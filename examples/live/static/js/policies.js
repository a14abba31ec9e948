// The demonstration of how subscribers differ: its publisher, its subscribers, its charts.

import { logarithmic, post, Slider } from './control.js';
import { byId, set, setShare } from './dom.js';
import { count, percent, plain } from './format.js';
import { fromZero } from './host.js';
import { Lane } from './lane.js';
import { Panel } from './panel.js';

// The server has the same bounds, and says so when they differ.
const rates = logarithmic(1, 5000, 100, (v) => `${count(v)}/s`);
const bursts = logarithmic(1, 500, 100, (v) => (v === 1 ? 'one' : count(v)));

const chart = { unit: 'events per second', format: count, axis: plain, overlaid: true };
const REFUSED_FOR = 6000; // ms that an error stands

export class Policies {
  constructor(board) {
    this.lanes = new Map(); // name -> Lane
    this.failed = (error) => this.showRefused(error);
    this.rate = this.slider('rate', rates);
    this.burst = this.slider('burst', bursts);
    this.version = 0;
    this.gets = new Panel({ ...chart, id: 'gets', order: 0, title: 'Received, by subscriber', range: fromZero(10) });
    this.loses = new Panel({ ...chart, id: 'loses', order: 1, title: 'Dropped or coalesced, by subscriber', range: fromZero(10) });
    for (const panel of [this.gets, this.loses]) {
      byId('policy-charts').append(panel.card);
      board.adopt(panel);
    }
    byId('reset').addEventListener('click', () => post('policies/reset').catch(this.failed));
  }

  slider(name, scale) {
    return new Slider(byId(`${name}-slider`), byId(`${name}-text`), {
      scale,
      send: () => post('policies/publisher', { rate: this.rate.value, burst: this.burst.value }),
      failed: this.failed,
    });
  }

  // show takes a state. It comes ten times a second, also while the hub that it
  // tells of stands still.
  show(state) {
    if (state.version < this.version) this.restart();
    this.version = state.version;
    this.showPublisher(state);
    set(byId('headline'), state.verdict.text);
    byId('headline').dataset.level = state.verdict.level;
    set(byId('pages'), state.pages === 1 ? '1 page' : `${count(state.pages)} pages`);
    state.lanes.forEach((lane, i) => {
      const view = this.lanes.get(lane.name) ?? this.open(lane, i);
      view.show(lane, state);
      this.gets.add({ label: lane.name, value: lane.gets }, state.time);
      this.loses.add({ label: lane.name, value: lane.loses + lane.coalesces }, state.time);
    });
  }

  open(lane, i) {
    const view = new Lane(lane, i, this.failed);
    this.lanes.set(lane.name, view);
    byId('lanes').append(view.card);
    if (lane.cap > 0) set(byId('capacity'), count(lane.cap));
    if (lane.keys > 0) set(byId('keys'), count(lane.keys));
    return view;
  }

  // restart is for a server that began anew, whose versions did too.
  restart() {
    for (const slider of [this.rate, this.burst, ...[...this.lanes.values()].map((lane) => lane.slider)]) slider.restart();
  }

  showPublisher(state) {
    this.rate.follow(state.rate, state.version);
    this.burst.follow(state.burst, state.version);
    set(byId('sent'), count(state.published));
    set(byId('real-text'), `${count(state.real)}/s`);
    setShare(byId('real-bar'), state.real / state.rate);
    set(byId('blocked-text'), percent(100 * state.blocked));
    setShare(byId('blocked-bar'), state.blocked);
    set(byId('waits'), state.waits < 1 ? 'of the last second' : `waiting for ${state.waits.toFixed(1)} s`);
    byId('publisher').dataset.level = state.blocked > 0.05 ? 'suffers' : 'good';
  }

  showRefused(error) {
    const note = byId('refused');
    note.textContent = `Not changed: ${error.message}`;
    note.hidden = false;
    clearTimeout(this.refusedTimer);
    this.refusedTimer = setTimeout(() => { note.hidden = true; }, REFUSED_FOR);
  }
}
