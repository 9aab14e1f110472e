"""A real browser, and what a test asks it. Conditions are waited for, never a time."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from typing import TYPE_CHECKING, Any

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from urllib3.exceptions import HTTPError  # selenium's own HTTP library

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

CHROMIUM: Final = shutil.which("chromium")
CHROMEDRIVER: Final = shutil.which("chromedriver")
WHY_SKIPPED: Final = "needs a Chromium with its driver: apt-get install chromium chromium-driver"

PATIENCE: Final = 30.0  # seconds; only a broken page needs them all

_TEXT: Final = "document.querySelector(arguments[0])?.innerText.replace(/\\s+/g, ' ')"

VIEWS: Final = ("overview", "treemap", "files", "timeline", "contexts", "marks", "unused")


class Browser:
    """One headless Chromium. Each `open` begins with a page without anything of the one before."""

    def __init__(self) -> None:
        """Start it."""
        options = Options()
        for option in (
            "--headless=new",
            "--no-sandbox",  # the tests may run as root, for whom there is no sandbox
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            "--disable-background-networking",
        ):
            options.add_argument(option)
        assert CHROMIUM is not None
        options.binary_location = CHROMIUM
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # Chromium leaves files in the directory for temporary ones.
        self._place = tempfile.TemporaryDirectory(
            prefix="covsup-browser-", ignore_cleanup_errors=True
        )
        service = Service(CHROMEDRIVER, env={**os.environ, "TMPDIR": self._place.name})
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.command_executor.client_config.timeout = PATIENCE

    def close(self) -> None:
        self.driver.quit()
        self._place.cleanup()

    def kill(self) -> None:
        """End a browser that does not answer any more."""
        self.driver.service.stop()
        self._place.cleanup()

    def answers(self) -> bool:
        """Whether it still answers commands."""
        try:
            return bool(self.value("1 + 1") == 2)
        except (WebDriverException, HTTPError):
            return False

    def open(
        self,
        url: str,
        view: str = "overview",
        *,
        size: tuple[int, int] = (1280, 860),
        theme: str = "",
    ) -> None:
        """Load a page and wait until it shows a view."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=size[0],
            height=size[1],
            deviceScaleFactor=1,
            mobile=False,
        )
        # Without this, a page that is not in the foreground gets no events about the focus.
        self.command("Emulation.setFocusEmulationEnabled", enabled=True)
        features = [{"name": "prefers-color-scheme", "value": theme or "light"}]
        self.command("Emulation.setEmulatedMedia", features=features)
        self.driver.get("about:blank")  # only the part behind # may differ: that would load nothing
        self.driver.get_log("browser")
        self.driver.get(f"{url}#/{view}")
        self.until("document.documentElement.dataset.ready === 'yes'")

    def go(self, view: str) -> None:
        """Go to another view of the page, as a link does."""
        self.run("location.hash = arguments[0]", f"#/{view}")
        self.until("document.querySelector('main').classList.contains(arguments[0])", _class(view))

    def command(self, name: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def value(self, expression: str, *arguments: object) -> Any:
        return self.run(f"return {expression}", *arguments)

    def until(self, expression: str, *arguments: object) -> Any:
        """Wait until an expression is true, and give its value. It may ask for elements that come later."""
        deadline = time.monotonic() + PATIENCE
        script = f"try {{ return {expression} }} catch (error) {{ return false }}"
        while not (found := self.run(script, *arguments)):
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"waited in vain until {expression} {arguments}; the page has:\n"
                    f"{self.text()[:2000]}\n{self.problems()}"
                )
            time.sleep(0.02)
        return found

    def text(self, selector: str = "body") -> str:
        """The text of an element as it is seen, with single spaces."""
        found: str = self.value(f"{_TEXT} ?? ''", selector)
        return found

    def until_text(self, selector: str, text: str) -> None:
        """Wait until an element contains a text."""
        self.until(f"{_TEXT}?.includes(arguments[1])", selector, text)

    def press(self, *keys: str) -> None:
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def problems(self) -> list[str]:
        """Messages in the console: errors, warnings, violations of the policy."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] in {"SEVERE", "WARNING"} and "favicon" not in entry["message"]
        ]


def _class(view: str) -> str:
    return f"view-{view.partition('/')[0].partition('?')[0]}"


def file_url(path: Path) -> str:
    return path.resolve().as_uri()
