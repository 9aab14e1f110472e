"""How a session is put into an environment, in the words of whoever will read it.

It is one variable, or two where the carrier goes along.
"""

from __future__ import annotations

import itertools
import json
import os
import shlex

from covsup.carrier.library import PACKAGE, PRELOAD, with_carrier, without_carrier
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Final

    Variables = Mapping[str, str]

_NAME: Final = "COVSUP_SESSION"
_PARENT: Final = "COVSUP_PARENT"
"""Names the process that starts another; stale where a shell of one session opens the next."""


def set_variables(form: str, session: Path, carrier: Path | None = None) -> str:
    """What puts a session into an environment. Raises UsageError where it cannot be said."""
    variables = {_NAME: os.fspath(session)}
    if carrier is not None:
        here = os.environ.get(PRELOAD, "") if form in _UNSET else ""
        variables[PRELOAD] = with_carrier(here, carrier)
    text = SHELL_FORMATS[form](variables)
    return f"{text}{_UNSET[form](_PARENT)}" if form in _UNSET and _PARENT in os.environ else text


def unset_variables(form: str, carrier: Path | None = None) -> str:
    """What takes a session out of an environment again, and the carrier where it has that."""
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
    # An empty one means off, where a variable can be set but not removed.
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
    # The history is substituted within quotes, too, and a quoted newline needs a backslash.
    quoted = text.replace("'", "'\\''").replace("!", "\\!").replace("\n", "\\\n")
    return f"setenv {name} '{quoted}';\n"


def _powershell(name: str, text: str) -> str:
    # These are quotes there, too.
    quoted = "".join(each * 2 if each in "'‘’‚‛" else each for each in text)  # noqa: RUF001
    return f"$Env:{name} = '{quoted}'\n"


def _json(variables: Variables) -> str:
    return json.dumps(dict(variables)) + "\n"


def _docker(variables: Variables) -> str:
    """Options of `docker run`: the variables, and the directories that they name.

    Through --mount, which takes a colon in a path; a field in quotes may hold commas.
    """
    mounts = [(variables[_NAME], "")]
    if PRELOAD in variables:
        mounts.append((os.fspath(PACKAGE), "readonly"))
    said = [f"--env {shlex.quote(f'{name}={text}')}" for name, text in variables.items()]
    for directory, how in mounts:
        fields = (
            "type=bind",
            f"source={directory}",
            f"target={directory}",
            *([how] if how else ()),
        )
        mount = ",".join('"' + each.replace('"', '""') + '"' if set(each) & set(',"\n') else each
                         for each in fields)  # fmt: skip
        said.append(f"--mount {shlex.quote(mount)}")
    return " ".join(said) + "\n"


def _env_file(name: str, text: str) -> str:
    """A line that is taken as it is: nothing is quoted, so nothing may need it."""
    if "\n" in text or "\r" in text:
        raise UsageError(f"a path with a line feed cannot stand in a file of variables: {text}")
    return f"{name}={text}\n"


def _systemd(name: str, text: str) -> str:
    # In double quotes a backslash hides any of these; a line feed may stand there as it is.
    quoted = text
    for each in '\\"`$':
        quoted = quoted.replace(each, "\\" + each)
    return f'{name}="{quoted}"\n'


def _path(variables: Variables) -> str:
    if PRELOAD in variables:
        raise UsageError("--shell=path prints the session directory alone: no --carrier with it")
    return f"{variables[_NAME]}\n"


def _each(say: Callable[[str, str], str]) -> Callable[[Variables], str]:
    """A form that says one variable after the other."""
    return lambda variables: "".join(itertools.starmap(say, variables.items()))


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
