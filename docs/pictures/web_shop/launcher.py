"""Prepare the shop, then replace this process by gunicorn, as many start scripts do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    os.chdir(HERE)  # the names in the command lines are relative
    # This Python skips `site`, so covsup cannot measure it, and says so.
    subprocess.run([sys.executable, "-S", "check_database.py"], check=True)
    subprocess.run([sys.executable, "warm_cache.py"], check=True)
    gunicorn = [
        "-m",
        "gunicorn",
        "--config",
        "gunicorn.conf.py",
        "shop.site:application",
    ]
    os.execv(sys.executable, [sys.executable, *gunicorn])


if __name__ == "__main__":
    main()
