// What was sent, as the server reports it: a stream of events about one phone, joined to exchanges of request and response.

const RETRY = 1000; // milliseconds until the next attempt if the server is gone
const PATIENCE = 5000; // milliseconds, for events that are on their way

// createWire follows one phone at a time. Its items are exchanges and notes. onItem gets each once, onAnswer when its
// response came; onClear is called before the items of another phone, onGone when the server is gone or back.
export function createWire({ onItem, onAnswer, onClear, onGone }) {
  let stream;
  let timer;
  let items = [];
  let waiting = [];

  // After a break the server sends what it has kept again: a stream of our own, because the browser's reconnecting would
  // skip events of a server that was restarted and counts from 1 again.
  function connect(id, secrets) {
    stream = new EventSource(`/phones/${id}/events${secrets ? '?secrets=show' : ''}`);
    stream.onopen = () => onGone(false);
    stream.onmessage = ({ data }) => take(JSON.parse(data));
    stream.onerror = () => {
      onGone(true);
      stream.close();
      timer = setTimeout(connect, RETRY, id, secrets);
    };
  }

  function take(event) {
    if (items.some(({ ids }) => ids.includes(event.id + event.at))) return;
    const exchange = event.type === 'answer' && items.find((item) => item.exchange === event.exchange);
    if (exchange) {
      exchange.ids.push(event.id + event.at);
      exchange.answer = event;
      onAnswer(exchange);
    } else {
      items.push({ ...event, ids: [event.id + event.at] });
      onItem(items.at(-1));
    }
    waiting = waiting.filter((look) => !look());
  }

  return {
    follow(id, secrets) {
      clearTimeout(timer);
      if (stream) stream.close();
      items = [];
      onClear();
      connect(id, secrets);
    },

    // since resolves with the items after the first n, as soon as a note of that name and this many responses to the phone
    // are among them; complete is false if they do not come.
    since(n, note, answers) {
      const found = () => items.slice(n);
      const enough = () => found().some((item) => item.note === note) && found().every(({ type, answer }) => (
        type === 'note' || answer)) && found().filter(isForPhone).length >= answers;
      return new Promise((resolve) => {
        const look = () => {
          if (enough()) resolve({ items: found(), complete: true });
          return enough();
        };
        if (look()) return;
        waiting.push(look);
        setTimeout(() => resolve({ items: found(), complete: false }), PATIENCE);
      });
    },

    count: () => items.length,
  };
}

const isForPhone = ({ kind, answer }) => answer && kind !== 'wechat' && kind !== 'push' && !answer.lost;

// isFailed reports whether a response is one of failure. WeChat's failures have status 200 and an errcode.
export const isFailed = ({ answer }) => Boolean(answer && (answer.status >= 400 || !answer.status || answer.data?.errcode));

// fieldOf returns a field of a message, or undefined.
export const fieldOf = (message, name) => name.split('.').reduce((data, key) => data?.[key], message?.data);

// valueOf returns it as a text, without the brackets of a secret's name.
export function valueOf(message, name) {
  const value = fieldOf(message, name);
  return value === undefined ? undefined : String(value).replace(/^<(.*)>$/, '$1');
}
