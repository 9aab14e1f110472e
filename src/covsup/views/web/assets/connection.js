// The stream of changes from the server, and its state in the banner.
"use strict";

covsup.connection = (() => {
  const { h, announce } = covsup.dom;
  let state = "open";
  let stream = null;

  function show() {
    const { store } = covsup;
    const place = document.getElementById("connection");
    const [kind, text, title] = !store.state.live
      ? store.state.processes.some((each) => each.end && each.end.how === "running")
        ? ["still", "Snapshot", "Some processes still ran when this was written."]
        : ["still", "Finished", "The data was read once."]
      : state === "lost"
        ? ["lost", "Connection lost", "The server does not answer. The page tries again by itself."]
        : store.isRunning()
          ? ["live", "Live", "Lines appear when they run."]
          : ["still", "Finished", "All processes have ended."];
    if (place.dataset.kind === kind && place.textContent === text) return;
    const before = place.dataset.kind;
    place.dataset.kind = kind;
    place.title = title;
    place.replaceChildren(h("span", { class: "connection-dot", "aria-hidden": "true" }), text);
    if (kind === "lost") announce("Connection lost. The page tries again.");
    else if (before === "lost") announce("Connected again.");
    else if (before === "live" && kind === "still") announce("Finished. All processes have ended.");
  }

  function open() {
    show();
    if (covsup.store.embedded || !covsup.store.state.live) return;
    stream = new EventSource("data/events");
    stream.addEventListener("change", (event) => {
      const change = JSON.parse(event.data);
      if (change.revision > covsup.store.state.revision) covsup.store.apply(change);
      show();
    });
    // The server no longer has all changes since ours.
    stream.addEventListener("reset", async () => {
      await covsup.store.reload();
      show();
    });
    stream.addEventListener("open", async () => {
      const wasLost = state === "lost";
      state = "open";
      if (wasLost) await covsup.store.reload();
      show();
    });
    stream.addEventListener("error", () => {
      // A server that closes the stream of a finished session is not lost.
      if (!covsup.store.isRunning() && stream.readyState !== EventSource.CLOSED) {
        stream.close();
        return;
      }
      state = "lost";
      show();
      if (stream.readyState === EventSource.CLOSED) setTimeout(open, 2000);
    });
  }

  return { open, show };
})();
