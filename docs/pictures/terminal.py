"""Make the pictures of `covsup top`: `python docs/pictures/terminal.py [DIRECTORY]`.

Runs the shop beside this file under `covsup run`, makes requests, and lets textual draw what `covsup
top` shows of it.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

HERE: Final = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from shop_run import BROWSING, BUYING, CRASH, ShopRun  # noqa: E402 - its folder is on the path now

from covsup.supervisor.sessions.top import describing  # noqa: E402
from covsup.supervisor.sessions.view_places import place_to_view  # noqa: E402
from covsup.views.model.open_view import open_view  # noqa: E402
from covsup.views.sources.source_library import SourceLibrary  # noqa: E402
from covsup.views.terminal.app import TopApp  # noqa: E402
from covsup.views.terminal.palette import FULL  # noqa: E402

if TYPE_CHECKING:
    from textual.pilot import Pilot

SMALL, WIDE = (80, 24), (140, 38)
LATE_LOGIN: Final = "/login?name=ada&password=wrong"
LATE_ORDER: Final = "/checkout?items=2x1&card=4000056655665556"


class Photographer:
    """Draws the application at a size."""

    def __init__(self, directory: Path, to: Path) -> None:
        """Show the session in `directory`; pictures go to `to`."""
        self._directory = directory
        self._to = to

    async def take(self, shop: ShopRun) -> None:
        """Take all pictures."""
        place = place_to_view(None, self._directory / ".coverage")
        with SourceLibrary(False) as library:
            app = TopApp(open_view(place), library, describing(), FULL)
            async with app.run_test(size=SMALL) as pilot:
                await asyncio.sleep(1.5)
                await pilot.press("2", "s", "1")
                await asyncio.to_thread(shop.ask, *BROWSING, pause=1.5)
                await asyncio.to_thread(shop.ask, CRASH, pause=2)
                await asyncio.to_thread(shop.ask, *BUYING, pause=1.5)
                await pilot.press("down")
                await asyncio.sleep(0.5)
                self._save(app, "top-processes")
                await pilot.resize_terminal(*WIDE)
                await self._open(pilot, "accounts/views.py")
                await pilot.press(*["down"] * 20)
                await asyncio.to_thread(shop.ask, LATE_LOGIN)
                await asyncio.sleep(1.2)
                self._save(app, "top-wide")
                await pilot.resize_terminal(*SMALL)
                await self._open(pilot, "payment.py")
                await pilot.press("pagedown", *["down"] * 10)
                await asyncio.to_thread(shop.ask, LATE_ORDER)
                await asyncio.sleep(1.2)
                self._save(app, "top-source")

    async def _open(self, pilot: Pilot[None], name: str) -> None:
        """Open the source of a file, which a search finds in the list of files."""
        await pilot.press("2", "g", "slash", *name, "enter", "escape", "enter")
        await asyncio.sleep(1)

    def _save(self, app: TopApp, name: str) -> None:
        drawn = app.export_screenshot(title="covsup top")
        # Without the fonts of another site: any monospaced font will do.
        drawn = re.sub(r"@font-face\s*{.*?}\s*", "", drawn, flags=re.DOTALL)
        (self._to / f"{name}.svg").write_text(drawn, encoding="utf-8")


def main() -> None:
    """Make the pictures, in the directory that is named or beside this file."""
    to = Path(sys.argv[1]) if sys.argv[1:] else HERE
    with tempfile.TemporaryDirectory() as name, ShopRun(Path(name)) as shop:
        asyncio.run(Photographer(Path(name), to).take(shop))


if __name__ == "__main__":
    main()
