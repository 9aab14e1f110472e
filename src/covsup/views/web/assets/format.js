// Numbers, times and paths as text.
"use strict";

covsup.format = (() => {
  const grouped = new Intl.NumberFormat("en-US");
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

  function count(value) {
    return value === null || value === undefined ? "–" : grouped.format(value);
  }

  // "1 file", "2 files"
  function counted(value, one, several = `${one}s`) {
    return `${count(value)} ${value === 1 ? one : several}`;
  }

  // As coverage.py does it: 0 and 100 are shown only where they are exact.
  function percent(value) {
    if (value === null || value === undefined) return "–";
    if (value > 0 && value < 0.1) return "0.1%";
    if (value > 99.9 && value < 100) return "99.9%";
    return `${value === 100 || value === 0 ? value : value.toFixed(1)}%`;
  }

  function duration(ms) {
    if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
    if (ms < 60000) return `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
    const minutes = Math.floor(ms / 60000);
    if (minutes < 60) return `${minutes} min ${String(Math.floor(ms / 1000) % 60).padStart(2, "0")} s`;
    const hours = Math.floor(minutes / 60);
    if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
    return `${Math.floor(hours / 24)} days ${hours % 24} h`;
  }

  function ago(ms, now = Date.now()) {
    const past = now - ms;
    return past < 1500 ? "just now" : `${duration(past < 10000 ? Math.round(past / 1000) * 1000 : past).replace(/\.\d+ s/, " s")} ago`;
  }

  function time(ms) {
    return clock.format(ms);
  }

  function moment(ms) {
    return `${day.format(ms)}, ${clock.format(ms)}`;
  }

  // The directory (with its slash) and the name of a path.
  function splitPath(path) {
    const cut = path.lastIndexOf("/") + 1;
    return [path.slice(0, cut), path.slice(cut)];
  }

  // A command line without the interpreter and the directories of paths: what tells processes apart.
  function shortCommand(process) {
    const given = process.argv && process.argv.length ? process.argv : (process.command || "").split(" ");
    const words = given.filter(Boolean).map((word) => (/^-|=/.test(word) ? word : word.slice(word.lastIndexOf("/", word.length - 2) + 1)));
    if (words.length > 1 && /^python[\d.]*$/.test(words[0])) words.shift();
    if (words.length > 1 && words[0] === "-m") words.shift();
    return words.join(" ") || "process";
  }

  // The whole command line. Paths below the directory of the process are relative to it.
  function fullCommand(process) {
    const argv = process.argv || [];
    if (!argv.length) return process.command;
    const words = argv.map((word, at) => (at ? word : word.slice(word.lastIndexOf("/") + 1)));
    const below = process.cwd ? `${process.cwd.replace(/\/$/, "")}/` : null;
    return words.map((word) => (below && word.startsWith(below) ? word.slice(below.length) : word)).join(" ");
  }

  // A file's statements and branches that ran, of 100. Null if it is not analysed yet.
  function filePercent(file) {
    if (file.statements === null || file.statements === undefined) return null;
    const all = file.statements + (file.branches || 0);
    return all ? (100 * (file.executed + (file.taken || 0))) / all : 100;
  }

  return { count, counted, percent, duration, ago, time, moment, splitPath, shortCommand, fullCommand, filePercent };
})();
