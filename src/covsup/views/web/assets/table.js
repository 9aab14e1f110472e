// A table of any length: only the rows in sight exist.
//
// While it is used (the pointer is over it, or the focus is in it), new data changes the text of rows, not
// their order: nothing moves under the pointer. The order is made anew as soon as it is left.
"use strict";

covsup.table = (() => {
  const { h, perFrame } = covsup.dom;
  const ROW = 36; // pixels; the style sheet has the same (--row)
  const AROUND = 12; // rows that exist above and below those in sight
  const PRINTED = 3000; // rows on paper

  // columns: { id, title, value(row) to sort by, fill(cell, row), track, number, descending, narrow, label }
  function make({ label, columns, rows, sort, onSort, matches, empty, onOpen }) {
    let order = []; // the rows in sight, in their order
    let filter = "";
    let sorted = { ...sort };
    let all = false; // whether all rows exist, to be printed
    const made = new Map(); // elements by the ids of their rows

    const head = h("div", { class: "table-row table-head", role: "row", "aria-rowindex": 1 });
    const body = h("div", { class: "table-body", role: "rowgroup" });
    const note = h("div", { class: "table-note" });
    const table = h("div", { class: "table", role: "table", "aria-label": label }, h("div", { role: "rowgroup", class: "table-head-group" }, head), body);
    const element = h("div", { class: "table-frame" }, table, note);
    table.style.setProperty("--tracks", columns.map((each) => each.track).join(" "));
    table.style.setProperty("--narrow-tracks", columns.filter((each) => !each.narrow).map((each) => each.narrowTrack || each.track).join(" "));

    for (const column of columns) {
      const button = h("button", { type: "button", on: { click: () => sortBy(column) } }, column.title);
      head.append(h("div", { role: "columnheader", class: cellClass(column), "data-column": column.id, title: column.label }, column.value ? button : column.title));
    }

    function cellClass(column) {
      return `cell${column.number ? " number" : ""}${column.narrow ? " wide-only" : ""}`;
    }

    function sortBy(column) {
      const same = sorted.id === column.id;
      sorted = { id: column.id, descending: same ? !sorted.descending : Boolean(column.descending) };
      arrange();
      if (onSort) onSort(sorted);
    }

    function showSort() {
      for (const cell of head.children) {
        const is = cell.dataset.column === sorted.id;
        if (is) cell.setAttribute("aria-sort", sorted.descending ? "descending" : "ascending");
        else cell.removeAttribute("aria-sort");
      }
    }

    function compare(one, other) {
      const { value } = columns.find((each) => each.id === sorted.id);
      const a = value(one);
      const b = value(other);
      if (a === b) return 0;
      // Rows without a value come last in both directions.
      if (a === null || a === undefined) return 1;
      if (b === null || b === undefined) return -1;
      const up = typeof a === "string" ? (a < b ? -1 : 1) : a - b;
      return sorted.descending ? -up : up;
    }

    function wanted() {
      const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
      return words.length ? rows().filter((row) => words.every((word) => matches(row).toLowerCase().includes(word))) : rows();
    }

    // Take the rows and sort them.
    function arrange() {
      order = [...wanted()];
      if (sorted.id) order.sort(compare);
      element.dataset.held = "no";
      showSort();
      draw(true);
    }

    function isUsed() {
      return element.matches(":hover") || body.contains(document.activeElement);
    }

    // New data: keep the order where the table is used.
    function update() {
      if (!isUsed()) {
        arrange();
        return;
      }
      const fresh = new Map(wanted().map((row) => [row.id, row]));
      const kept = order.filter((row) => fresh.has(row.id)).map((row) => fresh.get(row.id));
      const known = new Set(kept.map((row) => row.id));
      order = [...kept, ...[...fresh.values()].filter((row) => !known.has(row.id))];
      const isHeld = sorted.id && order.some((row, at) => at && compare(order[at - 1], row) > 0);
      element.dataset.held = isHeld ? "yes" : "no";
      draw(true);
    }

    function release() {
      if (element.dataset.held === "yes" && !isUsed()) arrange();
    }

    function makeRow(row) {
      const cells = columns.map((column) => h("div", { class: cellClass(column), role: "cell" }));
      const line = h("div", { class: "table-row", role: "row" }, cells);
      const entry = { line, cells, row: null };
      if (onOpen) line.addEventListener("click", (event) => { if (!event.target.closest("a, button")) onOpen(entry.row); });
      return entry;
    }

    function fillRow(entry, row, position) {
      entry.line.style.setProperty("transform", `translateY(${position * ROW}px)`);
      entry.line.setAttribute("aria-rowindex", position + 2);
      entry.line.dataset.position = position;
      if (entry.row === row) return;
      const focused = entry.line.contains(document.activeElement);
      columns.forEach((column, at) => {
        // The same for every state of the row: keep its link. After a reload, the id may be of another row.
        if (column.fixed && entry.row !== null && column.value(entry.row) === column.value(row)) return;
        if (focused && entry.cells[at].contains(document.activeElement)) return;
        column.fill(entry.cells[at], row);
      });
      entry.row = row;
    }

    function range() {
      if (all) return [0, Math.min(order.length, PRINTED)];
      const top = body.getBoundingClientRect().top;
      const first = Math.max(0, Math.floor(-top / ROW) - AROUND);
      return [first, Math.min(order.length, Math.ceil((innerHeight - top) / ROW) + AROUND)];
    }

    function draw(fresh) {
      if (fresh) {
        body.style.setProperty("height", `${order.length * ROW}px`);
        table.setAttribute("aria-rowcount", order.length + 1);
        note.replaceChildren(...(order.length ? [] : [empty(filter)]));
      }
      if (!element.isConnected) return;
      const [from, to] = range();
      const needed = new Set();
      for (let at = from; at < to; at++) {
        const row = order[at];
        needed.add(row.id);
        let entry = made.get(row.id);
        if (!entry) {
          entry = makeRow(row);
          made.set(row.id, entry);
          body.append(entry.line);
        }
        fillRow(entry, row, at);
      }
      const positions = fresh ? new Map(order.map((row, at) => [row.id, at])) : null;
      for (const [id, entry] of made) {
        if (needed.has(id)) continue;
        // A row with the focus stays, wherever it is, unless it is gone.
        if (entry.line.contains(document.activeElement) && (!positions || positions.has(id))) {
          if (positions) fillRow(entry, order[positions.get(id)], positions.get(id));
          continue;
        }
        entry.line.remove();
        made.delete(id);
      }
      inOrder();
    }

    // Tab goes through the rows in the order in which they are seen.
    function inOrder() {
      const lines = [...body.children];
      const isSorted = lines.every((line, at) => !at || Number(lines[at - 1].dataset.position) <= Number(line.dataset.position));
      if (isSorted || body.contains(document.activeElement)) return;
      body.append(...lines.sort((one, other) => one.dataset.position - other.dataset.position));
    }

    function focusRow(position) {
      if (position < 0 || position >= order.length) return;
      const top = body.getBoundingClientRect().top + position * ROW;
      const under = document.querySelector(".banner").getBoundingClientRect().bottom + ROW;
      if (top < under) scrollBy(0, top - under);
      else if (top + ROW > innerHeight) scrollBy(0, top + ROW - innerHeight + 8);
      draw(false);
      const entry = made.get(order[position].id);
      (entry.line.querySelector("a, button") || entry.line).focus({ preventScroll: true });
    }

    body.addEventListener("keydown", (event) => {
      const line = event.target.closest(".table-row");
      if (!line || event.ctrlKey || event.metaKey || event.altKey) return;
      const at = Number(line.dataset.position);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: order.length - 1, PageDown: Math.min(order.length - 1, at + 15), PageUp: Math.max(0, at - 15) }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      focusRow(to);
    });
    element.addEventListener("pointerleave", release);
    element.addEventListener("focusout", () => setTimeout(release));

    const scrolled = perFrame(() => draw(false));
    const beforePrint = () => { all = true; draw(true); };
    const afterPrint = () => { all = false; draw(true); };
    addEventListener("scroll", scrolled, { passive: true });
    addEventListener("resize", scrolled);
    addEventListener("beforeprint", beforePrint);
    addEventListener("afterprint", afterPrint);

    return {
      element,
      update,
      arrange,
      setFilter: (text) => { filter = text; arrange(); },
      focusFirst: () => focusRow(0),
      shown: () => order.length,
      close: () => {
        removeEventListener("scroll", scrolled);
        removeEventListener("resize", scrolled);
        removeEventListener("beforeprint", beforePrint);
        removeEventListener("afterprint", afterPrint);
      },
    };
  }

  return { make };
})();
