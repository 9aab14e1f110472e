// Elements, made without markup: a name or a source text is only ever the text of a node.
"use strict";

covsup.dom = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  function fill(element, properties, children) {
    for (const [name, value] of Object.entries(properties || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "on") {
        for (const [event, call] of Object.entries(value)) element.addEventListener(event, call);
      } else if (name === "class") {
        element.setAttribute("class", value);
      } else if (name === "style") {
        // Through the object model: a style attribute is forbidden by the page's policy.
        for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
      } else {
        element.setAttribute(name, value === true ? "" : String(value));
      }
    }
    element.append(...children.flat().filter((each) => each !== null && each !== undefined && each !== false));
    return element;
  }

  // An element with attributes, listeners (`on`) and children. Strings become text nodes.
  function h(tag, properties, ...children) {
    return fill(document.createElement(tag), properties, children);
  }

  function svg(tag, properties, ...children) {
    return fill(document.createElementNS(SVG, tag), properties, children);
  }

  // Text that only a screen reader presents.
  function hidden(text) {
    return h("span", { class: "visually-hidden" }, text);
  }

  // Say something to a screen reader. Few things deserve it.
  function announce(text) {
    document.getElementById("announcement").textContent = text;
  }

  // The colours of the page by the names of their CSS variables, for canvases.
  function colours(names) {
    const probe = h("span", { class: "visually-hidden" });
    document.body.append(probe);
    const found = {};
    for (const name of names) {
      probe.style.setProperty("color", `var(--${name})`);
      found[name] = getComputedStyle(probe).color;
    }
    probe.remove();
    return found;
  }

  // A function that runs `call` at most once per frame.
  function perFrame(call) {
    let asked = false;
    return () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        call();
      });
    };
  }

  return { h, svg, hidden, announce, colours, perFrame };
})();
