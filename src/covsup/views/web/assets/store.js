// What was measured: the state, and what is loaded on demand. A change replaces rows by their ids.
//
// One page serves two cases. Where the data is embedded in the document, it is read from there. Else it
// comes from the server. Embedded parts may be compressed.
"use strict";

covsup.store = (() => {
  const listeners = new Set();
  const store = {
    state: null,
    files: new Map(),
    processes: new Map(),
    contexts: new Map(),
    marks: new Map(),
    paths: new Map(), // file ids by path
    recent: new Map(), // by file id: how many lines ran for the first time since the page was opened
    embedded: document.getElementById("covsup-state") !== null,
  };
  const sources = new Map();

  async function inflate(text) {
    const bytes = Uint8Array.from(atob(text.trim()), (each) => each.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  async function load(name) {
    const element = document.getElementById(`covsup-${name.replace("/", "-")}`);
    if (element !== null) {
      const text = element.textContent;
      return JSON.parse(element.dataset.encoding === "gzip" ? await inflate(text) : text);
    }
    if (store.embedded) return null;
    const answer = await fetch(`data/${name}.json`, { cache: "no-store" });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    return answer.json();
  }

  function put(map, rows) {
    for (const row of rows || []) map.set(row.id, row);
  }

  function setState(state) {
    // The result of an ended session has no times of lines. Those seen before stay.
    const moved = new Map([...store.files.values()].filter((each) => each.moved).map((each) => [each.path, each.moved]));
    for (const file of state.files) file.moved ??= moved.get(file.path) ?? null;
    store.state = state;
    for (const map of [store.files, store.processes, store.contexts, store.marks, store.paths]) map.clear();
    put(store.files, state.files);
    put(store.processes, state.processes);
    put(store.contexts, state.contexts);
    put(store.marks, state.marks);
    for (const file of state.files) store.paths.set(file.path, file.id);
    sources.clear();
  }

  async function start() {
    setState(await load("state"));
  }

  // Load everything again, as after a lost connection.
  async function reload() {
    setState(await load("state"));
    notify({ all: true, lines: {} });
  }

  function apply(change) {
    const state = store.state;
    put(store.files, change.files);
    put(store.processes, change.processes);
    put(store.contexts, change.contexts);
    put(store.marks, change.marks);
    for (const file of change.files || []) {
      store.paths.set(file.path, file.id);
      sources.delete(file.id);
    }
    let lines = 0;
    for (const [id, fresh] of Object.entries(change.lines || {})) {
      lines += fresh.length;
      store.recent.set(Number(id), (store.recent.get(Number(id)) || 0) + fresh.length);
      sources.delete(Number(id));
    }
    state.files = [...store.files.values()];
    state.processes = [...store.processes.values()];
    state.contexts = [...store.contexts.values()];
    state.marks = [...store.marks.values()];
    if (change.totals) state.totals = change.totals;
    if (change.finished !== undefined) state.finished = change.finished;
    state.revision = change.revision;
    state.at = change.at;
    if (change.activity) state.activity.push(...change.activity);
    else if (lines) state.activity.push([change.at, lines]);
    notify(change);
  }

  function notify(change) {
    for (const each of [...listeners]) each(change);
  }

  function source(id) {
    if (!sources.has(id)) {
      const wanted = load(`source/${id}`);
      sources.set(id, wanted);
      wanted.catch(() => sources.delete(id));
    }
    return sources.get(id);
  }

  async function context(id) {
    if (!store.embedded) return load(`context/${id}`);
    const all = await load("contexts");
    return all && all[id] ? all[id] : null;
  }

  async function setMark(name) {
    const answer = await fetch("data/marks", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name }),
    });
    if (answer.ok) return;
    let reason = answer.statusText;
    try {
      reason = (await answer.json()).error || reason;
    } catch {
      // The answer is not JSON: its status is all there is.
    }
    throw new Error(reason);
  }

  // Whether processes may still add to what is shown.
  store.isRunning = () =>
    store.state.live &&
    !(store.state.finished ?? !store.state.processes.some((each) => each.end && each.end.how === "running"));
  // Whether the statements of all files are known, as far as they can be.
  store.isAnalysed = () => store.embedded || store.state.totals.analysed >= store.state.totals.files;
  store.canMark = () => !store.embedded && (store.state.can_mark ?? store.state.live) && store.isRunning();

  return Object.assign(store, {
    start,
    reload,
    apply,
    source,
    context,
    setMark,
    unused: () => load("unused"),
    since: (mark) => load(`since/${mark}`),
    subscribe: (call) => listeners.add(call),
    unsubscribe: (call) => listeners.delete(call),
  });
})();
