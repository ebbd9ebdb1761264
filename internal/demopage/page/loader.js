// Collects what the two bundles hand over: the files of the mini-program, and of the phone that runs it. Scripts come as
// functions, other files as texts.

'use strict';

globalThis.bundles = {};
{
  let current;
  globalThis.bundle = (name) => {
    current = { factories: new Map(), texts: new Map() };
    globalThis.bundles[name] = current;
  };
  globalThis.define = (path, factory) => current.factories.set(path, factory);
  globalThis.file = (path, text) => current.texts.set(path, text);
}
