// All files: sorted and filtered.
"use strict";

covsup.files = (() => {
  const { h } = covsup.dom;
  const { format, parts, router, store } = covsup;
  let table = null;
  let amount = null;
  let state = { filter: "", sort: { id: "path", descending: false }, view: "all" };

  const missing = (file) => (file.statements === null || file.statements === undefined ? null : file.statements - file.executed);
  const missingBranches = (file) => (file.statements === null || file.statements === undefined ? null : file.branches - file.taken);
  const number = (value) => (cell, file) => { cell.textContent = format.count(value(file)); };

  function columns() {
    const found = [
      { id: "path", title: "File", track: "minmax(14rem, 1fr)", narrowTrack: "minmax(0, 1fr)", fixed: true, value: (file) => file.path, fill: (cell, file) => cell.replaceChildren(parts.fileLink(file)) },
      { id: "coverage", title: "Coverage", track: "10rem", narrowTrack: "6.2rem", value: format.filePercent, fill: (cell, file) => cell.replaceChildren(parts.bar(format.filePercent(file), format.filePercent(file) === null ? (store.isAnalysed() ? "–" : "…") : undefined)) },
      { id: "statements", title: "Statements", track: "5.4rem", number: true, narrow: true, descending: true, value: (file) => file.statements, fill: number((file) => file.statements) },
      { id: "missing", title: "Missing", track: "4.4rem", narrowTrack: "4.4rem", number: true, descending: true, value: missing, fill: number(missing) },
    ];
    if (store.state.branch) found.push({ id: "branches", title: "Branches missing", label: "Branches that were not taken", track: "8rem", number: true, narrow: true, descending: true, value: missingBranches, fill: (cell, file) => { cell.textContent = file.branches ? `${format.count(missingBranches(file))} of ${format.count(file.branches)}` : "–"; } });
    found.push({ id: "lines", title: "Lines run", track: "4.6rem", number: true, narrow: true, descending: true, value: (file) => file.lines, fill: number((file) => file.lines) });
    if (store.state.live || store.state.files.some((file) => file.moved)) found.push(
      { id: "moved", title: "New line", label: "When a line of it ran for the first time, most recently", track: "5rem", number: true, narrow: true, descending: true, value: (file) => file.moved, fill: (cell, file) => { cell.textContent = file.moved ? format.time(file.moved) : "–"; } },
    );
    return found;
  }

  function rows() {
    const { files } = store.state;
    if (state.view === "missing") return files.filter((file) => missing(file) === null || missing(file) > 0 || missingBranches(file) > 0);
    if (state.view === "never") return files.filter((file) => file.lines === 0);
    return files;
  }

  function remember() {
    router.replace(router.address("files", "", {
      filter: state.filter,
      sort: state.sort.id === "path" && !state.sort.descending ? "" : `${state.sort.descending ? "-" : ""}${state.sort.id}`,
      show: state.view === "all" ? "" : state.view,
    }));
  }

  function showAmount() {
    const shown = table.shown();
    const all = store.state.files.length;
    amount.textContent = shown === all ? format.counted(all, "file") : `${format.count(shown)} of ${format.counted(all, "file")}`;
  }

  function read(route) {
    const sort = route.query.get("sort") || "path";
    state = {
      filter: route.query.get("filter") || "",
      sort: { id: sort.replace(/^-/, ""), descending: sort.startsWith("-") },
      view: ["missing", "never"].includes(route.query.get("show")) ? route.query.get("show") : "all",
    };
  }

  function empty(filter) {
    if (filter) return parts.empty("No file matches.", "The filter looks at paths. Several words must all match.");
    if (state.view === "missing" && store.state.files.length) return parts.empty("Nothing is missing.", "Every statement and branch of every file ran.");
    if (state.view === "never" && store.state.files.length) return parts.empty("Every file was run.");
    return parts.empty("No file was measured.", "Check which files the settings include:", "covsup run --source=src ...");
  }

  function chooser() {
    const select = h("select", { "aria-label": "Which files", on: { change: () => { state.view = select.value; table.arrange(); showAmount(); remember(); } } },
      h("option", { value: "all" }, "All files"), h("option", { value: "missing" }, "With something missing"), h("option", { value: "never" }, "Never run"));
    select.value = state.view;
    return select;
  }

  function mount(place, route) {
    read(route);
    const known = columns();
    if (!known.some((each) => each.id === state.sort.id)) state.sort = { id: "path", descending: false };
    table = covsup.table.make({
      label: "Files",
      columns: known,
      rows,
      sort: state.sort,
      matches: (file) => file.path,
      empty,
      onSort: (sort) => { state.sort = sort; remember(); },
      onOpen: (file) => router.go(router.sourceAddress(file)),
    });
    amount = h("p", { class: "quiet amount", role: "status" });
    const filter = parts.filterField("Filter files", state.filter, (text) => { state.filter = text; table.setFilter(text); showAmount(); remember(); });
    place.append(parts.heading("Files", filter, chooser()), amount, table.element);
    table.setFilter(state.filter);
    showAmount();
  }

  return {
    name: "files", title: "Files", letter: "f", mount,
    update: () => { table.update(); showAmount(); },
    unmount: () => table.close(),
    keys: { ArrowDown: () => table.focusFirst() },
    help: [[["↓", "↑"], "Next and previous file"], [["Enter"], "Open it"], [["/"], "Filter by path; several words must all match"]],
  };
})();
