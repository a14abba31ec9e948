// Numbers as people read them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const few = new Intl.NumberFormat('en', { maximumSignificantDigits: 4 });

// count keeps every digit while there is room for it.
export const count = (n) => (n < 1e7 ? whole : short).format(n);

// exact keeps every digit, for numbers that name something.
export const exact = (n) => whole.format(n);

// brief keeps five digits, for where there is less room.
export const brief = (n) => (n < 1e5 ? whole : short).format(n);

export function plain(n) {
  const size = Math.abs(n);
  if (size >= 1e5) return short.format(n);
  return size > 0 && size < 1e-3 ? n.toExponential(1) : few.format(n);
}

export const percent = (n) => `${n.toFixed(n < 10 ? 1 : 0)} %`;
export const load = (n) => n.toFixed(2);

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

export function bytes(n) {
  let i = 0;
  while (n >= 999.5 && i < units.length - 1) {
    n /= 1000;
    i++;
  }
  const digits = i === 0 || n >= 99.95 ? 0 : n >= 9.995 ? 1 : 2;
  return `${n.toFixed(digits)} ${units[i]}`;
}

export const bytesPerSecond = (n) => `${bytes(n)}/s`;

// terse drops zeros that say nothing: 20.0 kB is 20 kB on an axis.
export const terse = (s) => s.replace(/\.0+(?!\d)|(\.\d*?[1-9])0+(?!\d)/, '$1');
