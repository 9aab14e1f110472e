"""Text that puts a session into an environment, in the language of each shell or tool.

It sets one variable, or two if the carrier is used.
"""

from __future__ import annotations

import itertools
import json
import os
import shlex

from covsup.carrier.preload_library import PACKAGE, PRELOAD, with_carrier, without_carrier
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Final

    Variables = Mapping[str, str]

_NAME: Final = "COVSUP_SESSION"
_PARENT: Final = "COVSUP_PARENT"
"""Identifies the parent of a new process. It is stale if a shell of one session opens another."""


def set_variables(form: str, session: Path, carrier: Path | None = None) -> str:
    """Text that puts a session into an environment. Raises UsageError if `form` cannot do it."""
    variables = {_NAME: os.fspath(session)}
    if carrier is not None:
        here = os.environ.get(PRELOAD, "") if form in _UNSET else ""
        variables[PRELOAD] = with_carrier(here, carrier)
    text = SHELL_FORMATS[form](variables)
    return f"{text}{_UNSET[form](_PARENT)}" if form in _UNSET and _PARENT in os.environ else text


def unset_variables(form: str, carrier: Path | None = None) -> str:
    """Text that takes a session out of an environment, and the carrier if it is there."""
    here = os.environ.get(PRELOAD, "")
    names = [_NAME]
    left = "" if carrier is None else without_carrier(here, carrier)
    if left != here:
        names.append(PRELOAD)
    unset = _UNSET.get(form)
    if unset is not None:
        text = "".join(map(unset, names))
        return (
            f"{text}{SHELL_FORMATS[form]({PRELOAD: left})}" if PRELOAD in names and left else text
        )
    # These forms can set a variable but not remove it. An empty one switches measurement off.
    return {
        "json": json.dumps(dict.fromkeys(names)) + "\n",
        "docker": " ".join(f"--env {name}=" for name in names) + "\n",
        "path": "",
    }.get(form, "".join(f"{name}=\n" for name in names))


def _sh(name: str, text: str) -> str:
    return f"export {name}={shlex.quote(text)}\n"


def _fish(name: str, text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{quoted}'\n"


def _csh(name: str, text: str) -> str:
    # csh substitutes its history (`!`) inside quotes, too, and needs a backslash before a newline.
    quoted = text.replace("'", "'\\''").replace("!", "\\!").replace("\n", "\\\n")
    return f"setenv {name} '{quoted}';\n"


def _powershell(name: str, text: str) -> str:
    # PowerShell takes each of these characters as a quote. (RUF001: they are meant.)
    quoted = "".join(each * 2 if each in "'‘’‚‛" else each for each in text)  # noqa: RUF001
    return f"$Env:{name} = '{quoted}'\n"


def _json(variables: Variables) -> str:
    return json.dumps(dict(variables)) + "\n"


def _docker(variables: Variables) -> str:
    """Options of `docker run`: the variables, and the directories that they name.

    --mount allows a colon in a path, unlike --volume. A field in quotes may contain commas.
    """
    mounts = [(variables[_NAME], "")]
    if PRELOAD in variables:
        mounts.append((os.fspath(PACKAGE), "readonly"))
    words = [f"--env {shlex.quote(f'{name}={text}')}" for name, text in variables.items()]
    for directory, how in mounts:
        fields = (
            "type=bind",
            f"source={directory}",
            f"target={directory}",
            *([how] if how else ()),
        )
        mount = ",".join('"' + each.replace('"', '""') + '"' if set(each) & set(',"\n') else each
                         for each in fields)  # fmt: skip
        words.append(f"--mount {shlex.quote(mount)}")
    return " ".join(words) + "\n"


def _env_file(name: str, text: str) -> str:
    """A line of an env-file, which knows no quoting."""
    if "\n" in text or "\r" in text:
        raise UsageError(f"an env-file cannot hold a path with a line feed: {text}")
    return f"{name}={text}\n"


def _systemd(name: str, text: str) -> str:
    # Inside double quotes these characters need a backslash, and a line feed does not.
    quoted = text
    for each in '\\"`$':
        quoted = quoted.replace(each, "\\" + each)
    return f'{name}="{quoted}"\n'


def _path(variables: Variables) -> str:
    if PRELOAD in variables:
        raise UsageError(
            "--shell=path prints only the session directory: use another --shell with --carrier"
        )
    return f"{variables[_NAME]}\n"


def _each(set_one: Callable[[str, str], str]) -> Callable[[Variables], str]:
    """A form that sets one variable after the other."""
    return lambda variables: "".join(itertools.starmap(set_one, variables.items()))


SHELL_FORMATS: Final[dict[str, Callable[[Variables], str]]] = {
    **dict.fromkeys(("sh", "bash", "zsh", "dash", "ksh"), _each(_sh)),
    "fish": _each(_fish),
    **dict.fromkeys(("csh", "tcsh"), _each(_csh)),
    **dict.fromkeys(("powershell", "pwsh"), _each(_powershell)),
    "json": _json,
    "docker": _docker,
    "env-file": _each(_env_file),
    "systemd": _each(_systemd),
    "path": _path,
}
_UNSET: Final[dict[str, Callable[[str], str]]] = {
    **dict.fromkeys(("sh", "bash", "zsh", "dash", "ksh"), lambda name: f"unset {name}\n"),
    "fish": lambda name: f"set -e {name}\n",
    **dict.fromkeys(("csh", "tcsh"), lambda name: f"unsetenv {name};\n"),
    **dict.fromkeys(
        ("powershell", "pwsh"),
        lambda name: f"Remove-Item Env:{name} -ErrorAction SilentlyContinue\n",
    ),
}
