// The colours: those of the system, light, or dark. The choice stays in the browser.
//
// It runs before the page is drawn, so that a dark page does not flash white.
"use strict";

const covsup = {};

covsup.theme = (() => {
  const KEY = "covsup-theme";
  const CHOICES = ["system", "light", "dark"];
  const changed = [];
  let choice = "system";
  try {
    const stored = localStorage.getItem(KEY);
    if (CHOICES.includes(stored)) choice = stored;
  } catch {
    // The browser forbids storage. The choice lasts as long as the page.
  }

  function apply() {
    if (choice === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
    for (const each of changed) each();
  }

  function next() {
    choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // See above.
    }
    apply();
    return choice;
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  apply();
  return { next, choice: () => choice, onChange: (call) => changed.push(call) };
})();
