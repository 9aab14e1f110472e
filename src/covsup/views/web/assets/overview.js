// The first view: totals, what moves, and what needs attention.
"use strict";

covsup.overview = (() => {
  const { h } = covsup.dom;
  const { format, parts, router, store } = covsup;
  const SHOWN = 8;
  let cards = {};
  let chart = null;
  let moving = null;
  let gaps = null;
  let attention = null;
  let runners = null;
  let activity = null;
  let ticking = null;

  function card(id, title, href) {
    const value = h("p", { class: "card-value" });
    const words = h("p", { class: "card-words" });
    const meter = h("div", { class: "meter", "aria-hidden": "true" });
    cards[id] = { value, words, meter };
    return h("section", { class: `card card-${id}` }, h("h2", null, href ? h("a", { href }, title) : title), value, meter, words);
  }

  function set(id, value, words, share) {
    const { value: at, words: under, meter } = cards[id];
    if (at.textContent !== value) at.textContent = value;
    if (under.textContent !== words) under.textContent = words;
    if (share !== undefined) {
      if (!meter.firstChild) meter.append(h("span"));
      meter.firstChild.style.setProperty("width", `${share}%`);
    }
  }

  function showTotals() {
    const { totals, processes, files, contexts, branch, at } = store.state;
    const lines = files.reduce((sum, each) => sum + each.lines, 0);
    const fresh = store.state.activity.filter(([when]) => when > at - 60000).reduce((sum, [, count]) => sum + count, 0);
    const unread = files.filter((each) => each.statements === null).length;
    const isKnown = totals.statements + totals.branches > 0 || (!unread && files.length > 0);
    set("coverage", isKnown ? format.percent(totals.percent) : "–", !store.isAnalysed()
      ? `${format.count(totals.analysed)} of ${format.counted(totals.files, "file")} analysed so far`
      : unread ? `${format.count(unread)} of ${format.counted(totals.files, "source")} cannot be read` : format.counted(totals.files, "file"), isKnown ? totals.percent : undefined);
    set("statements", `${format.count(totals.executed)}`, `of ${format.counted(totals.statements, "statement")} ran`,
      totals.statements ? (100 * totals.executed) / totals.statements : 0);
    if (branch) set("branches", format.count(totals.taken), `of ${format.counted(totals.branches, "branch", "branches")} taken`, totals.branches ? (100 * totals.taken) / totals.branches : 0);
    else set("branches", "–", "Not measured: covsup run --branch");
    set("lines", format.count(lines), store.isRunning() ? `${format.count(fresh)} new in the last minute` : `in ${format.counted(files.filter((each) => each.lines).length, "file")}`);
    const running = processes.filter((each) => each.end && each.end.how === "running").length;
    const killed = processes.filter((each) => parts.kindOf(each) === "killed").length;
    const words = [running ? `${format.count(running)} running` : "none running", killed ? `${format.count(killed)} killed` : null];
    set("processes", format.count(processes.length), words.filter(Boolean).join(", "));
    const named = contexts.filter((each) => each.label).length;
    set("contexts", format.count(named), named ? "tests, requests, jobs" : "none measured");
  }

  function showAttention() {
    const lost = parts.unmeasured();
    const killed = store.state.processes.filter((each) => parts.kindOf(each) === "killed");
    const rows = [];
    if (lost.length) {
      const reasons = [...new Set(lost.map((each) => each.reason).filter(Boolean))];
      rows.push(h("div", { class: "notice notice-unmeasured" },
        h("h3", null, h("a", { href: router.address("timeline", lost[0].id) }, `${format.counted(lost.length, "Python process", "Python processes")} not measured`)),
        h("p", null, reasons.slice(0, 2).join(" · ") || "The reason is not known."),
        processList(lost, () => "")));
    }
    if (killed.length) {
      rows.push(h("div", { class: "notice notice-killed" },
        h("h3", null, h("a", { href: router.address("timeline", killed[0].id) }, `${format.counted(killed.length, "process", "processes")} killed`)),
        processList(killed, (each) => `: ${each.end.words}`),
        h("p", { class: "quiet" }, killed.length === 1 ? "What it ran is kept." : "What they ran is kept.")));
    }
    attention.hidden = rows.length === 0;
    attention.replaceChildren(...rows);
  }

  function processList(processes, words) {
    return h("ul", null, processes.slice(0, 3).map((each) => h("li", null, h("a", { href: router.address("timeline", each.id) }, format.shortCommand(each)), ` pid ${each.pid}`, words(each))),
      processes.length > 3 ? h("li", { class: "quiet" }, `and ${format.count(processes.length - 3)} more`) : null);
  }

  // A list whose rows stay where they are while it is used.
  function list(title, id, make) {
    const body = h("ul", { class: "file-list" });
    const element = h("section", { class: `panel panel-${id}`, "aria-label": title }, h("h2", null, title), body);
    let shown = [];
    function update() {
      const isUsed = element.matches(":hover") || element.contains(document.activeElement);
      const next = make().map((each) => each.id);
      if (!isUsed || next.length < shown.length) shown = next;
      const focused = document.activeElement;
      if (!element.contains(focused)) {
        body.replaceChildren(...shown.map((each) => row(id, store.files.get(each))));
        if (!shown.length) body.append(h("li", { class: "quiet" }, id === "moving" ? store.state.totals.executed ? "No new line has run since covsup serve started." : "No line has run yet." : store.state.totals.statements ? "Nothing is missing." : "No source is analysed."));
      }
    }
    return { element, update };
  }

  function row(id, file) {
    const share = format.filePercent(file);
    const aside = id === "moving"
      ? h("span", { class: "moved" }, store.recent.has(file.id) ? h("b", null, `+${format.count(store.recent.get(file.id))} `) : null, file.moved ? format.ago(file.moved, Math.max(store.state.at, store.isRunning() ? Date.now() : 0)) : "")
      : h("span", { class: "moved" }, `${format.count(file.statements - file.executed)} missing`);
    return h("li", null, parts.fileLink(file), parts.bar(share), aside);
  }

  // Who was the first to run most lines.
  function showRunners() {
    if (runners.element.contains(document.activeElement)) return;
    const found = store.state.processes.filter((each) => each.first).sort((one, other) => other.first - one.first);
    const most = found.length ? found[0].first : 1;
    runners.element.hidden = !found.length;
    runners.body.replaceChildren(...found.slice(0, SHOWN).map((each) => h("li", null,
      h("span", { class: "runner" }, h("a", { href: router.address("timeline", each.id), title: each.command }, format.shortCommand(each)), h("span", { class: "quiet" }, String(each.pid))),
      h("span", { class: "bar-cell" }, h("span", { class: "bar bar-plain", "aria-hidden": "true" }, h("span", { class: "bar-first", style: { width: `${(100 * each.first) / most}%` } })), h("span", { class: "bar-text" }, format.count(each.first))),
      h("span", { class: "moved" }, parts.kindChip(each)))));
  }

  function mostRecent() {
    return store.state.files.filter((each) => each.moved).sort((one, other) => other.moved - one.moved || (one.path < other.path ? -1 : 1)).slice(0, SHOWN);
  }

  function mostMissing() {
    return store.state.files.filter((each) => each.statements !== null && each.statements > each.executed)
      .sort((one, other) => other.statements - other.executed - (one.statements - one.executed)).slice(0, SHOWN);
  }

  function update() {
    showTotals();
    showAttention();
    const hasActivity = store.state.activity.length > 0 || store.isRunning();
    activity.hidden = !hasActivity;
    moving.element.hidden = !hasActivity && !store.state.files.some((each) => each.moved);
    chart.update(store.state);
    moving.update();
    gaps.update();
    showRunners();
  }

  function mount(place) {
    cards = {};
    chart = covsup.activityChart.make();
    moving = list(store.isRunning() ? "Moving now" : "Moved last", "moving", mostRecent);
    gaps = list("Most statements missing", "gaps", mostMissing);
    runners = { body: h("ul", { class: "file-list runner-list" }) };
    runners.element = h("section", { class: "panel", "aria-label": "Who ran it first" }, h("h2", null, "First to run most lines"), runners.body);
    activity = h("section", { class: "panel panel-activity", "aria-label": "Activity" }, h("h2", null, "Lines that ran for the first time"), chart.element);
    attention = h("section", { class: "attention", "aria-label": "Needs attention" });
    place.append(
      parts.heading("Overview"),
      attention,
      h("div", { class: "cards" },
        card("coverage", "Coverage", router.address("treemap")),
        card("statements", "Statements", router.address("files")),
        card("branches", "Branches"),
        card("lines", "Lines run"),
        card("processes", "Processes", router.address("timeline")),
        card("contexts", "Contexts", router.address("contexts"))),
      activity,
      h("div", { class: "panels" }, moving.element, gaps.element, runners.element),
    );
    update();
    if (store.isRunning()) ticking = setInterval(() => moving.update(), 5000);
  }

  return { name: "overview", title: "Overview", letter: "o", mount, update, unmount: () => clearInterval(ticking) };
})();
