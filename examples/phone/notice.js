// Telling of changes.

/** createNotice tells of changes, once for those that are made in one go. */
function createNotice(tell) {
  let told = true;
  let stopped = false;

  function changed() {
    if (!told || stopped) return;
    told = false;
    queueMicrotask(() => {
      told = true;
      if (!stopped) tell();
    });
  }

  return { changed, stop: () => { stopped = true; } };
}

module.exports = { createNotice };
