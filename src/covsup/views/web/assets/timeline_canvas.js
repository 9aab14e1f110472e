// Draws tracks of processes. Only the rows in sight are drawn, so thousands of them cost no more than thirty.
"use strict";

covsup.timelineCanvas = (() => {
  const { colours } = covsup.dom;
  const { format } = covsup;
  const ROW = 26;
  const BAR = 14;
  const AXIS = 30;
  const NAMES = ["text", "text-quiet", "line", "line-strong", "surface", "surface-raised", "bar-exited", "bar-exited-step", "bar-running", "bar-running-step", "bar-failed", "bar-killed", "bar-unknown", "bar-unmeasured", "accent", "miss", "unmeasured", "part"];
  const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 15000, 30000, 60000, 120000, 300000, 600000, 1800000, 3600000, 7200000, 21600000, 43200000, 86400000, 604800000];

  function hatch(context, colour, background) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const pen = tile.getContext("2d");
    pen.fillStyle = background;
    pen.fillRect(0, 0, 8, 8);
    pen.strokeStyle = colour;
    pen.lineWidth = 2;
    for (const at of [-8, 0, 8]) {
      pen.beginPath();
      pen.moveTo(at - 1, 9);
      pen.lineTo(at + 9, -1);
      pen.stroke();
    }
    return context.createPattern(tile, "repeat");
  }

  function clip(context, text, width) {
    if (width < 8) return "";
    if (context.measureText(text).width <= width) return text;
    let low = 0;
    let high = text.length;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (context.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
      else high = middle - 1;
    }
    return low ? `${text.slice(0, low)}…` : "";
  }

  function make(canvas) {
    const context = canvas.getContext("2d");
    let palette = null;
    let hatched = null;

    function readColours() {
      palette = colours(NAMES);
      hatched = hatch(context, palette["bar-unmeasured"], palette["surface"]);
    }

    // scene: { tracks, from, to, top (scrolled pixels), names (width), selected, hovered, origin, isLive }
    function draw(scene) {
      if (!palette) readColours();
      const ratio = devicePixelRatio || 1;
      const { clientWidth: width, clientHeight: height } = canvas;
      if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
      }
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      context.font = `12px ${getComputedStyle(canvas).fontFamily}`;
      context.textBaseline = "middle";
      const room = width - scene.names;
      const scale = room / Math.max(1, scene.to - scene.from);
      const x = (at) => scene.names + (at - scene.from) * scale;
      const first = Math.max(0, Math.floor(scene.top / ROW));
      const last = Math.min(scene.tracks.length, Math.ceil((scene.top + height - AXIS) / ROW) + 1);
      const y = (index) => AXIS + index * ROW - scene.top;

      for (let index = first; index < last; index++) {
        const track = scene.tracks[index];
        if (track === scene.selected || track === scene.hovered) {
          context.fillStyle = palette["surface-raised"];
          context.fillRect(0, y(index), width, ROW);
        }
      }
      drawGrid(scene, x, width, height);
      context.save();
      context.beginPath();
      context.rect(scene.names, AXIS, room, height - AXIS);
      context.clip();
      for (let index = first; index < last; index++) drawStart(scene, scene.tracks[index], index, x, y);
      for (let index = first; index < last; index++) drawTrack(scene, scene.tracks[index], y(index) + (ROW - BAR) / 2, x, width);
      context.restore();
      drawNames(scene, first, last, y, height);
      drawAxis(scene, x, width);
    }

    function ticks(scene, room) {
      const least = ((scene.to - scene.from) * 84) / Math.max(1, room);
      const step = STEPS.find((each) => each >= least) || STEPS.at(-1);
      const found = [];
      for (let at = Math.ceil((scene.from - scene.origin) / step) * step; scene.origin + at <= scene.to; at += step) found.push(at);
      return [found, step];
    }

    function drawGrid(scene, x, width, height) {
      const [found] = ticks(scene, width - scene.names);
      context.fillStyle = palette.line;
      for (const at of found) context.fillRect(Math.round(x(scene.origin + at)), AXIS, 1, height - AXIS);
    }

    function drawAxis(scene, x, width) {
      context.fillStyle = palette.surface;
      context.fillRect(0, 0, width, AXIS);
      context.fillStyle = palette["line-strong"];
      context.fillRect(0, AXIS - 1, width, 1);
      context.fillStyle = palette["text-quiet"];
      const [found, step] = ticks(scene, width - scene.names);
      for (const at of found) {
        const place = x(scene.origin + at);
        if (place < scene.names - 1) continue;
        const text = step < 1000 ? `${at} ms` : step < 60000 ? `${at / 1000} s` : format.duration(at).replace(" 00 s", "").replace(" 00 min", "");
        context.fillRect(Math.round(place), AXIS - 6, 1, 5);
        context.fillText(text, place + 4, AXIS / 2);
      }
      context.fillText(format.time(scene.origin), 10, AXIS / 2);
    }

    // A thin line from the parent's bar to the start of a child.
    function drawStart(scene, track, index, x, y) {
      if (!track.parent || track.parent.index === undefined) return;
      const place = Math.round(x(track.start)) + 0.5;
      context.strokeStyle = palette["line-strong"];
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(place, Math.max(-ROW, y(track.parent.index) + (ROW + BAR) / 2));
      context.lineTo(place, y(index) + ROW / 2);
      context.stroke();
    }

    function drawTrack(scene, track, top, x, width) {
      const left = x(track.start);
      const right = Math.max(left + 3, x(track.end));
      if (right < scene.names - 200 || left > width) return;
      track.images.forEach((image, at) => {
        const from = at ? x(image.started) : left;
        const next = track.images[at + 1];
        const to = next ? Math.max(from + 1, x(next.started)) : Math.max(from + 3, right);
        drawImage(track, image, at, from, to, top);
      });
      drawEnd(scene, track, right, top, width);
    }

    function drawImage(track, image, at, from, to, top) {
      const isLast = image === track.last;
      context.beginPath();
      context.roundRect(from, top, to - from, BAR, [at ? 0 : 4, isLast ? 4 : 0, isLast ? 4 : 0, at ? 0 : 4]);
      if (!image.measured) {
        context.fillStyle = hatched;
        context.fill();
        context.strokeStyle = palette["bar-unmeasured"];
        context.lineWidth = 1.5;
        context.stroke();
        return;
      }
      context.fillStyle = palette[at % 2 ? "bar-exited-step" : "bar-exited"];
      if (track.kind === "running") context.fillStyle = palette[at % 2 ? "bar-running-step" : "bar-running"];
      if (track.kind === "unknown") context.fillStyle = palette["bar-unknown"];
      context.fill();
      if (at) {
        context.fillStyle = palette.surface;
        context.fillRect(from - 1, top - 3, 2, BAR + 6);
      }
      if (to - from > 60 && (at || track.images.length > 1)) {
        context.fillStyle = palette.surface;
        context.font = `11px ${getComputedStyle(canvas).fontFamily}`;
        const shown = Math.max(from, 0);
        context.fillText(clip(context, at ? `${image.how}: ${format.shortCommand(image)}` : format.shortCommand(image), to - shown - 12), shown + 6, top + BAR / 2 + 0.5);
        context.font = `12px ${getComputedStyle(canvas).fontFamily}`;
      }
    }

    function drawEnd(scene, track, right, top, width) {
      const end = track.last.end || {};
      let words = "";
      if (track.kind === "killed") {
        context.fillStyle = palette["bar-killed"];
        context.fillRect(right - 3, top - 4, 5, BAR + 8);
        context.strokeStyle = palette["bar-killed"];
        context.lineWidth = 2.5;
        context.beginPath();
        for (const side of [-1, 1]) {
          context.moveTo(right + 8, top + BAR / 2 - side * 4.5);
          context.lineTo(right + 17, top + BAR / 2 + side * 4.5);
        }
        context.stroke();
        words = end.words || "killed";
        context.fillStyle = palette.miss;
        context.font = `600 12px ${getComputedStyle(canvas).fontFamily}`;
        const hasRoom = right + 22 + context.measureText(words).width < width - 6;
        drawWords(hasRoom ? words : end.signal || words, right + 22, top, width);
        context.font = `12px ${getComputedStyle(canvas).fontFamily}`;
      } else if (track.kind === "failed" || track.kind === "stopped") {
        context.fillStyle = palette["bar-failed"];
        context.fillRect(right - 3, top - 2, 5, BAR + 4);
        context.fillStyle = palette.part;
        drawWords(end.words || "", right + 8, top, width);
      } else if (track.kind === "unmeasured") {
        context.fillStyle = palette.unmeasured;
        drawWords("not measured", right + 8, top, width);
      } else if (track.kind === "running") {
        context.fillStyle = palette[track.images.length % 2 ? "bar-running" : "bar-running-step"];
        context.beginPath();
        context.moveTo(right - 2, top - 2);
        context.lineTo(right + 7, top + BAR / 2);
        context.lineTo(right - 2, top + BAR + 2);
        context.fill();
      } else if (track.kind === "unknown") {
        context.fillStyle = palette["text-quiet"];
        drawWords("? end unknown", right + 8, top, width);
      }
    }

    // Beside the end of a bar; before it where there is no room.
    function drawWords(words, left, top, width) {
      const size = context.measureText(words).width;
      if (left + size < width - 6) {
        context.fillText(words, left, top + BAR / 2 + 0.5);
        return;
      }
      const before = width - size - 12;
      const colour = context.fillStyle;
      context.fillStyle = palette.surface;
      context.beginPath();
      context.roundRect(before - 5, top - 2, size + 10, BAR + 4, 4);
      context.fill();
      context.fillStyle = colour;
      context.fillText(words, before, top + BAR / 2 + 0.5);
    }

    function drawNames(scene, first, last, y, height) {
      context.fillStyle = palette.surface;
      context.fillRect(0, AXIS, scene.names, height - AXIS);
      for (let index = first; index < last; index++) {
        const track = scene.tracks[index];
        const top = y(index);
        if (track === scene.selected || track === scene.hovered) {
          context.fillStyle = palette["surface-raised"];
          context.fillRect(0, top, scene.names, ROW);
        }
        if (track === scene.selected) {
          context.fillStyle = palette.accent;
          context.fillRect(0, top, 3, ROW);
        }
        const indent = 10 + Math.min(track.depth, 8) * (scene.names > 160 ? 14 : 7);
        if (track.depth) {
          context.fillStyle = palette["line-strong"];
          context.fillRect(indent - 9, top + ROW / 2, 6, 1);
          context.fillRect(indent - 9, top + 2, 1, ROW / 2 - 2);
        }
        const pid = String(track.last.pid);
        const pidWidth = scene.names > 160 ? context.measureText(pid).width + 12 : 0;
        context.fillStyle = { killed: palette.miss, unmeasured: palette.unmeasured }[track.kind] || palette.text;
        context.fillText(clip(context, format.shortCommand(track.last), scene.names - indent - pidWidth - 6), indent, top + ROW / 2);
        if (pidWidth) {
          context.fillStyle = palette["text-quiet"];
          context.fillText(pid, scene.names - pidWidth + 2, top + ROW / 2);
        }
      }
      context.fillStyle = palette["line-strong"];
      context.fillRect(scene.names - 1, 0, 1, height);
    }

    return { draw, readColours };
  }

  return { make, ROW, AXIS };
})();
