// One subscriber of the demonstration: its control, its bars, its numbers.

import { logarithmic, post, Slider } from './control.js';
import { element, set, setShare } from './dom.js';
import { brief, count } from './format.js';
import { Trail } from './trail.js';

const STUCK = 0;
const STUCK_AT = 100; // the last position of the slider
const rising = logarithmic(1, 10000, STUCK_AT - 1, (v) => `${count(v)}/s`);

// From fast on the left to stuck on the right.
const speeds = {
  value: (position) => (position >= STUCK_AT ? STUCK : rising.value(STUCK_AT - 1 - position)),
  position: (value) => (value === STUCK ? STUCK_AT : STUCK_AT - 1 - rising.position(value)),
  text: (value) => (value === STUCK ? 'stuck' : rising.text(value)),
};

const numbers = ['offered', 'received', 'dropped', 'coalesced', 'ejected', 'age'];

export class Lane {
  // lane is the first of its parts of a state.
  constructor(lane, index, failed) {
    this.path = `policies/subscribers/${encodeURIComponent(lane.name)}`;
    this.failed = failed;
    this.build(lane, index);
    this.slider = new Slider(this.input, this.output, {
      scale: speeds,
      send: (speed) => post(this.path, { speed }),
      failed,
    });
    this.again.addEventListener('click', () => this.subscribe());
  }

  build({ name, about, cap, keys, skips }, index) {
    const dot = element('span', 'dot');
    dot.style.background = `var(--series-${index})`;
    this.verdict = element('p', 'verdict');
    this.again = element('button', 'again', 'Subscribe again');
    this.again.type = 'button';
    this.again.hidden = true;
    const who = element('div', 'who', element('h3', '', dot, name), element('p', 'about', about));
    this.room = cap || keys;
    this.buffer = gauge('buffer', 'bar cells');
    this.buffer.root.style.setProperty('--cells', this.room);
    this.gets = gauge('receives', 'bar');
    this.trail = new Trail(skips, keys > 0);
    this.card = element('article', 'card lane', who, element('div', 'fate', this.verdict, this.again),
      this.control(name), this.buffer.root, this.gets.root, this.list(), this.trail.root);
    this.card.dataset.lane = name;
  }

  control(name) {
    this.output = element('output', '');
    this.input = element('input', '');
    Object.assign(this.input, { type: 'range', min: 0, max: STUCK_AT, step: 1 });
    this.input.setAttribute('aria-label', `Speed of ${name}`);
    return element('label', 'control', element('span', 'caption', 'takes ', this.output), this.input,
      element('span', 'ends', element('span', '', 'fast'), element('span', '', 'stuck')));
  }

  list() {
    this.numbers = {};
    const items = numbers.map((name) => {
      this.numbers[name] = element('dd', name);
      return element('div', '', element('dt', '', name), this.numbers[name]);
    });
    this.numbers.age.title = 'From the Publish of the latest event that it received to its receive';
    return element('dl', '', ...items);
  }

  async subscribe() {
    this.again.disabled = true;
    try {
      await post(`${this.path}/subscribe`);
    } catch (error) {
      this.failed(error);
    }
    this.again.disabled = false;
  }

  // show takes the lane's part of a state.
  show(lane, { version, rate }) {
    this.slider.follow(lane.speed, version);
    this.card.dataset.level = lane.verdict.level;
    set(this.verdict, lane.verdict.text);
    this.again.hidden = lane.live;
    this.buffer.show(lane.len / this.room, lane.cap > 0 ? `${lane.len} of ${lane.cap}` : brief(lane.len));
    this.gets.show(lane.gets / rate, `${count(lane.gets)}/s`);
    set(this.numbers.offered, brief(lane.offered));
    set(this.numbers.received, brief(lane.received));
    set(this.numbers.dropped, brief(lane.dropped));
    set(this.numbers.coalesced, brief(lane.coalesced));
    set(this.numbers.ejected, brief(lane.ejects));
    this.trail.show(lane.trail);
    set(this.numbers.age, age(lane.age));
    this.numbers.dropped.classList.toggle('lossy', lane.dropped > 0);
    this.numbers.ejected.classList.toggle('lossy', lane.ejects > 0);
  }
}

function gauge(name, cls) {
  const text = element('span', '');
  text.dataset.gauge = name;
  const fill = element('div', 'fill');
  const root = element('div', 'gauge', element('p', 'caption', `${name} `, text), element('div', cls, fill));
  return {
    root,
    show(share, words) {
      setShare(fill, share);
      set(text, words);
    },
  };
}

function age(ms) {
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 1 ? `${ms.toFixed(0)} ms` : '< 1 ms';
}
