// The gaps of the stream: where they were, for the charts, and in words.

import { byId, set } from './dom.js';
import { count } from './format.js';

const SHOWN = 60_000; // ms: what a chart shows
const KEPT = 1.5 * SHOWN;
const MOST = 200; // remembered at once
const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const at = (time) => clock.format(time);

export class Gaps {
  constructor() {
    this.bands = []; // {from, to, open, reason, count, marks}, oldest first
    this.current = undefined; // the last one, if no event has come behind it
    this.seen = 0; // gaps that the server had counted with the last one
  }

  // mark takes a gap. A connection that was down has one where it went and one
  // where it was back: with no event between them that is one outage.
  mark({ time, reason, count: n, gaps }) {
    if (gaps !== this.seen + 1) this.current = undefined; // this browser has missed some
    this.seen = gaps;
    const disconnected = reason === 'disconnected';
    if (this.current?.reason === reason && disconnected) {
      this.current.to = time;
      this.current.marks++;
    } else {
      this.current = { from: time, to: time, reason, count: n, marks: 1 };
      this.bands.push(this.current);
    }
    this.current.open = disconnected && this.current.marks % 2 === 1;
    const old = (band) => band !== this.current && band.to < time - KEPT;
    while (this.bands.length > MOST || old(this.bands[0])) this.bands.shift();
    this.say();
  }

  // event is told of the time of each event: what comes behind a gap ends it.
  event(time) {
    if (!this.current || time <= this.current.to) return;
    this.current.open = false;
    this.current = undefined;
    this.say();
  }

  // forget is for when the page itself was away: who knows what came meanwhile.
  forget() {
    if (this.current) this.current.open = false;
    this.current = undefined;
  }

  // status says what there is to say without a gap, and calms down when the charts
  // show the last one no more.
  status({ time, gaps, bridged, server }) {
    byId('gap').hidden = !bridged;
    const last = this.bands.at(-1);
    if (last) {
      if (!last.open && last.to < time - SHOWN) delete byId('gap').dataset.level;
      return;
    }
    this.seen = gaps;
    if (server === 'stopped') set(byId('gap'), 'The NATS server is stopped: what is published now is lost.');
    else set(byId('gap'), gaps === 0 ? 'No gap so far.' : 'No gap since this page is open.');
  }

  say() {
    const band = this.bands.at(-1);
    byId('gap').dataset.level = band.open ? 'open' : 'over';
    set(byId('gap'), words(band));
  }
}

function words({ from, to, open, reason, count: n }) {
  const lost = n > 0 ? `${count(n)} ${n === 1 ? 'event is' : 'events are'} lost` : 'Events are lost';
  switch (reason) {
    case 'disconnected':
      if (open) return `Gap: disconnected, since ${at(from)}. What is published meanwhile is lost.`;
      return `Gap: disconnected, ${from === to ? `at ${at(from)}` : `${at(from)} to ${at(to)}`}. `
        + 'What was published meanwhile is lost; everything behind it is complete.';
    case 'source_dropped':
    case 'overflowed':
      return `Gap: too fast, at ${at(from)}. ${lost}; everything behind it is complete.`;
    default:
      return `Gap: ${reason}, at ${at(from)}. ${lost}; everything behind it is complete.`;
  }
}
