// Starts the page: the navigation, and one view at a time.
"use strict";

(() => {
  const { h } = covsup.dom;
  const { connection, format, keyboard, router, store, theme } = covsup;
  const shown = [covsup.overview, covsup.treemap, covsup.files, covsup.timeline, covsup.contexts, covsup.marks, covsup.unused];
  const views = new Map([...shown, covsup.source].map((each) => [each.name, each]));
  const main = document.getElementById("main");
  const scrolled = new Map(); // positions by address, for the way back
  let current = null;

  function number(name) {
    const { state } = store;
    const found = { files: state.files.length, timeline: state.processes.length, contexts: state.contexts.filter((each) => each.label).length, marks: state.marks.length }[name];
    return found === undefined ? "" : format.count(found);
  }

  function showNavigation() {
    const place = document.getElementById("views");
    if (!place.firstChild) {
      place.append(h("ul", null, shown.map((each) => h("li", null, h("a", { href: router.address(each.name), "data-view": each.name, "aria-keyshortcuts": `g ${each.letter}` }, h("span", null, each.title), h("span", { class: "views-count" }))))));
    }
    for (const link of place.querySelectorAll("a")) {
      const isCurrent = current && (link.dataset.view === current.name || (current.isHidden && link.dataset.view === "files"));
      if (isCurrent) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      const text = number(link.dataset.view);
      const count = link.querySelector(".views-count");
      if (count.textContent !== text) count.textContent = text;
    }
  }

  function showTitle() {
    const title = current.pageTitle ? current.pageTitle() : current.title;
    document.title = `${title} · ${store.state.title} · covsup`;
  }

  // Show the view of the address. `isMove`: the reader went there, so the focus goes to its title.
  function show(isMove, from) {
    if (from) scrolled.set(from, scrollY);
    const address = location.hash;
    const isBack = isMove && scrolled.has(address);
    const route = router.parse(address);
    const view = views.get(route.view) || covsup.overview;
    if (view === current && view.route && view.route(route) !== false) return;
    if (current) current.unmount?.();
    current = view;
    main.className = `view view-${view.name}`;
    main.replaceChildren();
    view.mount(main, route);
    showNavigation();
    showTitle();
    scrollTo(0, isBack ? scrolled.get(address) : 0);
    if (isMove) main.querySelector("h1")?.focus({ preventScroll: true });
    document.querySelector(`#views a[data-view="${view.isHidden ? "files" : view.name}"]`)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  function showPlace() {
    const { title, place } = store.state;
    const short = place.split("/").slice(-2).join("/");
    document.getElementById("place").replaceChildren(h("b", { title }, title), h("span", { class: "quiet place-path", title: place }, short));
  }

  function showFoot() {
    const { at, live } = store.state;
    const links = store.embedded ? [] : [["metrics", "Prometheus"], ["lcov.info", "LCOV"], ["coverage.xml", "Cobertura XML"], ["coverage.json", "JSON"]];
    document.getElementById("foot").replaceChildren(
      h("span", null, store.embedded ? `Written by covsup, ${format.moment(at)}` : live ? "Read from the session while it runs" : "Read from a data file"),
      ...(links.length ? [h("span", { class: "foot-links" }, "As of now: ", links.map(([href, name]) => h("a", { href }, name)))] : []));
  }

  function switchTheme() {
    const choice = theme.next();
    showTheme();
    covsup.dom.announce(`Colours: ${choice}`);
  }

  function showTheme() {
    const words = { system: "Auto", light: "Light", dark: "Dark" }[theme.choice()];
    const button = document.getElementById("theme-switch");
    button.replaceChildren(h("span", { class: "theme-icon", "aria-hidden": "true" }), words);
    button.setAttribute("aria-label", `Colours: ${words}. Switch`);
  }

  function connectKeys() {
    shown.forEach((each, index) => {
      const go = () => router.go(router.address(each.name));
      keyboard.everywhere[String(index + 1)] = go;
      keyboard.goTo[each.letter] = go;
    });
    keyboard.everywhere["?"] = help;
    keyboard.everywhere.t = switchTheme;
    keyboard.everywhere["/"] = () => {
      const field = document.getElementById("filter");
      if (!field) return false;
      field.focus();
      field.select();
      return true;
    };
    keyboard.ofView(() => (current && current.keys) || {});
    document.getElementById("help-button").addEventListener("click", help);
    document.getElementById("theme-switch").addEventListener("click", switchTheme);
    document.getElementById("skip-link").addEventListener("click", (event) => {
      event.preventDefault();
      (main.querySelector("h1") || main).focus();
    });
  }

  function help() {
    keyboard.showHelp(current, shown);
  }

  async function start() {
    history.scrollRestoration = "manual";
    showTheme();
    try {
      await store.start();
    } catch (error) {
      main.replaceChildren(covsup.parts.empty("The data did not arrive.", `${error.message || error}. Is covsup serve still running?`));
      return;
    }
    showPlace();
    showFoot();
    connectKeys();
    show(false);
    addEventListener("hashchange", (event) => show(true, new URL(event.oldURL).hash));
    let waits = false;
    store.subscribe((change) => {
      current.update?.(change);
      if (waits) return;
      waits = true;
      requestAnimationFrame(() => {
        waits = false;
        showNavigation();
      });
    });
    connection.open();
    document.documentElement.dataset.ready = "yes";
  }

  start();
})();
