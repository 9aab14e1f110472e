// Beside the source: what is known of one line. Who ran it first, through which starts, in which contexts.
"use strict";

covsup.linePanel = (() => {
  const { h } = covsup.dom;
  const { format, parts, router, sourceLines, store } = covsup;
  const SHOWN = 12; // contexts

  const TITLES = {
    run: "Ran",
    partial: "Partly run",
    missing: "Did not run",
    excluded: "Excluded",
    none: "Not a statement",
  };

  // The innermost function or class around a line.
  function regionOf(source, line) {
    let found = null;
    for (const each of source.regions) {
      if (each.start > line) break;
      if (each.end >= line) found = each;
    }
    return found;
  }

  function firstOf(source, line) {
    const id = source.first[line];
    return id === undefined ? null : store.processes.get(id) || null;
  }

  // The server lists the first of very many contexts. `total` is exact.
  function contextList(ids, total) {
    const found = ids.map((id) => store.contexts.get(id)).filter((each) => each && each.label);
    if (!found.length) return null;
    const count = Math.max(found.length, (total || 0) - (ids.length - found.length));
    return h("section", null, h("h3", null, count === 1 ? "In the context" : `In ${format.counted(count, "context")}`),
      h("ul", { class: "context-list" }, found.slice(0, SHOWN).map((each) => h("li", null, h("a", { href: router.address("contexts", String(each.id)) }, each.label))),
        count > SHOWN ? h("li", { class: "quiet" }, `and ${format.count(count - SHOWN)} more`) : null));
  }

  function why(source, line) {
    const region = regionOf(source, line);
    const file = store.files.get(source.id);
    if (file && !file.lines) return "No process ran any line of this file.";
    if (region && region.kind === "function" && !region.executed) return `${region.name}() was never entered.`;
    return null;
  }

  function show(panel, source, line) {
    if (!line) {
      panel.replaceChildren(h("p", { class: "quiet" }, "Point at a line, or move with j, k or the arrow keys, to see who ran it first."));
      return;
    }
    const state = sourceLines.states(source).get(line) || "none";
    const process = state === "missing" || state === "excluded" ? null : firstOf(source, line);
    const words = [];
    if (state === "partial") words.push(...sourceLines.branchWords(source, line).map((each) => h("li", null, each)));
    const reason = state === "missing" ? why(source, line) : null;
    panel.replaceChildren(
      h("p", { class: "panel-line" }, h("span", { class: "panel-number" }, `Line ${line}`), h("span", { class: `kind state-${state}` }, TITLES[state])),
      ...[
        words.length ? h("ul", { class: "branch-words" }, words) : null,
        reason ? h("p", null, reason) : null,
        process ? h("section", null, h("h3", null, "First run by"), parts.chainList(process)) : null,
        process || state === "missing" ? contextList(source.contexts[line] || [], (source.context_counts || {})[line]) : null,
      ].filter(Boolean),
    );
  }

  return { show, regionOf };
})();
