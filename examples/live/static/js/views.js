// The two views of the page, chosen by the part of the address behind #, so
// that each has an address and the browser's back button works.

import { byId } from './dom.js';

const views = ['live', 'policies'];

function showView() {
  const wanted = location.hash.slice(1);
  const shown = views.includes(wanted) ? wanted : views[0];
  for (const view of views) byId(`${view}-view`).hidden = view !== shown;
  for (const link of document.querySelectorAll('.tabs a')) {
    if (link.hash === `#${shown}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

export function openViews() {
  addEventListener('hashchange', () => {
    showView();
    scrollTo(0, 0);
  });
  showView();
}
