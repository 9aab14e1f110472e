"""Take the pictures of the page: a web shop under gunicorn, measured while it answers requests.

Needs a Chromium with its driver. Writes docs/pictures/page-*.png. Look at each of them afterwards.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from shop_run import BROWSING, BUYING, CRASH, ShopRun

from tests.views.web.browser import CHROMEDRIVER, CHROMIUM, WHY_SKIPPED, Browser

if TYPE_CHECKING:
    from typing import Final

HERE: Final = Path(__file__).resolve().parent
WIDE: Final = (1200, 750)
NARROW: Final = (390, 760)
LARGEST: Final = 150_000
"""Bytes of a picture."""


def main() -> int:
    if CHROMIUM is None or CHROMEDRIVER is None:
        print(f"make pictures {WHY_SKIPPED}", file=sys.stderr)
        return 1
    browser = Browser()
    try:
        with tempfile.TemporaryDirectory() as directory, ShopRun(Path(directory)) as run:
            server = run.serve()
            try:
                assert server.stdout is not None
                take(browser, run, server.stdout.readline().strip())
            finally:
                server.terminate()
                server.communicate()
    finally:
        browser.close()
    return 0


def take(browser: Browser, run: ShopRun, url: str) -> None:
    """Take all five, in the order in which things happen."""
    run.ask(*BROWSING, pause=0.2)
    run.mark("before checkout")

    # Lines that turn green: the animation is stopped at its beginning.
    browser.open(url, "source/shop/checkout/payment.py:27", size=WIDE)
    browser.until("document.querySelector('#L13')?.dataset.state === 'missing'")
    browser.run(
        "addEventListener('animationstart', () => document.getAnimations().map((each) => each.pause()))"
    )
    run.ask(*BUYING, pause=0.2)
    browser.until("document.querySelector('#L29').dataset.state === 'run'")
    browser.until("document.querySelector('#L27').dataset.state === 'partial'")
    browser.until_text(".line-panel", "First run by")
    picture(browser, "source")

    run.ask(CRASH)
    run.ask(*BROWSING[:3], "/search?q=kettel&suggest=1", pause=0.2)
    browser.open(url, "overview", size=WIDE)
    browser.until_text(".attention", "killed by SIGKILL")
    browser.until("!document.querySelector('.card-coverage').innerText.includes('so far')")
    picture(browser, "light")

    browser.open(url, "treemap", size=WIDE, theme="dark")
    browser.until("document.querySelectorAll('.tile').length > 5")
    picture(browser, "dark")

    browser.open(url, "timeline", size=WIDE)
    browser.until_text(".kind-switches", "1 killed")
    browser.run("document.querySelector('.timeline-scroller').focus()")
    killed = browser.value(
        "covsup.store.state.processes.find((each) => each.end.signal === 'SIGKILL').id"
    )
    browser.go(f"timeline/{killed}")
    browser.until_text(".details", "Chain of starts")
    picture(browser, "timeline")

    browser.open(url, "overview", size=NARROW, theme="dark")
    browser.until_text(".attention", "killed by SIGKILL")
    picture(browser, "narrow")


def picture(browser: Browser, name: str) -> None:
    browser.run("document.activeElement?.blur()")
    browser.until(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
    )
    found = browser.command("Page.captureScreenshot", format="png", optimizeForSpeed=False)
    image = base64.b64decode(found["data"])
    path = HERE / f"page-{name}.png"
    path.write_bytes(image)
    print(f"{path.name}: {len(image) // 1000} KB")
    if len(image) > LARGEST:
        raise SystemExit(f"{path} is larger than {LARGEST} bytes")


if __name__ == "__main__":
    sys.exit(main())
