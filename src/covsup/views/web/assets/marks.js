// Marks: set one, then see what ran for the first time since.
"use strict";

covsup.marks = (() => {
  const { h, announce } = covsup.dom;
  const { format, parts, router, store } = covsup;
  const SHOWN = 40; // lines of a file
  const FILES = 30; // files that show their lines
  let list = null;
  let form = null;
  let diff = null;
  let mark = null;
  let asked = 0;
  let waiting = null;

  function makeForm() {
    const name = h("input", { type: "text", id: "mark-name", maxlength: 80, autocomplete: "off", placeholder: "checkout clicked", required: true });
    const message = h("p", { class: "form-message", role: "alert" });
    const button = h("button", { type: "submit", class: "primary" }, "Set a mark");
    const element = h("form", { class: "mark-form" }, h("label", { for: "mark-name" }, "Name of the mark"), h("span", { class: "mark-fields" }, name, button), message);
    element.addEventListener("submit", async (event) => {
      event.preventDefault();
      message.textContent = "";
      button.disabled = true;
      try {
        await store.setMark(name.value.trim());
        announce(`The mark ${name.value.trim()} is set.`);
        name.value = "";
      } catch (error) {
        message.textContent = `The mark was not set: ${error.message || error}`;
      }
      button.disabled = false;
    });
    return { element, name };
  }

  function showList() {
    const rows = [...store.state.marks].sort((one, other) => other.at - one.at);
    if (list.contains(document.activeElement) && list.querySelectorAll("a").length === rows.length) return;
    const focused = document.activeElement?.getAttribute?.("href");
    list.replaceChildren(...rows.map((each) => h("li", null, h("a", { href: router.address("marks", String(each.id)), "aria-current": mark && each.id === mark.id ? "page" : null },
      h("b", null, each.name), h("span", { class: "quiet" }, format.moment(each.at))))));
    if (focused) [...list.querySelectorAll("a")].find((each) => each.getAttribute("href") === focused)?.focus({ preventScroll: true });
  }

  async function showDiff() {
    if (!mark) {
      diff.replaceChildren();
      return;
    }
    const request = ++asked;
    let found = null;
    try {
      found = await store.since(mark.id);
    } catch (error) {
      if (request === asked) diff.replaceChildren(parts.empty("What is new did not arrive.", String(error.message || error)));
      return;
    }
    if (request !== asked) return;
    const files = found ? found.files.filter((each) => store.files.has(each.file)) : [];
    const lines = files.reduce((sum, each) => sum + each.lines.length, 0);
    const arcs = files.reduce((sum, each) => sum + (each.arcs || []).length, 0);
    const head = h("h2", { id: "since-title" }, "New since ", h("b", null, mark.name));
    const total = h("p", { class: "quiet", role: "status" }, `${format.counted(lines, "line")}${store.state.branch ? ` and ${format.counted(arcs, "branch", "branches")}` : ""} in ${format.counted(files.length, "file")}, since ${format.moment(mark.at)}`);
    if (!files.length) {
      diff.replaceChildren(head, parts.empty("Nothing ran for the first time since this mark.", store.isRunning() ? "New lines appear here as they run." : ""));
      return;
    }
    files.sort((one, other) => other.lines.length - one.lines.length);
    const parts_ = await Promise.all(files.slice(0, FILES).map(fileDiff));
    if (request !== asked || diff.contains(document.activeElement)) return;
    diff.replaceChildren(head, total, ...parts_, ...(files.length > FILES ? [h("p", { class: "quiet" }, `and ${format.counted(files.length - FILES, "more file", "more files")}`)] : []));
  }

  async function fileDiff(each) {
    const file = store.files.get(each.file);
    let source = null;
    try {
      source = await store.source(each.file);
    } catch {
      source = null; // the numbers are shown without the text
    }
    const shown = [...each.lines].sort((one, other) => one - other).slice(0, SHOWN);
    const rows = shown.map((line, at) => {
      const text = source && source.lines[line - 1] ? source.lines[line - 1].map(([, part]) => part).join("") : "";
      return h("li", { class: at && shown[at - 1] !== line - 1 ? "new-line after-gap" : "new-line" }, h("a", { href: router.sourceAddress(file, line), "aria-label": `Line ${line}` }, String(line)), h("code", null, text));
    });
    const arcs = (each.arcs || []).filter(([from]) => !each.lines.includes(from));
    return h("section", { class: "panel file-diff" }, h("h3", null, parts.fileLink(file), h("span", { class: "gained" }, `+${format.count(each.lines.length)}`)),
      h("ol", { class: "new-lines" }, rows),
      each.lines.length > SHOWN ? h("p", { class: "quiet" }, `and ${format.counted(each.lines.length - SHOWN, "more line", "more lines")}`) : null,
      arcs.length ? h("p", { class: "quiet" }, `Also new: ${arcs.slice(0, 12).map(([from, to]) => `${from} → ${to < 0 ? "exit" : to}`).join(", ")}${arcs.length > 12 ? " …" : ""}`) : null);
  }

  function mount(place, route) {
    mark = (route.argument && store.marks.get(Number(route.argument))) || null;
    if (!mark && store.state.marks.length) mark = store.state.marks.reduce((one, other) => (other.at > one.at ? other : one));
    form = store.canMark() ? makeForm() : null;
    list = h("ul", { class: "mark-list", "aria-label": "Marks" });
    diff = h("section", { class: "since", "aria-labelledby": "since-title" });
    place.append(parts.heading("Marks"), h("p", { class: "quiet lead" }, "A mark is a moment with a name: before a request, a test, a deployment or a click. Everything that runs for the first time afterwards is listed."));
    if (form) place.append(form.element);
    if (!store.state.marks.length) {
      place.append(h("div", { class: "no-marks" }, form
        ? parts.empty("No mark is set yet.", "Set one above, or from a shell:", "covsup mark 'checkout clicked'")
        : parts.empty("No mark was set.", "Set marks while the program runs, here or from a shell:", "covsup mark 'checkout clicked'")));
    }
    place.append(h("div", { class: "marks-columns" }, list, diff));
    showList();
    showDiff();
  }

  function update(change) {
    if (store.state.marks.length) document.querySelector(".no-marks")?.remove();
    // After a reload, the mark may have another number.
    if (change.all && mark) mark = store.state.marks.find((each) => each.name === mark.name && each.at === mark.at) || null;
    const isNew = (change.marks || []).length > 0;
    if (isNew) {
      const newest = store.state.marks.reduce((one, other) => (other.at > one.at ? other : one));
      if (change.marks.some((each) => each.id === newest.id)) mark = newest;
    }
    showList();
    if (!mark || !(isNew || change.all || Object.keys(change.lines || {}).length || (change.files || []).length)) return;
    clearTimeout(waiting);
    waiting = setTimeout(showDiff, isNew ? 0 : 400);
  }

  return {
    name: "marks", title: "Marks", letter: "m", mount, update,
    unmount: () => { clearTimeout(waiting); asked += 1; },
    keys: { n: () => form?.name.focus() },
    help: [[["n"], "Name a new mark"]],
  };
})();
