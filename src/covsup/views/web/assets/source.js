// One source file: which lines ran, live.
"use strict";

covsup.source = (() => {
  const { h, announce } = covsup.dom;
  const { format, linePanel, parts, router, sourceLines, store } = covsup;
  let place = null;
  let file = null;
  let source = null;
  let view = null; // of sourceLines
  let panel = null;
  let summary = null;
  let outline = null;
  let current = 0;
  let contextId = null;
  let asked = 0; // the newest request; answers to older ones are dropped
  let waiting = null;

  function split(argument) {
    const found = /^(.*):(\d+)$/.exec(argument);
    if (found && store.paths.has(found[1])) return [found[1], Number(found[2])];
    return [argument, 0];
  }

  function counts() {
    const found = { run: 0, missing: 0, partial: 0, excluded: 0 };
    for (const state of sourceLines.states(source).values()) found[state] += 1;
    return found;
  }

  const shownStates = { run: true, missing: true, partial: true, excluded: true };
  const STATE_TITLES = { run: "run", missing: "missing", partial: "partial", excluded: "excluded" };

  function toggle(state) {
    shownStates[state] = !shownStates[state];
    showSummary();
  }

  function showSummary() {
    const found = counts();
    const row = store.files.get(file.id);
    const focused = summary.contains(document.activeElement) ? document.activeElement.dataset.state : null;
    summary.replaceChildren(parts.bar(format.filePercent(row)),
      h("span", { class: "state-switches", role: "group", "aria-label": "Shown states" }, Object.keys(STATE_TITLES).map((state) => {
        view.element.classList.toggle(`hide-${state}`, !shownStates[state]);
        return h("button", { type: "button", class: `state-switch state-${state}`, "data-state": state, "aria-pressed": String(shownStates[state]), on: { click: () => toggle(state) } },
          h("b", null, format.count(found[state])), ` ${STATE_TITLES[state]}`);
      })));
    if (focused) summary.querySelector(`[data-state=${focused}]`).focus({ preventScroll: true });
  }

  function showOutline() {
    const functions = source.regions.filter((each) => each.kind === "function" || each.kind === "class");
    const isOpen = outline.querySelector("details")?.open;
    if (outline.contains(document.activeElement)) return;
    if (!functions.length) {
      outline.replaceChildren();
      return;
    }
    outline.replaceChildren(h("details", { open: isOpen ?? innerWidth > 900 }, h("summary", null, `Outline (${format.count(functions.length)})`),
      h("ul", { class: "outline" }, functions.map((each) => {
        const depth = each.name.split(".").length - 1;
        const share = each.statements ? (100 * each.executed) / each.statements : null;
        const state = share === null ? "none" : share === 100 ? "run" : share === 0 ? "missing" : "partial";
        return h("li", { style: { "--depth": Math.min(4, depth) } },
          h("a", { href: router.sourceAddress(file, each.start) }, h("span", { class: `dot state-${state}`, "aria-hidden": "true" }), h("span", { class: "outline-name" }, each.name.split(".").at(-1)),
            h("span", { class: "outline-share" }, each.statements ? `${format.count(each.executed)}/${format.count(each.statements)}` : "–")));
      }))));
  }

  function select(line, { scroll = false, address = true } = {}) {
    if (!view || line < 1 || line > view.lines.length) return;
    const before = view.lines[current - 1];
    if (before) before.setAttribute("aria-selected", "false");
    current = line;
    const element = view.lines[line - 1];
    element.setAttribute("aria-selected", "true");
    view.element.setAttribute("aria-activedescendant", element.id);
    if (scroll) bringIntoView(element);
    linePanel.show(panel, source, line);
    if (address) router.replace(router.sourceAddress(file, line, contextId === null ? {} : { context: contextId }));
  }

  function bringIntoView(element) {
    const { top, bottom } = element.getBoundingClientRect();
    const upper = document.querySelector(".source-head").getBoundingClientRect().bottom + 40;
    const lower = innerHeight - (innerWidth > 900 ? 60 : 200);
    if (top >= upper && bottom <= lower) return;
    element.scrollIntoView({ block: "center" });
  }

  // The next or previous run of lines in one of the states.
  function jump(states, direction) {
    if (!source) return;
    const found = sourceLines.chunks(source, (state) => states.includes(state));
    const next = direction > 0 ? found.find((line) => line > current) : found.findLast((line) => line < current);
    if (next === undefined) {
      announce(direction > 0 ? "No more missing lines below." : "No more missing lines above.");
      return;
    }
    select(next, { scroll: true });
    view.element.focus({ preventScroll: true });
  }

  function move(by) {
    if (!view) return;
    select(Math.max(1, Math.min(view.lines.length, current + by)), { scroll: true });
  }

  async function markContext() {
    if (contextId === null) return;
    const shown = view;
    let found = null;
    try {
      found = await store.context(contextId);
    } catch {
      return; // no line is marked; the banner says when the server does not answer
    }
    if (shown !== view || !found) return;
    const lines = new Set(found.files.filter((each) => each.file === file.id).flatMap((each) => each.lines));
    view.lines.forEach((line, at) => line.classList.toggle("in-context", lines.has(at + 1)));
    view.element.classList.add("has-context");
  }

  function onKey(event) {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20 }[event.key];
    if (by !== undefined) move(by);
    else if (event.key === "Home") select(1, { scroll: true });
    else if (event.key === "End") select(view.lines.length, { scroll: true });
    else return;
    event.preventDefault();
  }

  function build(body, line) {
    view = sourceLines.make(source, (number) => router.sourceAddress(file, number));
    panel = h("div", { class: "line-panel", "aria-live": "off" });
    outline = h("nav", { "aria-label": "Functions and classes" });
    body.replaceChildren(
      h("div", { class: "source-columns" },
        h("div", { class: "code-frame" }, contextNotice(), source.error ? h("p", { class: "notice notice-killed" }, source.error) : null, source.digest_differs ? h("p", { class: "notice notice-killed" }, "This file was changed after it was measured. The colours may be on other lines.") : null, view.element),
        h("aside", { class: "source-side", "aria-label": "About the line" }, panel, outline)));
    view.element.addEventListener("keydown", onKey);
    view.element.addEventListener("focus", () => { if (!current) select(1); });
    let hovered = 0;
    view.element.addEventListener("pointerover", (event) => {
      const at = event.target.closest(".line");
      if (!at || event.pointerType === "touch") return;
      hovered = Number(at.dataset.line);
      linePanel.show(panel, source, hovered);
    });
    view.element.addEventListener("pointerleave", () => { if (hovered) linePanel.show(panel, source, current); hovered = 0; });
    view.element.addEventListener("click", (event) => {
      const at = event.target.closest(".line");
      if (!at || !getSelection().isCollapsed) return;
      if (event.target.closest("a")) event.preventDefault();
      select(Number(at.dataset.line));
    });
    showSummary();
    showOutline();
    markContext();
    linePanel.show(panel, source, 0);
    if (line) select(line, { scroll: true, address: false });
  }

  function contextNotice() {
    if (contextId === null) return null;
    const context = store.contexts.get(contextId);
    return h("p", { class: "context-notice" }, "Lines of the context ", h("b", null, context ? context.label : String(contextId)), " are marked. ", h("a", { href: router.sourceAddress(file) }, "Show all"));
  }

  async function load(body, line) {
    const request = ++asked;
    let found = null;
    let failure = null;
    try {
      found = await store.source(file.id);
    } catch (error) {
      failure = String(error.message || error);
    }
    if (request !== asked) return;
    if (found === null || !found.lines.length) {
      body.replaceChildren(found
        ? parts.empty(found.error ? "The source cannot be shown." : "This file is empty.", found.error || "")
        : failure ? parts.empty("The source did not arrive.", failure) : parts.empty("The source is not in this file.", "covsup page leaves sources out when the page gets too large. Write it again with a higher limit:", "covsup page --max-size=100 -o report.html"));
      return;
    }
    source = found;
    build(body, line);
  }

  function mount(into, route) {
    place = into;
    const [path, line] = split(route.argument);
    file = store.files.get(store.paths.get(path)) || null;
    source = view = null;
    current = 0;
    contextId = route.query.has("context") ? Number(route.query.get("context")) : null;
    const [directory, name] = format.splitPath(path);
    if (file === null) {
      place.append(parts.heading(name || "Source"), parts.empty("This file is not among the measured ones.", path), h("p", null, h("a", { href: router.address("files") }, "All files")));
      return;
    }
    summary = h("div", { class: "source-summary" });
    const body = h("div", { class: "source-body" }, h("p", { class: "loading" }, "Loading…"));
    place.append(h("div", { class: "source-head" },
      h("h1", { tabindex: "-1", title: path }, h("span", { class: "file-directory" }, directory), h("span", { class: "file-name" }, name)), summary), body);
    load(body, line);
  }

  function route(next) {
    const [path, line] = split(next.argument);
    const context = next.query.has("context") ? Number(next.query.get("context")) : null;
    if (!file || path !== file.path || context !== contextId) return false;
    if (line) select(line, { scroll: true, address: false });
    return true;
  }

  // New lines turn green at once. The numbers follow with the next answer of the server.
  function update(change) {
    if (!file || !source) return;
    // After a reload, the file may have another number.
    if (change.all) file = store.files.get(store.paths.get(file.path)) || file;
    const fresh = (change.lines && change.lines[file.id]) || [];
    for (const line of fresh) view.flash(line, true);
    const isChanged = change.all || fresh.length || (change.files || []).some((each) => each.id === file.id);
    if (!isChanged) return;
    clearTimeout(waiting);
    waiting = setTimeout(refresh, 150);
  }

  async function refresh() {
    const request = ++asked;
    const wanted = file.id;
    let next = null;
    try {
      next = await store.source(wanted);
    } catch {
      return; // the banner says that the connection is lost; the next change asks again
    }
    if (request !== asked || !next || next.lines.length !== view.lines.length) return;
    source = next;
    view.update(source);
    showSummary();
    showOutline();
    markContext();
    if (!view.element.matches(":hover")) linePanel.show(panel, source, current);
  }

  return {
    name: "source", title: "Source", mount, update, route,
    isHidden: true,
    pageTitle: () => (file ? format.splitPath(file.path)[1] : "Source"),
    unmount: () => { clearTimeout(waiting); asked += 1; file = source = view = null; },
    keys: {
      j: () => jump(["missing", "partial"], 1),
      k: () => jump(["missing", "partial"], -1),
      J: () => jump(["run", "partial"], 1),
      K: () => jump(["run", "partial"], -1),
      r: () => view && toggle("run"),
      m: () => view && toggle("missing"),
      p: () => view && toggle("partial"),
      x: () => view && toggle("excluded"),
      u: () => router.go(router.address("files")),
    },
    help: [
      [["j", "k"], "Next and previous lines that are missing or partial"],
      [["J", "K"], "Next and previous lines that ran"],
      [["↓", "↑"], "Next and previous line"],
      [["r", "m", "p", "x"], "Show or hide run, missing, partial, excluded"],
      [["u"], "All files"],
    ],
  };
})();
