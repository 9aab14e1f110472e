// Small parts that several views have: bars, links, empty states, the chain of starts of a process.
"use strict";

covsup.parts = (() => {
  const { h, hidden } = covsup.dom;
  const { format, router, store } = covsup;

  // A bar with its number. `share` is of 100, or null.
  function bar(share, text = format.percent(share)) {
    return h("span", { class: "bar-cell" },
      h("span", { class: "bar", "aria-hidden": "true" },
        share === null ? null : h("span", { class: "bar-run", style: { width: `${share}%` } })),
      h("span", { class: "bar-text" }, text));
  }

  function fileLink(file, line, query) {
    const [directory, name] = format.splitPath(file.path);
    // On a narrow screen only the last directory is shown.
    const cut = directory.lastIndexOf("/", directory.length - 2) + 1;
    return h("a", { class: "file-link", href: router.sourceAddress(file, line, query), title: file.path },
      h("span", { class: "file-directory" }, h("span", { class: "file-parents" }, directory.slice(0, cut)), directory.slice(cut)), h("span", { class: "file-name" }, name, line ? `:${line}` : ""));
  }

  // What a view shows where there is nothing: the reason, and what to type.
  function empty(title, words, ...commands) {
    return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), words ? h("p", null, words) : null,
      commands.map((each) => h("pre", { class: "command" }, h("code", null, each))));
  }

  function heading(title, ...more) {
    return h("div", { class: "view-head" }, h("h1", { tabindex: "-1" }, title), h("div", { class: "view-tools" }, more));
  }

  // A field that filters. `call` gets its text.
  function filterField(label, text, call) {
    const field = h("input", { type: "search", class: "filter", placeholder: label, "aria-label": label, autocomplete: "off", spellcheck: "false", "aria-keyshortcuts": "/", id: "filter" });
    field.value = text;
    field.addEventListener("input", () => call(field.value));
    return h("span", { class: "filter-frame" }, field, h("kbd", { "aria-hidden": "true" }, "/"));
  }

  const ORDINARY_SIGNALS = new Set(["SIGTERM", "SIGINT", "SIGHUP", "SIGPIPE", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2"]);

  // "running", "exited", "failed", "stopped", "killed", "exec", "unknown" or "unmeasured": the kind of its
  // colour. A pool ends its workers by SIGTERM: only other signals stand out.
  function kindOf(process) {
    if (!process.measured) return "unmeasured";
    const end = process.end || {};
    if (end.how === "exited" && end.status) return "failed";
    if (end.how === "killed" && ORDINARY_SIGNALS.has(end.signal)) return "stopped";
    return end.how || "unknown";
  }

  const KIND_WORDS = {
    running: "Running",
    exited: "Exited",
    failed: "Failed",
    stopped: "Stopped by a signal",
    killed: "Killed",
    exec: "Replaced by exec",
    unknown: "End unknown",
    unmeasured: "Not measured",
  };

  function kindChip(process) {
    const kind = kindOf(process);
    const words = kind === "unmeasured" ? "not measured" : (kind !== "exec" && process.end && process.end.words) || KIND_WORDS[kind].toLowerCase();
    return h("span", { class: `kind kind-${kind}` }, words);
  }

  // The process and those that started it, the oldest first.
  function chain(process) {
    const found = [];
    const seen = new Set();
    for (let each = process; each && !seen.has(each.id); each = store.processes.get(each.parent)) {
      seen.add(each.id);
      found.unshift(each);
    }
    return found;
  }

  function chainList(process) {
    return h("ol", { class: "chain" }, chain(process).map((each) =>
      h("li", null,
        h("span", { class: "how" }, each.how),
        h("span", { class: "chain-process" },
          h("a", { href: router.address("timeline", each.id), title: (each.argv || []).join(" ") }, format.shortCommand(each)),
          h("span", { class: "quiet" }, ` pid ${each.pid} `), kindChip(each)))));
  }

  function unmeasured() {
    return store.state.processes.filter((each) => !each.measured);
  }

  return { bar, fileLink, empty, heading, filterField, kindOf, KIND_WORDS, kindChip, chain, chainList, unmeasured, hidden };
})();
