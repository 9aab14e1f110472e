// Addresses: "#/view/argument?name=value". Everything that a reader may want to send has one.
"use strict";

covsup.router = (() => {
  function parse(hash) {
    const [path, query] = hash.replace(/^#\/?/, "").split("?", 2);
    const cut = path.indexOf("/");
    const view = cut < 0 ? path : path.slice(0, cut);
    let argument = cut < 0 ? "" : path.slice(cut + 1);
    try {
      argument = decodeURIComponent(argument);
    } catch {
      // A stray percent sign: take it as it is.
    }
    return { view: view || "overview", argument, query: new URLSearchParams(query || "") };
  }

  function address(view, argument = "", query = {}) {
    const path = argument === "" ? "" : `/${encodeURIComponent(argument).replace(/%2F/g, "/").replace(/%3A/g, ":")}`;
    const used = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
    return `#/${view}${path}${used.length ? `?${new URLSearchParams(used)}` : ""}`;
  }

  function sourceAddress(file, line, query) {
    return address("source", line ? `${file.path}:${line}` : file.path, query);
  }

  // Change the address without a new entry in the history, as for a filter or the current line.
  function replace(hash) {
    if (location.hash !== hash) history.replaceState(history.state, "", hash);
  }

  return { parse, address, sourceAddress, replace, go: (hash) => { location.hash = hash; } };
})();
