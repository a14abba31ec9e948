// The button that stops the NATS server inside live, and starts it again. What it
// offers follows the server, whoever has pressed it on whatever page.

import { post } from './control.js';
import { byId, set } from './dom.js';

export class ServerButton {
  constructor(button) {
    this.button = button;
    this.server = undefined; // running or stopped
    this.busy = false; // not disabled meanwhile, which would take the focus away
    button.addEventListener('click', () => this.press());
  }

  // show takes what a status says: running, stopped, or nothing if live has no
  // server of its own.
  show(server) {
    this.button.hidden = !server;
    if (server !== this.server) this.busy = false; // done, be the answer still on its way
    this.server = server;
    this.button.disabled = false;
    set(this.button, server === 'stopped' ? 'Start it again' : 'Stop the NATS server');
  }

  async press() {
    if (this.busy) return;
    this.busy = true;
    try {
      await post(this.server === 'stopped' ? 'server/start' : 'server/stop');
      set(byId('server-failed'), '');
    } catch (error) {
      set(byId('server-failed'), error.message);
    }
    this.busy = false;
  }
}
