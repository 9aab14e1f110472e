// Keys. A view may have its own (`keys`); they come first. Typing into a field is left alone.
"use strict";

covsup.keyboard = (() => {
  const { h } = covsup.dom;
  let pending = ""; // "g" waits for the letter of a view
  let own = () => ({});
  const everywhere = {};
  const goTo = {};

  function isField(element) {
    return element instanceof HTMLElement && (element.matches("input:not([type=checkbox]), textarea, select") || element.isContentEditable);
  }

  function pressed(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const help = document.getElementById("help");
    if (help.open) {
      if (event.key === "?") help.close();
      return;
    }
    if (event.key === "Escape") {
      if (isField(event.target)) {
        event.target.blur();
        document.getElementById("main").focus({ preventScroll: true });
      }
      (own().Escape || {}).call?.(event);
      pending = "";
      return;
    }
    if (isField(event.target)) return;
    const key = event.key;
    if (pending === "g") {
      pending = "";
      if (goTo[key]) {
        event.preventDefault();
        goTo[key]();
        return;
      }
    }
    const found = own()[key] || everywhere[key];
    if (found) {
      if (found.call(event) !== false) event.preventDefault();
    } else if (key === "g") {
      pending = "g";
    }
  }

  function rows(keys) {
    return keys.map(([names, words]) =>
      h("div", { class: "help-row" }, h("dt", null, names.map((each) => h("kbd", null, each))), h("dd", null, words)),
    );
  }

  function showHelp(view, views) {
    const help = document.getElementById("help");
    const ownKeys = view && view.help ? view.help : [];
    help.replaceChildren(
      h("div", { class: "help-head" }, h("h2", { id: "help-title" }, "Keys"),
        h("button", { type: "button", class: "tool", on: { click: () => help.close() } }, "Close")),
      h("div", { class: "help-columns" },
        h("section", null, h("h3", null, "Everywhere"), h("dl", null, rows([
          ...views.map((each, index) => [[String(index + 1), `g ${each.letter}`], each.title]),
          [["/"], "Filter"],
          [["t"], "Light, dark, or as the system"],
          [["?"], "These keys"],
          [["Esc"], "Leave a field, close"],
        ]))),
        ownKeys.length ? h("section", null, h("h3", null, view.title), h("dl", null, rows(ownKeys))) : null,
      ),
    );
    help.showModal();
  }

  document.addEventListener("keydown", pressed);
  return { everywhere, goTo, showHelp, ofView: (call) => { own = call; } };
})();
