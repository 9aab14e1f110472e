// The contexts, and what ran in one of them.
"use strict";

covsup.contexts = (() => {
  const { h } = covsup.dom;
  const { format, parts, router, store } = covsup;
  let table = null;
  let amount = null;
  let filter = "";
  let asked = 0;

  const named = () => store.state.contexts.filter((each) => each.label);

  function none() {
    return parts.empty("No contexts were measured.", "A context says which test, request, thread or job ran a line. To measure them:",
      "covsup run --dynamic-context=test_function,request ...");
  }

  function list(place, route) {
    filter = route.query.get("filter") || "";
    table = covsup.table.make({
      label: "Contexts",
      columns: [
        { id: "label", title: "Context", track: "minmax(14rem, 1fr)", narrowTrack: "minmax(0, 1fr)", fixed: true, value: (each) => each.label, fill: (cell, each) => cell.replaceChildren(h("a", { href: router.address("contexts", String(each.id)), title: each.label }, each.label)) },
        { id: "lines", title: "Lines", track: "8rem", narrowTrack: "5rem", number: true, descending: true, value: (each) => each.lines, fill: (cell, each) => { cell.textContent = format.count(each.lines); } },
      ],
      rows: named,
      sort: { id: "lines", descending: true },
      matches: (each) => each.label,
      empty: (text) => (text ? parts.empty("No context matches.") : none()),
      onOpen: (each) => router.go(router.address("contexts", String(each.id))),
    });
    amount = h("p", { class: "quiet amount", role: "status" });
    const field = parts.filterField("Filter contexts", filter, (text) => {
      filter = text;
      table.setFilter(text);
      showAmount();
      router.replace(router.address("contexts", "", { filter }));
    });
    place.append(parts.heading("Contexts", field), amount, table.element);
    table.setFilter(filter);
    showAmount();
  }

  function showAmount() {
    const all = named().length;
    const shown = table.shown();
    amount.textContent = !all ? "" : shown === all ? format.counted(all, "context") : `${format.count(shown)} of ${format.counted(all, "context")}`;
  }

  async function one(place, id) {
    const context = store.contexts.get(id);
    if (!context) {
      place.append(parts.heading("Context"), parts.empty("This context is not known."), h("p", null, h("a", { href: router.address("contexts") }, "All contexts")));
      return;
    }
    const body = h("div", null, h("p", { class: "loading" }, "Loading…"));
    place.append(parts.heading(context.label, h("a", { class: "tool", href: router.address("contexts") }, "All contexts")), body);
    const request = ++asked;
    let found = null;
    let failure = "covsup page leaves them out when the page gets too large.";
    try {
      found = await store.context(id);
    } catch (error) {
      failure = String(error.message || error);
    }
    if (request !== asked) return;
    if (!found) {
      body.replaceChildren(parts.empty("The files of this context are not here.", failure));
      return;
    }
    const rows = found.files.map((each) => ({ id: each.file, file: store.files.get(each.file), lines: each.lines.length, first: each.lines[0] })).filter((each) => each.file);
    table = covsup.table.make({
      label: `Files of the context ${context.label}`,
      columns: [
        { id: "path", title: "File", track: "minmax(14rem, 1fr)", narrowTrack: "minmax(0, 1fr)", fixed: true, value: (each) => each.file.path, fill: (cell, each) => cell.replaceChildren(parts.fileLink(each.file, null, { context: id })) },
        { id: "lines", title: "Lines in this context", track: "11rem", narrowTrack: "6rem", number: true, descending: true, value: (each) => each.lines, fill: (cell, each) => { cell.textContent = format.count(each.lines); } },
      ],
      rows: () => rows,
      sort: { id: "lines", descending: true },
      matches: (each) => each.file.path,
      empty: () => parts.empty("Nothing ran in this context."),
      onOpen: (each) => router.go(router.sourceAddress(each.file, null, { context: id })),
    });
    body.replaceChildren(h("p", { class: "quiet amount" }, `${format.counted(rows.reduce((sum, each) => sum + each.lines, 0), "line")} in ${format.counted(rows.length, "file")}. Open one to see its lines marked.`), table.element);
    table.arrange();
  }

  return {
    name: "contexts", title: "Contexts", letter: "c",
    mount: (place, route) => (route.argument === "" ? list(place, route) : one(place, Number(route.argument))),
    update: () => { if (table && amount) { table.update(); showAmount(); } },
    unmount: () => { asked += 1; table?.close(); table = amount = null; },
    keys: { ArrowDown: () => table?.focusFirst() },
    help: [[["↓", "↑"], "Next and previous row"], [["Enter"], "What ran in it"], [["/"], "Filter"]],
  };
})();
