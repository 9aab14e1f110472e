"""Questions about a whole page, as scripts: contrast, names, reach of the keyboard, width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selenium.webdriver.common.keys import Keys

if TYPE_CHECKING:
    from typing import Any, Final

    from tests.views.web.browser import Browser

_CONTRAST: Final = """
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function rgba(text) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = text;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
}
function over(front, back) {
  return [0, 1, 2].map((at) => front[at] * front[3] + back[at] * (1 - front[3])).concat(1);
}
function background(element) {
  const layers = [];
  for (let each = element; each; each = each.parentElement) layers.push(rgba(getComputedStyle(each).backgroundColor));
  return layers.reverse().reduce((back, front) => over(front, back), [255, 255, 255, 1]);
}
function luminance(colour) {
  const [r, g, b] = colour.map((each) => each / 255).map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const seen = new Set();
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || seen.has(element) || !element.checkVisibility({ visibilityProperty: true })) continue;
  if (element.closest(".visually-hidden, .skip-link, svg, script, style, noscript")) continue;
  seen.add(element);
  const style = getComputedStyle(element);
  const back = background(element);
  const [one, other] = [luminance(over(rgba(style.color), back)), luminance(back)];
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  const size = parseFloat(style.fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  if (ratio < (isLarge ? 3 : 4.5)) found.push(`${ratio.toFixed(2)} ${element.className}: ${element.textContent.slice(0, 40)}`);
}
return found;
"""

_NAMELESS: Final = """
const found = [];
for (const each of document.querySelectorAll("a, button, input, select, [role=img], canvas, [tabindex='0']")) {
  if (!each.checkVisibility() || each.closest("[aria-hidden=true]")) continue;
  const label = each.id && document.querySelector(`label[for="${each.id}"]`);
  const name = each.getAttribute("aria-label") || (label && label.textContent) || each.textContent;
  if (!name.trim() && each.tagName !== "CANVAS") found.push(each.outerHTML.slice(0, 120));
}
return found;
"""

_REACHABLE: Final = """
return [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")]
  .filter((each) => each.checkVisibility() && each.tabIndex >= 0 && !each.disabled && !each.closest("[hidden]"))
  .map((each) => { each.dataset.wanted = "yes"; return each.outerHTML.slice(0, 160); });
"""


def poor_contrast(browser: Browser) -> list[str]:
    """Texts whose contrast is below WCAG's AA."""
    found: list[str] = browser.run(_CONTRAST)
    return found


def nameless(browser: Browser) -> list[str]:
    """Controls without an accessible name."""
    found: list[str] = browser.run(_NAMELESS)
    return found


def unreached(browser: Browser) -> list[str]:
    """Controls that Tab does not reach from the beginning of the page."""
    wanted: list[Any] = browser.run(_REACHABLE)
    browser.run("document.activeElement?.blur(); getSelection().removeAllRanges(); scrollTo(0, 0)")
    for _ in range(len(wanted) + 5):
        browser.press(Keys.TAB)
        browser.run("delete document.activeElement.dataset.wanted")
    left: list[str] = browser.value(
        "[...document.querySelectorAll('[data-wanted]')].map((each) => each.outerHTML.slice(0, 160))"
    )
    return left


def is_too_wide(browser: Browser) -> str:
    """What makes the page wider than the window; "" if nothing does."""
    found: str = browser.run(
        """
        if (document.documentElement.scrollWidth <= innerWidth) return "";
        const wide = [...document.querySelectorAll("main *")].filter((each) => each.getBoundingClientRect().right > innerWidth + 1);
        return `${document.documentElement.scrollWidth}: ${wide.slice(0, 3).map((each) => each.outerHTML.slice(0, 100)).join("\\n")}`;
        """
    )
    return found
