// What crosses the wire, as the server tells it: a stream of events about one phone.

const KEPT = 200; // as many as the server keeps
const AGAIN = 1000; // milliseconds until the next attempt when the server is gone
const PATIENCE = 5000; // milliseconds, for events that are on their way

// createWire reads the events of one phone at a time. onEvent gets each once, onClear is told that those of another phone
// follow, onGone whether the server is gone.
export function createWire({ onEvent, onClear, onGone }) {
  let stream;
  let timer;
  let events = [];
  let waiting = [];

  // After a break the server sends again what it has kept: a stream of our own making, rather than the browser's
  // reconnecting, so that a server that has begun anew counts from 1 again.
  function connect(id) {
    stream = new EventSource(`/phones/${id}/events`);
    stream.onopen = () => onGone(false);
    stream.onmessage = ({ data }) => take(JSON.parse(data));
    stream.onerror = () => {
      onGone(true);
      stream.close();
      timer = setTimeout(connect, AGAIN, id);
    };
  }

  function take(event) {
    if (events.some(({ id, at }) => id === event.id && at === event.at)) return;
    events = [...events, event].slice(-KEPT);
    onEvent(event);
    waiting = waiting.filter((look) => !look());
  }

  return {
    follow(id) {
      clearTimeout(timer);
      if (stream) stream.close();
      events = [];
      onClear();
      connect(id);
    },

    // since resolves with what came after the mark, the note of that name first, as soon as this many answers to the
    // phone are among it; complete is false where they do not come.
    since(mark, note, answers) {
      const found = () => {
        const after = events.slice(events.indexOf(mark) + 1);
        return after.slice(Math.max(0, after.findIndex((event) => event.note === note)));
      };
      const enough = () => found().filter(toPhone).length >= answers;
      return new Promise((resolve) => {
        const look = () => {
          if (enough()) resolve({ events: found(), complete: true });
          return enough();
        };
        if (look()) return;
        waiting.push(look);
        setTimeout(() => resolve({ events: found(), complete: false }), PATIENCE);
      });
    },

    // mark is the latest event; what is after it is new.
    mark: () => events.at(-1),
  };
}

const toPhone = ({ type, kind }) => type === 'answer' && kind !== 'wechat';

// fieldOf is the value of a field of an event, or the name of the secret that it is; undefined where there is none.
export function fieldOf(event, name) {
  const found = event && (event.fields || []).find((field) => field.name === name);
  return found && (found.secret || found.value);
}
