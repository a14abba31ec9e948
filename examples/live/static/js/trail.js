// What a subscriber got last, with the gaps where they were: the latest runs of
// events, or with keys the latest event of each.

import { element, set } from './dom.js';
import { exact } from './format.js';

export class Trail {
  // skips is the word for what became of the events in a gap.
  constructor(skips, keyed) {
    this.keyed = keyed;
    this.views = [];
    this.marks = element('p', 'marks');
    const words = element('p', 'caption', 'got last, ', element('b', 'gap', skips), ' before it');
    this.root = element('div', keyed ? 'trail keyed' : 'trail', words, this.marks);
  }

  // show takes the marks of a state: in the order of the keys, or oldest first. The
  // newest is at the right; the style sheet hides the oldest where room is short,
  // and wants them behind the others for that.
  show(marks) {
    this.root.classList.toggle('whole', !marks.some((mark) => mark.skipped));
    const shown = this.keyed ? marks : marks.toReversed();
    while (this.views.length < shown.length) {
      const view = new Mark();
      this.views.push(view);
      this.marks.append(view.root);
    }
    this.views.forEach((view, i) => view.show(shown[i]));
  }
}

class Mark {
  constructor() {
    this.key = element('b', 'key');
    this.gap = element('b', 'gap');
    this.run = element('span', 'run');
    this.root = element('span', 'mark', this.key, this.gap, this.run);
  }

  // show takes undefined if there are fewer marks than before.
  show(mark) {
    this.root.hidden = !mark;
    if (!mark) return;
    this.gap.hidden = !mark.skipped;
    set(this.gap, exact(mark.skipped ?? 0));
    set(this.key, mark.key ?? '');
    set(this.run, mark.from === mark.to ? exact(mark.to) : `${exact(mark.from)}–${exact(mark.to)}`);
  }
}
