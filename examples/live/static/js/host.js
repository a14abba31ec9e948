// What is known about the subjects of a host: which chart an event goes to.

import { bytes, bytesPerSecond, load, percent } from './format.js';

const panels = {
  cpu: { title: 'CPU', unit: 'each core', format: percent, range: () => [0, 100] },
  mem: { title: 'Memory', unit: 'bytes', format: bytes, fill: true, range: fromZero(1) },
  load: { title: 'Load', unit: 'runnable tasks, averaged', format: load, range: fromZero(0.5) },
  net: { title: 'Network', unit: 'per second', format: bytesPerSecond, axis: bytes, fill: true, range: fromZero(1000) },
  disk: { title: 'Disk', unit: 'per second', format: bytesPerSecond, axis: bytes, fill: true, range: fromZero(1000) },
};

// The order in which they stand on the page, whichever comes first.
Object.keys(panels).forEach((kind, i) => Object.assign(panels[kind], { id: `host ${kind}`, order: i }));

// fromZero makes a scale that does not blow up noise when there is little.
export function fromZero(least) {
  return (max) => [0, Math.max(least, max * 1.1)];
}

const fields = {
  mem: { used: 'used', available: 'available' },
  load: { load1: '1 minute', load5: '5 minutes', load15: '15 minutes' },
  net: { in: 'in', out: 'out' },
  disk: { in: 'read', out: 'written' },
};

// place returns the panel of a host's subject and its series, or undefined for
// any other subject.
export function place(subject, values) {
  const [root, kind, ...rest] = subject.split('.');
  const panel = root === 'host' && Object.hasOwn(panels, kind) ? panels[kind] : undefined;
  if (!panel) return undefined;
  const device = rest.map(decode).join('.');
  if (kind === 'cpu') return { panel, series: [{ label: `core ${device}`, value: values.percent }] };
  const series = Object.entries(fields[kind])
    .filter(([field]) => Object.hasOwn(values, field))
    .map(([field, name]) => ({
      label: device ? `${device} ${name}` : name,
      value: values[field],
      counter: kind === 'net' || kind === 'disk',
    }));
  return { panel: kind === 'mem' && values.total > 0 ? withTotal(panel, values.total) : panel, series };
}

// withTotal makes the top of the chart all there is.
function withTotal(panel, total) {
  panel.range = () => [0, total];
  return panel;
}

// decode undoes the encoding of names that a subject does not take.
function decode(token) {
  try {
    return decodeURIComponent(token);
  } catch {
    return token;
  }
}
