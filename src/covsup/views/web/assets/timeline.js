// All processes over time: who started whom, exec generations, and how each ended. And the same as a table.
"use strict";

covsup.timeline = (() => {
  const { h, announce, perFrame } = covsup.dom;
  const { format, parts, processTree, router, store, timelineCanvas } = covsup;
  const { ROW, AXIS } = timelineCanvas;
  const KINDS = ["running", "exited", "failed", "stopped", "killed", "unknown", "unmeasured"];
  let elements = {};
  let drawing = null;
  let table = null;
  let all = []; // every track
  let trackOf = new Map();
  let tracks = []; // those that the filter lets through
  let range = null; // { from, to } when zoomed; null: everything
  let selected = null; // the id of an image
  let hovered = null;
  let filter = "";
  let kind = "";
  let ticking = null;
  let redraw = () => {};

  const now = () => (store.isRunning() ? Math.max(store.state.at, Date.now()) : store.state.at);

  function names() {
    return elements.canvas.clientWidth < 620 ? 118 : 248;
  }

  // From the first start to the last end, with room for words behind the last bar.
  function whole() {
    const from = Math.min(...all.map((each) => each.start));
    const to = Math.max(from + 10, ...all.map((each) => each.end));
    const room = Math.max(80, elements.canvas.clientWidth - names());
    const spare = Math.min(0.4, 150 / room);
    return { from: from - (to - from) * 0.005, to: to + ((to - from) * spare) / (1 - spare) };
  }

  function collect() {
    ({ ordered: all, trackOf } = processTree.tracks(store.state.processes, now()));
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    tracks = all.filter((each) => (!kind || each.kind === kind) && words.every((word) => searchText(each).includes(word)));
    for (const each of all) each.index = undefined;
    tracks.forEach((each, index) => { each.index = index; });
    elements.spacer.style.setProperty("height", `${AXIS + tracks.length * ROW}px`);
  }

  function searchText(track) {
    return track.images.map((each) => `${each.pid} ${each.command} ${(each.argv || []).join(" ")} ${each.end ? each.end.words : ""} ${each.reason || ""}`).join(" ").toLowerCase();
  }

  function scene() {
    const { from, to } = range || whole();
    return { tracks, from, to, top: elements.scroller.scrollTop, names: names(), selected: trackOf.get(selected), hovered, origin: Math.min(...all.map((each) => each.start)) };
  }

  function draw() {
    if (!elements.canvas?.isConnected || !all.length) return;
    elements.canvas.style.setProperty("height", `${elements.scroller.clientHeight}px`);
    drawing.draw(scene());
  }

  function zoom(factor, at = null) {
    const { from, to } = range || whole();
    const middle = at ?? (from + to) / 2;
    const full = whole();
    const size = Math.max(1, Math.min(full.to - full.from, (to - from) * factor));
    const start = middle - ((middle - from) / (to - from)) * size;
    setRange(start, start + size);
  }

  function setRange(from, to) {
    const full = whole();
    const size = to - from;
    if (size >= (full.to - full.from) * 0.999) range = null;
    else {
      const start = Math.max(full.from, Math.min(full.to - size, from));
      range = { from: start, to: start + size };
    }
    redraw();
  }

  function pan(share) {
    const { from, to } = range || whole();
    setRange(from + (to - from) * share, to + (to - from) * share);
  }

  function trackAt(event) {
    const { top } = elements.canvas.getBoundingClientRect();
    const down = event.clientY - top;
    return down < AXIS ? null : tracks[Math.floor((down - AXIS + elements.scroller.scrollTop) / ROW)] || null;
  }

  function timeAt(event) {
    const { left } = elements.canvas.getBoundingClientRect();
    const { from, to } = range || whole();
    const side = names();
    return from + ((event.clientX - left - side) / Math.max(1, elements.canvas.clientWidth - side)) * (to - from);
  }

  function imageAt(track, time) {
    return track.images.findLast((each, at) => !at || each.started <= time) || track.last;
  }

  function showTip(event, track) {
    const { tip, frame } = elements;
    tip.hidden = !track;
    if (!track) return;
    const image = imageAt(track, timeAt(event));
    tip.replaceChildren(h("b", null, format.shortCommand(image)), h("span", { class: "quiet" }, `pid ${image.pid}, ${image.how}`), parts.kindChip(image),
      h("span", { class: "quiet" }, format.duration((image.ended ?? track.end) - (image.started ?? track.start)),
        image.measured ? `, first to run ${format.counted(image.first, "line")}` : ""),
      image.reason ? h("span", null, image.reason) : null);
    const box = frame.getBoundingClientRect();
    const x = Math.min(event.clientX - box.left + 14, box.width - tip.offsetWidth - 8);
    const below = event.clientY - box.top + 18;
    tip.style.setProperty("left", `${Math.max(4, x)}px`);
    tip.style.setProperty("top", `${below + tip.offsetHeight > box.height ? below - tip.offsetHeight - 30 : below}px`);
  }

  function select(id, { scroll = false, speak = false } = {}) {
    selected = id;
    const track = trackOf.get(id);
    const process = store.processes.get(id);
    router.replace(router.address("timeline", process ? id : "", { show: elements.asTable ? "table" : "" }));
    showDetails(process, track);
    if (track && scroll && track.index !== undefined) {
      const { scroller } = elements;
      const top = track.index * ROW;
      if (top < scroller.scrollTop) scroller.scrollTop = top;
      else if (top + ROW > scroller.scrollTop + scroller.clientHeight - AXIS) scroller.scrollTop = top + ROW - scroller.clientHeight + AXIS;
    }
    if (speak && process) announce(`${format.shortCommand(process)}, pid ${process.pid}, ${process.measured ? process.end.words : `not measured: ${process.reason || "the reason is not known"}`}`);
    redraw();
  }

  function fact(title, ...value) {
    return [h("dt", null, title), h("dd", null, value)];
  }

  function showDetails(process, track) {
    const { details } = elements;
    details.hidden = !process;
    if (!process) return;
    const begin = process.started ?? track.start;
    const end = process.ended ?? (process.end && process.end.how === "running" ? now() : null);
    details.replaceChildren(...[
      h("div", { class: "details-head" }, h("h2", null, format.shortCommand(process)), parts.kindChip(process),
        h("button", { type: "button", class: "tool", on: { click: () => { select(null); elements.scroller.focus(); } } }, "Close")),
      process.reason ? h("p", { class: "notice notice-unmeasured" }, process.reason) : null,
      h("div", { class: "details-columns" },
        h("dl", { class: "facts" },
          fact("Process", `pid ${process.pid}`, process.generation ? `, exec generation ${process.generation}` : ""),
          fact("Started", begin ? format.moment(begin) : "unknown", ` by ${process.how}`),
          fact("Ran for", end === null ? "unknown" : format.duration(end - begin)),
          process.measured ? fact("Lines", `${format.count(process.lines)} run, first to run ${format.count(process.first)}`) : [],
          process.python ? fact("Python", process.python) : [],
          fact("Command", h("code", { class: "argv", title: (process.argv || []).join(" ") }, format.fullCommand(process)))),
        h("section", null, h("h3", null, "Chain of starts"), parts.chainList(process)))].filter(Boolean));
  }

  function step(by) {
    if (!tracks.length) return;
    const at = trackOf.get(selected)?.index;
    const next = at === undefined ? 0 : Math.max(0, Math.min(tracks.length - 1, at + by));
    select(tracks[next].last.id, { scroll: true, speak: true });
  }

  // Along the exec generations of the selected process.
  function stepImage(by) {
    const track = trackOf.get(selected);
    const at = track ? track.images.findIndex((each) => each.id === selected) + by : -1;
    if (track && track.images[at]) select(track.images[at].id, { speak: true });
  }

  function listen() {
    const { canvas, scroller } = elements;
    let drag = null;
    scroller.addEventListener("scroll", redraw, { passive: true });
    scroller.addEventListener("wheel", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) {
        event.preventDefault();
        zoom(Math.exp(event.deltaY * 0.002), timeAt(event));
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        pan((event.deltaX || event.deltaY) / 1000);
      }
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button || event.pointerType === "touch") return;
      drag = { x: event.clientX, range: range || whole(), moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (drag && Math.abs(event.clientX - drag.x) > 3) drag.moved = true;
      if (drag?.moved) {
        const perPixel = (drag.range.to - drag.range.from) / Math.max(1, canvas.clientWidth - names());
        const by = (drag.x - event.clientX) * perPixel;
        setRange(drag.range.from + by, drag.range.to + by);
        return;
      }
      const track = trackAt(event);
      showTip(event, track);
      if (track !== hovered) {
        hovered = track;
        redraw();
      }
    });
    canvas.addEventListener("pointerup", (event) => {
      const isClick = drag && !drag.moved;
      drag = null;
      if (!isClick) return;
      const track = trackAt(event);
      if (track) select(imageAt(track, timeAt(event)).id);
    });
    canvas.addEventListener("click", (event) => {
      const track = event.pointerType === "touch" ? trackAt(event) : null;
      if (track) select(imageAt(track, timeAt(event)).id);
    });
    canvas.addEventListener("pointerleave", () => { hovered = null; elements.tip.hidden = true; redraw(); });
    canvas.addEventListener("dblclick", (event) => zoom(event.shiftKey ? 2 : 0.5, timeAt(event)));
  }

  function columns() {
    const indent = (process) => parts.chain(process).length - 1;
    return [
      { id: "command", title: "Process", track: "minmax(12rem, 1fr)", narrowTrack: "minmax(0, 1fr)", value: (each) => each.command, fill: (cell, each) => cell.replaceChildren(h("a", { class: "process-link", href: router.address("timeline", each.id, { show: "table" }), title: (each.argv || []).join(" "), style: { "--depth": Math.min(10, indent(each)) } }, format.shortCommand(each))) },
      { id: "pid", title: "pid", track: "5.5rem", narrowTrack: "4.2rem", number: true, value: (each) => each.pid, fill: (cell, each) => { cell.textContent = each.pid; } },
      { id: "how", title: "Start", track: "5.5rem", narrow: true, value: (each) => each.how, fill: (cell, each) => { cell.textContent = each.how; } },
      { id: "started", title: "Started", track: "6rem", number: true, narrow: true, value: (each) => each.started, fill: (cell, each) => { cell.textContent = each.started ? format.time(each.started) : "–"; } },
      { id: "age", title: "Ran for", track: "7rem", number: true, narrow: true, descending: true, value: (each) => (each.ended ?? now()) - (each.started ?? now()), fill: (cell, each) => { cell.textContent = each.started ? format.duration((each.ended ?? now()) - each.started) : "–"; } },
      { id: "first", title: "First to run", label: "Lines that it was the first to run", track: "7rem", number: true, narrow: true, descending: true, value: (each) => (each.measured ? each.first : null), fill: (cell, each) => { cell.textContent = each.measured ? format.count(each.first) : "–"; } },
      { id: "end", title: "End", track: "13rem", narrowTrack: "8.4rem", value: (each) => `${parts.kindOf(each)} ${each.end ? each.end.words : ""}`, fill: (cell, each) => cell.replaceChildren(parts.kindChip(each)) },
    ];
  }

  function showKinds() {
    const counts = new Map();
    for (const each of all) counts.set(each.kind, (counts.get(each.kind) || 0) + 1);
    const focused = elements.kinds.contains(document.activeElement) ? document.activeElement.dataset.kind : null;
    elements.kinds.replaceChildren(...KINDS.filter((each) => counts.has(each) || each === kind).map((each) =>
      h("button", { type: "button", class: `kind-switch kind-${each}`, "data-kind": each, "aria-pressed": String(kind === each), on: { click: () => { kind = kind === each ? "" : each; refresh(); } } },
        h("span", { class: "swatch", "aria-hidden": "true" }), h("b", null, format.count(counts.get(each) || 0)), ` ${parts.KIND_WORDS[each].toLowerCase()}`)));
    if (focused) elements.kinds.querySelector(`[data-kind=${focused}]`)?.focus({ preventScroll: true });
  }

  function refresh() {
    collect();
    showKinds();
    if (elements.asTable) table.arrange();
    draw();
  }

  function setTable(asTable) {
    elements.asTable = asTable;
    elements.frame.hidden = asTable;
    elements.tools.hidden = asTable;
    table.element.hidden = !asTable;
    for (const [button, is] of [[elements.asTimeline, !asTable], [elements.asRows, asTable]]) button.setAttribute("aria-pressed", String(is));
    if (asTable) table.arrange();
    select(selected);
    draw();
  }

  function tool(text, label, call, keys) {
    return h("button", { type: "button", class: "tool", "aria-label": label, title: `${label} (${keys})`, on: { click: call } }, text);
  }

  function mount(place, route) {
    range = hovered = null;
    filter = kind = "";
    selected = route.argument || null;
    if (!store.state.processes.length) {
      place.append(parts.heading("Processes"), parts.empty("No process is known.", "A data file of coverage.py has lines and no processes. Measure with covsup to see them:", "covsup run --branch app.py"));
      return;
    }
    const canvas = h("canvas", { class: "timeline-canvas" });
    const holder = h("div", { class: "timeline-holder" }, canvas);
    const spacer = h("div", { class: "timeline-spacer" });
    const scroller = h("div", { class: "timeline-scroller", tabindex: "0", role: "group", "aria-label": "Timeline of processes. Arrow keys go from process to process; the table has the same." }, holder, spacer);
    const tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    const frame = h("div", { class: "timeline-frame" }, scroller, tip);
    const tools = h("span", { class: "tool-group", role: "group", "aria-label": "Zoom" }, tool("−", "Zoom out", () => zoom(1.6), "-"), tool("+", "Zoom in", () => zoom(0.625), "+"), tool("←", "Earlier", () => pan(-0.2), "a"), tool("→", "Later", () => pan(0.2), "d"), tool("Fit", "Show everything", () => { range = null; redraw(); }, "0"));
    const asTimeline = h("button", { type: "button", class: "tool", on: { click: () => setTable(false) } }, "Timeline");
    const asRows = h("button", { type: "button", class: "tool", on: { click: () => setTable(true) } }, "Table");
    elements = { canvas, spacer, scroller, tip, frame, tools, asTimeline, asRows, kinds: h("div", { class: "kind-switches", role: "group", "aria-label": "Ends" }), details: h("section", { class: "panel details", "aria-label": "Process", hidden: true }), asTable: false };
    table = covsup.table.make({ label: "Processes", columns: columns(), rows: () => tracks.flatMap((each) => each.images), sort: {}, matches: () => "", empty: () => parts.empty("No process matches."), onOpen: (each) => select(each.id) });
    place.append(
      parts.heading("Processes", parts.filterField("Filter processes", "", (text) => { filter = text; refresh(); }), h("span", { class: "tool-group", role: "group", "aria-label": "Presentation" }, asTimeline, asRows), tools),
      elements.kinds, frame, table.element, elements.details);
    drawing = timelineCanvas.make(canvas);
    redraw = perFrame(draw);
    addEventListener("resize", redraw);
    listen();
    collect();
    showKinds();
    setTable(route.query.get("show") === "table");
    if (selected) select(selected, { scroll: true });
    if (store.isRunning()) ticking = setInterval(() => { collect(); draw(); }, 1000);
  }

  function update() {
    if (!elements.canvas) return;
    collect();
    showKinds();
    if (elements.asTable) table.update();
    const process = store.processes.get(selected);
    if (process && !elements.details.contains(document.activeElement)) showDetails(process, trackOf.get(selected));
    redraw();
  }

  covsup.theme.onChange(() => { if (elements.canvas?.isConnected) { drawing.readColours(); redraw(); } });

  return {
    name: "timeline", title: "Processes", letter: "p", mount, update,
    route: (route) => { if (!elements.canvas) return false; setTable(route.query.get("show") === "table"); select(route.argument || null, { scroll: true }); return true; },
    unmount: () => { clearInterval(ticking); removeEventListener("resize", redraw); table?.close(); table = null; elements = {}; },
    keys: {
      ArrowDown: () => (elements.asTable ? table.focusFirst() : step(1)), ArrowUp: () => (elements.asTable ? false : step(-1)),
      ArrowRight: () => stepImage(1), ArrowLeft: () => stepImage(-1),
      "+": () => zoom(0.625), "=": () => zoom(0.625), "-": () => zoom(1.6), w: () => zoom(0.625), s: () => zoom(1.6),
      a: () => pan(-0.2), d: () => pan(0.2), 0: () => { range = null; redraw(); }, Escape: () => select(null),
    },
    help: [[["↓", "↑"], "Next and previous process"], [["→", "←"], "Next and previous exec generation"], [["w", "s", "+", "-"], "Zoom in, out"], [["a", "d"], "Earlier, later"], [["0"], "Show everything"], [["Ctrl", "wheel"], "Zoom at the pointer"], [["Shift", "wheel"], "Earlier, later; or drag"]],
  };
})();
