// The gaps in a chart: a band from where events are missing to where they come
// again, and a line for one that took no time.

import { SLOT, SLOTS } from './series.js';
import { theme } from './theme.js';

const LABEL = 34; // px a band needs for its name

// drawGaps draws those of the last minute, and returns how many there are; slot is
// where the chart ends.
export function drawGaps(chart, gaps, slot) {
  const { ctx, bbox } = chart;
  const ratio = devicePixelRatio;
  const x = (time) => Math.round(chart.valToPos(Math.min(0, (time / SLOT - slot) * SLOT) / 1000, 'x', true));
  let n = 0;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const { from, to, open } of gaps) {
    if (!open && to < (slot - SLOTS) * SLOT) continue; // it has left the chart
    n++;
    const left = x(from);
    const right = open ? bbox.left + bbox.width : x(to);
    ctx.fillStyle = theme.color('--gap-band');
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.fillStyle = theme.color('--gap-edge');
    ctx.fillRect(left, bbox.top, ratio, bbox.height);
    if (!open) ctx.fillRect(right, bbox.top, ratio, bbox.height);
    if (right - left > LABEL * ratio) name(ctx, (Math.max(left, bbox.left) + right) / 2, bbox.top, ratio);
  }
  ctx.restore();
  return n;
}

function name(ctx, x, top, ratio) {
  ctx.font = theme.font.replace('12px', `${11 * ratio}px`);
  ctx.textAlign = 'center';
  ctx.textBaseline = 'top';
  ctx.fillText('gap', x, top + 4 * ratio);
}
