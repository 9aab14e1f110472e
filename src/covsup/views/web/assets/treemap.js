// Packages by size and coverage. A click goes into a package, or to the source of a file.
//
// The colours go from orange to green over white, and differ in lightness too: they can be distinguished
// with every kind of colour blindness. Each rectangle also has its number.
"use strict";

covsup.treemap = (() => {
  const { h, perFrame } = covsup.dom;
  const { format, parts, router, store, treemapLayout } = covsup;
  const STEPS = [50, 70, 80, 90, 97, 100.01]; // the upper ends of the colours
  const TITLE = 22; // pixels of a package's title
  let map = null;
  let path = "";
  let trail = null;
  let total = null;
  let redraw = () => {};

  function colourClass(node) {
    if (!node.statements) return "share-none";
    const share = (100 * node.executed) / node.statements;
    return `share-${STEPS.findIndex((each) => share < each)}`;
  }

  function share(node) {
    return node.statements ? format.percent((100 * node.executed) / node.statements) : "not analysed";
  }

  function words(node) {
    const inside = node.file ? "" : `, ${format.counted(node.files, "file")}`;
    return `${node.path}: ${share(node)} of ${format.counted(node.statements, "statement")}${inside}`;
  }

  function box(rect, tag, name, ...children) {
    const gap = 1;
    return h(tag, {
      class: `tile ${name} ${colourClass(rect.node)}`,
      style: {
        left: `${rect.x + gap}px`,
        top: `${rect.y + gap}px`,
        width: `${Math.max(1, rect.w - 2 * gap)}px`,
        height: `${Math.max(1, rect.h - 2 * gap)}px`,
      },
    }, ...children);
  }

  function address(node) {
    return node.file ? router.sourceAddress(node.file) : router.address("treemap", node.path);
  }

  function tile(rect) {
    const { node } = rect;
    const element = box(rect, "a", node.file ? "tile-file" : "tile-package");
    element.href = address(node);
    element.setAttribute("aria-label", words(node));
    element.title = words(node);
    if (rect.w > 34 && rect.h > 18) element.append(h("span", { class: "tile-name" }, node.name));
    if (rect.w > 44 && rect.h > 34 && node.file) element.append(h("span", { class: "tile-share" }, share(node)));
    if (!node.file && rect.w > 165 && rect.h > 18) element.append(h("span", { class: "tile-aside" }, share(node)));
    if (!node.file && rect.w > 60 && rect.h > 60) {
      for (const inner of treemapLayout.place(node.children, 2, TITLE, rect.w - 6, rect.h - TITLE - 4)) {
        if (inner.w < 3 || inner.h < 3) continue;
        const label = inner.w > 48 && inner.h > 17 ? h("span", { class: "tile-name" }, inner.node.name) : null;
        const number = inner.w > 48 && inner.h > 34 ? h("span", { class: "tile-share" }, share(inner.node)) : null;
        const part = box(inner, "span", "tile-inner", label, number);
        part.title = words(inner.node);
        element.append(part);
      }
    }
    return element;
  }

  function draw() {
    if (!map || !map.isConnected) return;
    const root = treemapLayout.tree(store.state.files);
    let node = treemapLayout.find(root, path);
    while (path === "" && node.children.length === 1 && !node.children[0].file) [node] = node.children;
    const focused = map.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const { clientWidth: width, clientHeight: height } = map;
    const rects = treemapLayout.place(node.children, 0, 0, width, height).filter((each) => each.w >= 3 && each.h >= 3);
    map.replaceChildren(...rects.map(tile));
    if (!rects.length) map.append(parts.empty("No file has statements yet.", "The sizes appear when the first sources are analysed."));
    if (focused) [...map.children].find((each) => each.getAttribute("href") === focused)?.focus({ preventScroll: true });
    showTrail(root, node);
    total.textContent = `${share(node)} of ${format.counted(node.statements, "statement")} in ${format.counted(node.files, "file")}${node.pending ? `, ${format.count(node.pending)} not analysed yet` : ""}`;
  }

  function showTrail(root, node) {
    const steps = [h("li", null, node === root || !node.path ? h("span", { "aria-current": "page" }, "all files") : h("a", { href: router.address("treemap") }, "all files"))];
    const names = node.path.split("/");
    names.forEach((name, at) => {
      if (name === "") return;
      const upTo = names.slice(0, at + 1).join("/");
      steps.push(h("li", null, at === names.length - 1 ? h("span", { "aria-current": "page" }, name) : h("a", { href: router.address("treemap", upTo) }, name)));
    });
    trail.replaceChildren(h("ol", null, steps));
  }

  function legend() {
    const names = ["below 50%", "50", "70", "80", "90", "97 to 100%"];
    return h("p", { class: "legend", "aria-label": "Colours" }, names.map((each, at) => h("span", { class: `legend-step share-${at}` }, each)));
  }

  function up() {
    if (path) router.go(router.address("treemap", path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ""));
  }

  function mount(place, route) {
    path = route.argument;
    trail = h("nav", { class: "trail", "aria-label": "Package" });
    total = h("p", { class: "quiet" });
    map = h("div", { class: "treemap", role: "group", "aria-label": "Packages by number of statements" });
    place.append(parts.heading("Treemap", legend()), h("div", { class: "treemap-head" }, trail, total), map);
    redraw = perFrame(draw);
    addEventListener("resize", redraw);
    draw();
  }

  let drawnAt = 0;
  let later = null;
  // Sizes change while sources are analysed: drawing them twice a second is enough.
  function update() {
    clearTimeout(later);
    const wait = Math.max(0, drawnAt + 500 - performance.now());
    later = setTimeout(() => {
      if (map.matches(":hover")) {
        update();
        return;
      }
      drawnAt = performance.now();
      draw();
    }, wait);
  }

  return {
    name: "treemap", title: "Treemap", letter: "t", mount, update,
    route: (route) => { path = route.argument; draw(); },
    unmount: () => { clearTimeout(later); removeEventListener("resize", redraw); },
    keys: { u: up, Backspace: up },
    help: [[["u", "Backspace"], "The package around this one"], [["Tab", "Enter"], "Into a package or file"]],
  };
})();
