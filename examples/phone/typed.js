// What was typed into the inputs of a page, which is not in the page's data.

const { walk } = require('./look.js');
const { keyOf } = require('./render.js');

/**
 * createTyped returns the memory of one page's inputs. As in WeChat, an input shows what was typed until the data give it
 * another value than they did then, and forgets it when it leaves the page.
 */
function createTyped() {
  /** @type {Map<string, {text: string, given: any}>} */
  const typed = new Map();

  /** set notes what an input shows now. */
  function set(input, text) {
    typed.set(keyOf(input), { text, given: input.attrs.value });
  }

  /** valueOf gives what an input shows. */
  function valueOf(input) {
    const entry = typed.get(keyOf(input));
    if (entry) return entry.text;
    return input.attrs.value === undefined ? '' : String(input.attrs.value);
  }

  /** follow must be called with each new tree. */
  function follow(tree) {
    const inputs = new Map([...walk(tree)].map((node) => [keyOf(node), node]));
    for (const [key, { given }] of typed) {
      const input = inputs.get(key);
      if (!input || input.attrs.value !== given) typed.delete(key);
    }
  }

  return { set, valueOf, follow };
}

module.exports = { createTyped };
