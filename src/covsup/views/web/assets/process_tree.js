// Processes as tracks: the images of one process (its exec generations) are steps of one track.
"use strict";

covsup.processTree = (() => {
  const { parts } = covsup;

  // Tracks in the order of a tree, parents first: { id, images, parent, depth, start, end, kind, last }.
  function tracks(processes, now) {
    const byId = new Map(processes.map((each) => [each.id, each]));
    const successor = new Map();
    for (const each of processes) {
      const parent = byId.get(each.parent);
      if (parent && String(each.how).startsWith("exec") && parent.pid === each.pid) successor.set(parent.id, each);
    }
    const continued = new Set([...successor.values()].map((each) => each.id));
    const trackOf = new Map();
    const all = [];
    for (const first of processes) {
      if (continued.has(first.id)) continue;
      const images = [first];
      while (successor.has(images.at(-1).id) && images.length < 10000) images.push(successor.get(images.at(-1).id));
      const last = images.at(-1);
      const track = { id: first.id, images, last, children: [], parent: null, depth: 0, kind: parts.kindOf(last) };
      for (const each of images) trackOf.set(each.id, track);
      all.push(track);
    }
    for (const track of all) {
      const parent = trackOf.get(track.images[0].parent);
      if (parent && parent !== track) {
        track.parent = parent;
        parent.children.push(track);
      }
    }
    for (const track of all) {
      const [first] = track.images;
      track.start = first.started ?? first.ended ?? track.parent?.images[0].started ?? now;
      track.end = track.last.ended ?? (track.kind === "running" || !track.last.end || track.last.end.how === "running" ? now : null);
    }
    // The end of a process whose end is not known: the last thing known of it.
    for (const track of all) {
      if (track.end === null) track.end = Math.max(track.start, ...track.images.map((each) => each.started ?? 0), ...track.children.map((each) => each.start));
      track.isEndKnown = track.last.ended !== null && track.last.ended !== undefined;
    }
    const ordered = [];
    const byStart = (one, other) => one.start - other.start || (one.id < other.id ? -1 : 1);
    const waiting = all.filter((each) => !each.parent).sort(byStart).reverse();
    const seen = new Set();
    while (waiting.length) {
      const track = waiting.pop();
      if (seen.has(track)) continue;
      seen.add(track);
      track.depth = track.parent ? track.parent.depth + 1 : 0;
      ordered.push(track);
      waiting.push(...track.children.sort(byStart).reverse());
    }
    return { ordered, trackOf };
  }

  return { tracks };
})();
