// The last minute of one number, in slots of 100 ms.
//
// Series of one chart share the time axis that way without being sampled at the
// same moments. In a slot, undefined means that no sample fell into it (the line
// goes on to the next), null that the connection was lost (the line breaks).

export const SLOT = 100; // ms
export const SLOTS = 600;

export const slotOf = (time) => Math.floor(time / SLOT);

export class Series {
  constructor(label) {
    this.label = label;
    this.values = new Array(SLOTS).fill(undefined);
    this.last = 0; // the newest slot written
    this.latest = undefined;
    this.empty = undefined; // what a slot holds without a sample: null in a gap
  }

  add(slot, value) {
    if (slot <= this.last - SLOTS) return; // too old to be drawn
    this.advance(slot);
    this.empty = undefined;
    this.values[slot % SLOTS] = value;
    this.latest = value;
  }

  // advance forgets what the slots up to this one held a minute ago.
  advance(slot) {
    const from = Math.max(this.last + 1, slot - SLOTS + 1);
    for (let s = from; s <= slot; s++) this.values[s % SLOTS] = this.empty;
    this.last = Math.max(this.last, slot);
  }

  // gap breaks the line from here to the next sample.
  gap() {
    this.empty = null;
  }

  // view returns the minute that ends with slot, oldest first.
  view(slot) {
    this.advance(slot);
    const out = new Array(SLOTS);
    for (let i = 0, s = slot - SLOTS + 1; i < SLOTS; i++, s++) {
      out[i] = s > this.last - SLOTS ? this.values[s % SLOTS] : undefined;
    }
    return out;
  }
}

// Rate turns a counter into its rise per second, over about a second: from one
// sample to the next it would show the jitter of the samples.
export class Rate {
  constructor(over = 1000) {
    this.over = over;
    this.samples = []; // [time, counter], oldest first
  }

  reset() {
    this.samples = [];
  }

  // add returns the rate, or undefined for a first sample.
  add(time, counter) {
    const newest = this.samples.at(-1);
    if (newest && counter < newest[1]) this.reset(); // it began anew
    if (newest && time <= newest[0]) return undefined;
    this.samples.push([time, counter]);
    while (this.samples.length > 2 && this.samples[1][0] <= time - this.over) this.samples.shift();
    const [from, was] = this.samples[0];
    return time > from ? ((counter - was) * 1000) / (time - from) : undefined;
  }
}
