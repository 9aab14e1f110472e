"""How a session is put into an environment: one variable, in the words of whoever will read it."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING, Final

from covsup.supervisor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_NAME: Final = "COVSUP_SESSION"
_PARENT: Final = "COVSUP_PARENT"
"""Names the process that starts another; stale where a shell of one session opens the next."""


def put(form: str, session: Path) -> str:
    """What puts a session into an environment. Raises UsageError where it cannot be said."""
    text = FORMS[form](os.fspath(session))
    return f"{text}{_UNSET[form](_PARENT)}" if form in _UNSET and _PARENT in os.environ else text


def take_out(form: str) -> str:
    """What takes a session out of an environment again."""
    unset = _UNSET.get(form)
    if unset is not None:
        return unset(_NAME)
    # An empty one means off, where a variable can be set but not removed.
    return {"json": f'{{"{_NAME}": null}}\n', "docker": f"--env {_NAME}=\n", "path": ""}.get(
        form, f"{_NAME}=\n"
    )


def _sh(session: str) -> str:
    return f"export {_NAME}={shlex.quote(session)}\n"


def _fish(session: str) -> str:
    quoted = session.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {_NAME} '{quoted}'\n"


def _csh(session: str) -> str:
    # The history is substituted within quotes, too, and a quoted newline needs a backslash.
    quoted = session.replace("'", "'\\''").replace("!", "\\!").replace("\n", "\\\n")
    return f"setenv {_NAME} '{quoted}';\n"


def _powershell(session: str) -> str:
    # These are quotes there, too.
    quoted = "".join(each * 2 if each in "'‘’‚‛" else each for each in session)  # noqa: RUF001
    return f"$Env:{_NAME} = '{quoted}'\n"


def _json(session: str) -> str:
    return json.dumps({_NAME: session}) + "\n"


def _docker(session: str) -> str:
    """Options of `docker run`: the variable, and the directory that it names.

    Through --mount, which takes a colon in a path; a field in quotes may hold commas.
    """
    fields = ("type=bind", f"source={session}", f"target={session}")
    mount = ",".join('"' + each.replace('"', '""') + '"' if set(each) & set(',"\n') else each
                     for each in fields)  # fmt: skip
    return f"--env {shlex.quote(f'{_NAME}={session}')} --mount {shlex.quote(mount)}\n"


def _env_file(session: str) -> str:
    """Lines that are taken as they are: nothing is quoted, so nothing may need it."""
    if "\n" in session or "\r" in session:
        raise UsageError(f"a path with a line feed cannot stand in a file of variables: {session}")
    return f"{_NAME}={session}\n"


def _systemd(session: str) -> str:
    # In double quotes a backslash hides any of these; a line feed may stand there as it is.
    quoted = session
    for each in '\\"`$':
        quoted = quoted.replace(each, "\\" + each)
    return f'{_NAME}="{quoted}"\n'


def _path(session: str) -> str:
    return f"{session}\n"


FORMS: Final[dict[str, Callable[[str], str]]] = {
    **dict.fromkeys(("sh", "bash", "zsh", "dash", "ksh"), _sh),
    "fish": _fish,
    **dict.fromkeys(("csh", "tcsh"), _csh),
    **dict.fromkeys(("powershell", "pwsh"), _powershell),
    "json": _json,
    "docker": _docker,
    "env-file": _env_file,
    "systemd": _systemd,
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
