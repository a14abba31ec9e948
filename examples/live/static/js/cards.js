// The cards at the top, and what is said of malformed events.

import { byId } from './dom.js';
import { count } from './format.js';

export class Cards {
  // show takes a status: hub is what the server knows of all, you what it knows
  // of this browser's own subscription.
  show({ hub, you }) {
    const source = `${hub.what}, over ${hub.over}`;
    text('source', hub.ended ? `${source} (ended)` : source);
    text('over', hub.over);
    byId('over').title = hub.over;
    text('rate', count(hub.rate));
    text('malformed', count(hub.malformed.count), hub.malformed.count > 0 && 'odd');
    text('gaps', count(hub.gaps), hub.gaps > 0 && 'odd');
    byId('gaps-row').hidden = !hub.bridged;
    text('published', count(hub.published));
    text('offered', count(hub.offered));
    text('dropped', count(hub.dropped), hub.dropped > 0 && 'lossy');
    text('browsers', count(hub.browsers));
    text('browsers-word', hub.browsers === 1 ? 'browser' : 'browsers');
    text('inside', count(Math.max(0, hub.subscribers - hub.browsers)));
    text('received', count(hub.received));
    text('you-received', count(you.received));
    text('you-dropped', count(you.dropped), you.dropped > 0 && 'lossy');
    text('you-buffered', count(you.buffered));
    text('you-capacity', count(you.capacity));
    byId('you-meter').value = you.capacity > 0 ? you.buffered / you.capacity : 0;
    showMalformed(hub.malformed);
  }
}

function showMalformed({ count: n, subject, head, reason }) {
  byId('bad').hidden = n === 0;
  if (n === 0) return;
  text('bad-count', `${count(n)} malformed ${n === 1 ? 'event' : 'events'} skipped.`);
  text('bad-where', `The latest, on ${subject}, is ${reason}:`);
  text('bad-head', head || '(empty)');
}

function text(id, value, cls) {
  const e = byId(id);
  if (e.textContent !== value) e.textContent = value;
  if (cls !== undefined) e.className = cls || '';
}
