// Rectangles for a tree of packages: squarified (Bruls, Huizing, van Wijk), so that they stay near squares.
"use strict";

covsup.treemapLayout = (() => {
  // The tree of directories of files. A directory with one directory alone in it is one step.
  function tree(files) {
    const root = { name: "", path: "", children: new Map(), size: 0, statements: 0, executed: 0, files: 0, pending: 0 };
    for (const file of files) {
      const size = file.statements ?? file.lines;
      if (!size) continue;
      let node = root;
      const names = file.path.split("/").filter((each, at) => each || at === 0);
      const parents = [root];
      names.forEach((name, at) => {
        const isFile = at === names.length - 1;
        if (!node.children.has(name)) {
          const path = node === root ? name : `${node.path}/${name}`;
          node.children.set(name, { name: name || "/", path, children: new Map(), size: 0, statements: 0, executed: 0, files: 0, pending: 0, file: isFile ? file : null });
        }
        node = node.children.get(name);
        parents.push(node);
      });
      for (const each of parents) {
        each.size += size;
        each.files += 1;
        if (file.statements === null || file.statements === undefined) each.pending += 1;
        else {
          each.statements += file.statements;
          each.executed += file.executed;
        }
      }
    }
    return shorten(root);
  }

  function shorten(node) {
    const children = [...node.children.values()].map(shorten);
    node.children = children.sort((one, other) => other.size - one.size || (one.name < other.name ? -1 : 1));
    if (children.length === 1 && !children[0].file && node.path !== "") {
      const [only] = children;
      return { ...only, name: `${node.name}/${only.name}`.replace("//", "/") };
    }
    return node;
  }

  function find(root, path) {
    let node = root;
    while (node && node.path !== path) {
      node = node.children.find((each) => !each.file && (each.path === path || path.startsWith(`${each.path}/`)));
    }
    return node || root;
  }

  function worst(row, total, side) {
    const long = total / side;
    let most = 0;
    for (const each of row) {
      const short = each.area / long;
      most = Math.max(most, long / short, short / long);
    }
    return most;
  }

  // Rectangles [{node, x, y, w, h}] of children inside (x, y, w, h).
  function place(children, x, y, w, h) {
    const total = children.reduce((sum, each) => sum + each.size, 0);
    if (!total || w <= 0 || h <= 0) return [];
    const scale = (w * h) / total;
    const waiting = children.map((node) => ({ node, area: node.size * scale }));
    const placed = [];
    while (waiting.length) {
      const side = Math.min(w, h);
      const row = [];
      let area = 0;
      while (waiting.length) {
        const next = waiting[0];
        if (row.length && worst([...row, next], area + next.area, side) > worst(row, area, side)) break;
        row.push(waiting.shift());
        area += next.area;
      }
      const thick = area / side;
      let along = 0;
      for (const each of row) {
        const length = each.area / thick;
        placed.push(w >= h ? { node: each.node, x, y: y + along, w: thick, h: length } : { node: each.node, x: x + along, y, w: length, h: thick });
        along += length;
      }
      if (w >= h) {
        x += thick;
        w -= thick;
      } else {
        y += thick;
        h -= thick;
      }
    }
    return placed;
  }

  return { tree, find, place };
})();
