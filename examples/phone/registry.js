// What a mini-program's files register: App() by app.js, Page() by each page.

/** createRegistry returns App, Page and getApp for the mini-program's files, and ways to what these were told. */
function createRegistry() {
  let app;
  let loading = '';
  const pages = new Map();

  function App(definition) {
    if (app) throw new Error('App() is called twice');
    app = definition;
  }

  function Page(definition) {
    if (!loading) throw new Error('Page() is called outside of a page');
    if (pages.has(loading)) throw new Error(`${loading}.js calls Page() twice`);
    pages.set(loading, definition);
  }

  /** appOf gives what App() was told by app.js. */
  function appOf(load) {
    load();
    if (!app) throw new Error('app.js does not call App()');
    return app;
  }

  /** pageOf gives what Page() was told by a page. Where that fails, it is reported, and the page is empty. */
  function pageOf(path, load, report) {
    loading = path;
    try {
      load();
      if (!pages.has(path)) throw new Error(`${path}.js does not call Page()`);
    } catch (err) {
      report(err);
    } finally {
      loading = '';
    }
    return pages.get(path) || {};
  }

  return { globals: { App, Page, getApp: () => app }, appOf, pageOf };
}

module.exports = { createRegistry };
