// What is shown may come from anywhere (subjects, field names), so text only
// ever goes through textContent.

export const byId = (id) => document.getElementById(id);

// element makes <tag class="cls"> with text or children in it.
export function element(tag, cls, ...children) {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  e.append(...children); // strings become text nodes, never markup
  return e;
}

// set spares the browser what has not changed.
export function set(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// setShare is for a bar: how much of it is filled, from 0 to 1.
export function setShare(fill, share) {
  fill.style.setProperty('--share', Math.min(1, Math.max(0, share || 0)).toFixed(3));
}
