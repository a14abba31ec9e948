// The connection to the server, which it opens again for as long as the page
// is there.

const RETRY = 2000; // ms until the next attempt
const SILENCE = 5000; // ms without the status that comes every second: it is dead

// openStream calls on.state with connecting, live, lost or ended, on.event with
// every event, on.gap where events are missing between two, on.status with every status and on.policies with every state of
// the demonstration.
export function openStream(url, on) {
  let source;
  let watchdog;

  function connect() {
    source = new EventSource(url);
    alive();
    source.onopen = () => on.state('live');
    source.onmessage = (m) => on.event(JSON.parse(m.data));
    source.addEventListener('state', (m) => JSON.parse(m.data).forEach(on.event));
    source.addEventListener('status', (m) => {
      alive();
      on.status(JSON.parse(m.data));
    });
    source.addEventListener('gap', (m) => on.gap(JSON.parse(m.data)));
    source.addEventListener('policies', (m) => on.policies(JSON.parse(m.data)));
    source.addEventListener('end', (m) => {
      on.status(JSON.parse(m.data));
      again('ended');
    });
    // A browser retries by itself after some errors and gives up after others:
    // one way for all is easier to follow.
    source.onerror = () => again('lost');
  }

  let state = 'connecting';
  const tell = on.state;
  on = { ...on, state: (s) => { if (s !== state) tell(state = s); } };

  function alive() {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => again('lost'), SILENCE);
  }

  function again(why) {
    clearTimeout(watchdog);
    source.close();
    // An attempt that fails while live is known to have stopped is no news.
    on.state(state === 'ended' ? 'ended' : why);
    setTimeout(connect, RETRY);
  }

  connect();
}
