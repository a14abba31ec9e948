// Controls that many pages turn at once: what is moved here goes to the server,
// and what is moved elsewhere is followed.

const WITHIN = 5000; // ms for an answer

// post returns the version of the settings from which on a state shows the
// change; it throws with the server's words if there is none.
export async function post(path, body = {}) {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(WITHIN),
  });
  if (!response.ok) throw new Error((await response.text()).trim());
  return (await response.json()).version;
}

// Slider is an <input type=range> for a number that does not grow evenly.
export class Slider {
  // scale: value(position), position(value), text(value). send(value) returns
  // what post does; failed(error) is told when that goes wrong.
  constructor(input, output, { scale, send, failed }) {
    Object.assign(this, { input, output, scale, send, failed });
    this.value = undefined;
    this.next = undefined; // to be sent
    this.sending = false;
    this.version = 0; // older states do not know what was moved here yet
    input.addEventListener('input', () => this.moved());
  }

  moved() {
    this.show(this.scale.value(Number(this.input.value)));
    this.next = this.value;
    if (!this.sending) this.flush();
  }

  // flush sends the newest value, one request at a time: what was moved over
  // meanwhile need not be sent.
  async flush() {
    this.sending = true;
    while (this.next !== undefined) {
      const value = this.next;
      this.next = undefined;
      try {
        this.version = await this.send(value);
      } catch (error) {
        this.failed(error);
      }
    }
    this.sending = false;
  }

  // follow takes the value of a state.
  follow(value, version) {
    if (this.sending || version < this.version || value === this.value) return;
    this.input.value = this.scale.position(value);
    this.show(value);
  }

  // restart forgets the versions of a server that is not there any more.
  restart() {
    this.version = 0;
  }

  show(value) {
    this.value = value;
    const text = this.scale.text(value);
    this.output.textContent = text;
    this.input.setAttribute('aria-valuetext', text);
  }
}

// logarithmic makes a scale from least at position 0 to most at position end.
// Values have two digits that count: nobody wants 1,259/s.
export function logarithmic(least, most, end, text) {
  const span = Math.log(most / least);
  return {
    value: (position) => Number((least * Math.exp((span * position) / end)).toPrecision(2)),
    position: (value) => Math.round((end * Math.log(value / least)) / span),
    text,
  };
}
