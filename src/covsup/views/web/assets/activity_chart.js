// New lines over time, as bars.
"use strict";

covsup.activityChart = (() => {
  const { h, svg } = covsup.dom;
  const { format } = covsup;
  const BARS = 96;
  const HEIGHT = 96;

  function bins(activity, from, to) {
    const counts = new Array(BARS).fill(0);
    const width = Math.max(1, to - from) / BARS;
    for (const [at, lines] of activity) {
      counts[Math.min(BARS - 1, Math.max(0, Math.floor((at - from) / width)))] += lines;
    }
    return counts;
  }

  function make() {
    const picture = svg("svg", { class: "activity", viewBox: `0 0 ${BARS * 10} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    const from = h("span");
    const peak = h("span");
    const to = h("span");
    const element = h("figure", { class: "activity-frame" }, picture, h("figcaption", null, from, peak, to));
    const bars = [];
    for (let at = 0; at < BARS; at++) {
      const title = svg("title");
      const rect = svg("rect", { x: at * 10 + 1, width: 8, rx: 1 }, title);
      bars.push([rect, title]);
      picture.append(rect);
    }

    function update(state) {
      const { activity } = state;
      const first = Math.min(...state.processes.map((each) => each.started ?? Infinity), activity.length ? activity[0][0] : Infinity);
      const start = Number.isFinite(first) ? first : state.at;
      const ends = state.processes.map((each) => each.ended ?? 0);
      const end = covsup.store.isRunning() ? Math.max(state.at, start + 1) : Math.max(start + 1, ...ends, activity.length ? activity.at(-1)[0] : 0);
      const counts = bins(activity, start, end);
      const most = Math.max(1, ...counts);
      const width = (end - start) / BARS;
      counts.forEach((lines, at) => {
        // A square root shows few lines beside the thousands of a start.
        const high = lines ? Math.max(3, Math.sqrt(lines / most) * (HEIGHT - 4)) : 1;
        const [rect, title] = bars[at];
        rect.setAttribute("y", HEIGHT - high);
        rect.setAttribute("height", high);
        rect.setAttribute("class", lines ? "activity-bar" : "activity-none");
        title.textContent = `${format.time(start + at * width)}: ${format.counted(lines, "new line")}`;
      });
      from.textContent = format.time(start);
      peak.textContent = `up to ${format.counted(most, "new line")} in ${format.duration(width)}`;
      to.textContent = covsup.store.isRunning() ? "now" : format.time(end);
      const total = counts.reduce((sum, each) => sum + each, 0);
      picture.setAttribute("aria-label", `Lines that ran for the first time, from ${format.time(start)} to ${format.time(end)}: ${format.count(total)} in all, at most ${format.count(most)} in ${format.duration(width)}.`);
    }

    return { element, update };
  }

  return { make };
})();
