"""Run every file of statements/ that this Python can, in one process and one thread.

A file may end with an exception: what ran before it counts, and the next one follows.
"""

from __future__ import annotations

import re
import runpy
import sys
import traceback
import warnings
from pathlib import Path

WHERE = Path(__file__).resolve().parent / "statements"


def can_run(path: Path) -> bool:
    """Tell if this Python knows the file's language."""
    found = re.match(r"needs_3_(\d+)", path.name)
    return found is None or sys.version_info[1] >= int(found[1])


def main() -> None:
    """Run them in the order of their names."""
    warnings.simplefilter("ignore")  # break in finally, for one, is warned of since 3.14
    sys.path.insert(0, str(WHERE))
    for path in sorted(WHERE.glob("*.py")):
        if not can_run(path):
            continue
        try:
            runpy.run_path(str(path), run_name="__main__")
        except Exception:  # noqa: BLE001 - it is the file's way to end
            sys.stdout.write(f"{path.name}: {traceback.format_exc(limit=0)}")


if __name__ == "__main__":
    main()
