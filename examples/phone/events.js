// Events: from a node of the tree to the page's handler.

/**
 * createDispatch returns dispatch(node, type, detail), which calls the handler that the node has for this event in the
 * page on top. What the handler returns is ignored. It resolves when the handler is through, in any case: a failure is in
 * the errors of the mini-program, and a handler that the page lacks is one. Disabled nodes get no events.
 *
 * Events do not go on to the elements around a node. What was typed into an input is known by its input events.
 *
 * @param {() => ReturnType<typeof import('./page.js').openPage>} top
 * @param {ReturnType<typeof import('./work.js').createWork>} work
 */
function createDispatch(top, work) {
  /**
   * @param {import('./render.js').TreeNode} node
   * @param {string} type
   * @param {Record<string, any>} [detail]
   */
  async function dispatch(node, type, detail = {}) {
    const { instance, path, typed } = top();
    if (node.attrs.disabled) return;
    if (node.tag === 'input' && type === 'input') typed.set(node, String(detail.value));
    const handler = node.on[type];
    if (!handler) return;
    const place = () => ({ id: String(node.attrs.id || ''), dataset: structuredClone(node.data) });
    const event = { type, timeStamp: Date.now(), detail, target: place(), currentTarget: place() };
    await work.run(() => {
      if (typeof instance[handler] !== 'function') throw new Error(`${path} has no method "${handler}" for ${type}`);
      return instance[handler](event);
    });
  }

  return dispatch;
}

module.exports = { createDispatch };
