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
