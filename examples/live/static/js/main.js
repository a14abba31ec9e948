// Puts the page together: the stream feeds the cards and the board of charts.

import { Board } from './board.js';
import { Cards } from './cards.js';
import { byId } from './dom.js';
import { Policies } from './policies.js';
import { ServerButton } from './server.js';
import { openStream } from './stream.js';
import { openViews } from './views.js';

const board = new Board(byId('charts'));
const cards = new Cards();
const server = new ServerButton(byId('server'));
const policies = new Policies(board);

const states = {
  connecting: 'Connecting',
  live: 'Live',
  lost: 'Connection lost, trying again',
  ended: 'live has stopped, waiting for it',
};

function showState(state) {
  document.body.dataset.state = state;
  byId('connection').textContent = states[state];
  if (state !== 'live') board.gap();
}

function showStatus(status) {
  cards.show(status);
  board.status(status.hub);
  server.show(status.hub.server);
}

openStream('events?policies', {
  state: showState,
  event: (event) => board.event(event),
  gap: (gap) => board.mark(gap),
  status: showStatus,
  policies: (state) => policies.show(state),
});

openViews();

byId('pause').addEventListener('click', ({ currentTarget: button }) => {
  const paused = board.pause(!board.paused);
  button.textContent = paused ? 'Resume' : 'Pause';
  button.title = paused ? 'The charts stand still; events keep arriving' : '';
  button.setAttribute('aria-pressed', String(paused));
});
