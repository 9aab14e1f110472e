// Functions, classes and modules whose body never ran, the biggest first.
"use strict";

covsup.unused = (() => {
  const { h } = covsup.dom;
  const { format, parts, router, store } = covsup;
  let table = null;
  let why = "";
  let rows = [];
  let asked = 0;
  let waiting = null;

  function showTable(body, found) {
    rows = found.items.filter((each) => store.files.has(each.file)).map((each, at) => ({ ...each, id: `${each.file}:${each.start}:${each.kind}:${each.name}`, place: at }));
    const reasons = [...new Set(rows.map((each) => each.why))];
    const total = rows.reduce((sum, each) => sum + each.statements - (each.executed || 0), 0);
    const amount = h("p", { class: "quiet amount", role: "status" });
    const chooser = h("span", { class: "tool-group", role: "group", "aria-label": "Reason" });
    table?.close();
    table = covsup.table.make({
      label: "Unused code",
      columns: [
        { id: "name", title: "Name", track: "minmax(12rem, 1.2fr)", narrowTrack: "minmax(0, 1fr)", fixed: true, value: (each) => each.name, fill: (cell, each) => cell.replaceChildren(h("a", { class: "unused-name", href: router.sourceAddress(store.files.get(each.file), each.start) }, h("span", { class: "tag" }, each.kind), each.name || format.splitPath(store.files.get(each.file).path)[1])) },
        { id: "path", title: "File", track: "minmax(10rem, 1fr)", narrow: true, value: (each) => store.files.get(each.file).path, fill: (cell, each) => cell.replaceChildren(parts.fileLink(store.files.get(each.file), each.start)) },
        { id: "why", title: "Why", track: "10rem", narrow: true, value: (each) => each.why, fill: (cell, each) => { cell.textContent = each.why; } },
        { id: "statements", title: "Statements", track: "8rem", narrowTrack: "5.4rem", number: true, descending: true, value: (each) => each.statements - (each.executed || 0), fill: (cell, each) => { cell.textContent = format.count(each.statements - (each.executed || 0)); } },
      ],
      rows: () => (why ? rows.filter((each) => each.why === why) : rows),
      sort: { id: "statements", descending: true },
      matches: (each) => `${each.name} ${store.files.get(each.file).path}`,
      empty: (text) => (text || why ? parts.empty("Nothing matches.") : !store.state.totals.statements ? parts.empty("Nothing is known.", "No source of a measured file is analysed. The files may have been moved.") : parts.empty("Everything was used.", "The body of every function, class and module ran.")),
      onOpen: (each) => router.go(router.sourceAddress(store.files.get(each.file), each.start)),
    });
    function showAmount() {
      amount.textContent = rows.length ? `${format.count(table.shown())} of ${format.counted(rows.length, "part")}, ${format.counted(total, "statement")} that never ran${found.complete === false ? "; some sources are not analysed yet" : ""}` : "";
    }
    function showChooser() {
      const focused = chooser.contains(document.activeElement) ? document.activeElement.dataset.why : null;
      chooser.replaceChildren(...["", ...reasons].map((each) => h("button", { type: "button", class: "tool", "data-why": each, "aria-pressed": String(why === each), on: { click: () => { why = each; showChooser(); table.arrange(); showAmount(); } } }, each || "all")));
      if (focused !== null) [...chooser.children].find((each) => each.dataset.why === focused)?.focus();
    }
    const field = parts.filterField("Filter names and paths", "", (text) => { table.setFilter(text); showAmount(); });
    body.replaceChildren(h("div", { class: "view-tools" }, field, reasons.length > 1 ? chooser : null), amount, table.element);
    showChooser();
    table.arrange();
    showAmount();
  }

  async function load(body) {
    const request = ++asked;
    let found = null;
    let failure = "";
    try {
      found = await store.unused();
    } catch (error) {
      failure = String(error.message || error);
    }
    if (request !== asked) return;
    if (found) showTable(body, found);
    else body.replaceChildren(parts.empty("The unused code is not here.", failure));
  }

  let place = null;
  function mount(into) {
    why = "";
    const body = h("div", null, h("p", { class: "loading" }, "Analysing the sources…"));
    place = body;
    into.append(parts.heading("Unused code"), h("p", { class: "quiet lead" }, "Code that is defined and never runs in what was measured. A module that was imported ran its definitions; here its functions count by their bodies."), body);
    load(body);
  }

  // It is loaded again only while it is not being read.
  function update(change) {
    if (!change.all && !Object.keys(change.lines || {}).length && !(change.files || []).length) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (scrollY < 80 && !place.matches(":hover") && !place.contains(document.activeElement) && !place.querySelector("input")?.value && !why) load(place);
    }, 1500);
  }

  return {
    name: "unused", title: "Unused code", letter: "u", mount, update,
    unmount: () => { clearTimeout(waiting); asked += 1; table?.close(); table = null; },
    keys: { ArrowDown: () => table?.focusFirst() },
    help: [[["↓", "↑"], "Next and previous row"], [["Enter"], "Its source"], [["/"], "Filter"]],
  };
})();
