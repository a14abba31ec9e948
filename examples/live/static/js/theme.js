// The colours of the style sheet, for the canvas, which cannot read it.

const dark = matchMedia('(prefers-color-scheme: dark)');
const cache = new Map();
let lines = [];

function read() {
  cache.clear();
  lines = theme.color('--series').split(/\s+/);
  lines.forEach((c, i) => document.documentElement.style.setProperty(`--series-${i}`, c));
}

export const theme = {
  font: '12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif',

  color(name) {
    if (!cache.has(name)) {
      cache.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
    }
    return cache.get(name);
  },

  count: () => lines.length,
  series: (i) => lines[i % lines.length],
  // The second round of colours is dashed.
  dashed: (i) => i >= lines.length,
};

read();
dark.addEventListener('change', read);
