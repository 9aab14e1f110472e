// The lines of a source as elements, and the state of each: run, missing, partial, excluded.
"use strict";

covsup.sourceLines = (() => {
  const { h, hidden } = covsup.dom;
  const { format } = covsup;
  const CHUNK = 100; // lines of one block; the browser skips blocks out of sight

  // Classes of Pygments and of coverage.py, as the few that the style sheet has.
  function tokenClass(name) {
    if (name === "nf" || name === "fm" || name === "nc") return "t-definition";
    if (name === "nd") return "t-decorator";
    if (name === "nb" || name === "bp") return "t-builtin";
    if (name === "num" || /^(m|il)/.test(name)) return "t-number";
    if (name === "str" || /^(s|ld)/.test(name)) return "t-string";
    if (name === "com" || /^c/.test(name)) return "t-comment";
    if (name === "key" || /^k/.test(name) || name === "ow") return "t-keyword";
    return "";
  }

  // What is known of each line, by its number.
  function states(source) {
    const found = new Map();
    for (const line of source.excluded) found.set(line, "excluded");
    for (const line of source.statements) found.set(line, "missing");
    for (const line of source.executed) found.set(line, source.missing_branches[line] ? "partial" : "run");
    return found;
  }

  function target(line) {
    return line < 0 ? "exit" : format.count(line);
  }

  function branchWords(source, line) {
    const targets = source.missing_branches[line] || [];
    return targets.map((each) => (each < 0 ? "it never left the function from here" : `it never went on to line ${each}`));
  }

  const STATE_WORDS = { missing: "not run: ", partial: "partly run: ", excluded: "excluded: ", run: "" };

  function make(source, addressOf) {
    const count = source.lines.length;
    const digits = String(count).length;
    const lines = []; // elements by index
    const element = h("div", {
      class: "code", tabindex: "0", role: "listbox", "aria-label": `Source of ${source.path}`,
      "data-digits": Math.min(6, digits),
    });
    for (let from = 0; from < count; from += CHUNK) {
      const to = Math.min(count, from + CHUNK);
      const chunk = h("div", { class: "code-chunk", role: "presentation" });
      chunk.style.setProperty("contain-intrinsic-size", `auto ${(to - from) * 20}px`);
      for (let at = from; at < to; at++) {
        const line = makeLine(source.lines[at], at + 1);
        lines.push(line);
        chunk.append(line);
      }
      element.append(chunk);
    }

    function makeLine(tokens, number) {
      const text = h("code", null, tokens.map(([name, part]) => {
        const style = tokenClass(name);
        return style ? h("span", { class: style }, part) : part;
      }));
      const anchor = h("a", { class: "line-number", href: addressOf(number), tabindex: "-1", "aria-hidden": "true" }, String(number));
      return h("div", { class: "line", id: `L${number}`, role: "option", "aria-selected": "false", "data-line": number }, anchor, h("span", { class: "line-state" }), text);
    }

    // Show the states of another answer of the server. Only what differs is touched.
    function update(next) {
      const known = states(next);
      lines.forEach((line, at) => {
        const number = at + 1;
        const state = known.get(number) || "none";
        const targets = (state === "partial" && next.missing_branches[number]) || [];
        const key = `${state} ${targets}`;
        if (line.dataset.key === key) return;
        line.dataset.key = key;
        line.dataset.state = state;
        line.querySelector(".line-state").replaceChildren(...(STATE_WORDS[state] ? [hidden(STATE_WORDS[state])] : []));
        line.querySelector(".line-targets")?.remove();
        if (targets.length) {
          line.append(h("span", { class: "line-targets", title: branchWords(next, number).join("; ") }, `↛ ${targets.map(target).join(", ")}`));
        }
      });
    }

    // A line that runs now: green at once, before the server has counted anything.
    function flash(number, isFirst) {
      const line = lines[number - 1];
      if (!line) return;
      if (isFirst && (line.dataset.state === "missing" || line.dataset.state === "none")) {
        if (line.dataset.state === "missing") {
          line.dataset.state = "run";
          line.dataset.key = "run ";
          line.querySelector(".line-state").replaceChildren();
        }
      }
      line.classList.remove("flash");
      void line.offsetWidth; // starts the animation again
      line.classList.add("flash");
      line.addEventListener("animationend", () => line.classList.remove("flash"), { once: true });
    }

    update(source);
    return { element, lines, update, flash };
  }

  // The first lines of runs of lines for which `isWanted` holds.
  function chunks(source, isWanted) {
    const known = states(source);
    const found = [];
    let was = false;
    for (let line = 1; line <= source.lines.length; line++) {
      const state = known.get(line);
      // Lines without a statement (comments, the rest of a long call) do not divide a run.
      if (state === undefined) continue;
      const is = isWanted(state);
      if (is && !was) found.push(line);
      was = is;
    }
    return found;
  }

  return { make, states, chunks, branchWords };
})();
