"""How to install a package into an interpreter's environment: the second half of a message.

For covsup itself, the hint names what was installed here (PEP 610), because a package index may not
have it. An environment that pip cannot or must not change gets other advice.
"""

from __future__ import annotations

import sys
from pathlib import Path

from covsup import __version__
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.messages import shell_quoted

if TYPE_CHECKING:
    from typing import Any, Final

COVSUP: Final = "covsup"
_MANAGERS: Final = {
    "pipx": "pipx inject {name} {what}",
    "uv": "uv tool install --with {what} {name}",
}


class Environment(NamedTuple):
    """What decides how packages are installed into an interpreter's environment."""

    version: tuple[int, int]
    prefix: str = ""
    has_pip: bool = True
    externally_managed: bool = False  # PEP 668
    writable: bool = True
    manager: str = ""  # "pipx" or "uv", if one of them made it for one program


def how_to_install(package: str, interpreter: str, environment: Environment) -> str:
    """What to do to install a package there."""
    what = package
    if package == COVSUP:
        what = covsup_requirement(environment.version)
        if not what:
            return f"install covsup {__version__} there, as it was installed in {sys.prefix}"
    what = shell_quoted(what)
    if environment.manager:
        command = _MANAGERS[environment.manager]
        return f"install it with: {command.format(name=Path(environment.prefix).name, what=what)}"
    if environment.externally_managed:
        return (
            f"its packages are the system's and pip refuses to change them (PEP 668): install {what}"
            f" in a virtual environment ({interpreter} -m venv), and run the program there"
        )
    if not environment.writable:
        return f"{environment.prefix} is not writable: install {what} when that environment is made"
    if environment.has_pip:
        return f"install it with: {interpreter} -m pip install {what}"
    return f"install it with: {_without_pip(interpreter)} {what}"


def _without_pip(interpreter: str) -> str:
    from importlib.util import find_spec
    from shutil import which

    if which("uv"):
        return f"uv pip install --python {interpreter}"
    if find_spec("pip") is not None:
        return f"{sys.executable} -m pip --python {interpreter} install"
    return f"{interpreter} -m ensurepip && {interpreter} -m pip install"


def covsup_requirement(version: tuple[int, int]) -> str:
    """What `pip install` takes to install this covsup for a Python of `version`, or "" if unknown."""
    import json
    from importlib.metadata import PackageNotFoundError, distribution

    checkout = Path(__file__).resolve().parents[4]
    if (checkout / "pyproject.toml").is_file() and (checkout / "setup.py").is_file():
        return str(checkout)
    try:
        return requirement_from(
            json.loads(distribution(COVSUP).read_text("direct_url.json") or "{}"), version
        )
    except (PackageNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        # It was copied there, or installed by a tool that writes the file in another way.
        return ""


def requirement_from(direct_url: dict[str, Any], version: tuple[int, int]) -> str:
    """A requirement from the contents of a direct_url.json; "" if it does not fit `version`."""
    url = str(direct_url.get("url", ""))
    if "vcs_info" in direct_url:
        vcs = direct_url["vcs_info"]
        return f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    is_wheel = url.endswith(".whl")
    if is_wheel and f"-cp{version[0]}{version[1]}-" not in url:
        return ""
    if not url.startswith("file:"):
        return url
    from urllib.parse import unquote, urlsplit

    path = Path(unquote(urlsplit(url).path))
    return str(path) if path.exists() else ""
