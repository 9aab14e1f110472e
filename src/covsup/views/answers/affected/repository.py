"""What git says about the change: which files it touches, and the earlier versions of files."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from covsup.datafile.errors import CovsupError
from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final, Self

_MOST_VERSIONS: Final = 200
"""So many earlier versions of a file are compared with the measured one."""

_LINK: Final = "120000"
_SUBMODULE: Final = "160000"
_NO_FILE: Final = "000000"


class GitFailed(CovsupError):
    """git is missing, there is no repository, or git does not know a revision."""


class FileChange(NamedTuple):
    """A file that differs between the base and the working tree."""

    path: str  # absolute
    old: str  # the object id of its version in the base; "" = it is new
    is_there: bool  # whether the working tree has it
    is_text: bool  # False: a submodule or a symbolic link


class Repository:
    """The git repository around a directory. Use it in a `with` statement."""

    def __init__(self, directory: str) -> None:
        """Find it. Raises GitFailed."""
        self._where = directory
        self.top = os.path.realpath(os.fsdecode(self._git("rev-parse", "--show-toplevel")[:-1]))
        self._where = self.top
        self._objects: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the git process that reads objects."""
        if self._objects is not None:
            self._objects.communicate()

    def commit(self, revision: str) -> str | None:
        """The id of a commit; None if there is no such commit."""
        if revision.startswith("-"):
            return None
        words = ("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        found = self._run(words)
        return found.stdout.decode().strip() if found.returncode == 0 else None

    def common_commit(self, one: str, other: str) -> str | None:
        """The last commit that the histories of two commits share."""
        found = self._run(("merge-base", one, other))
        return found.stdout.decode().strip() if found.returncode == 0 else None

    def empty_tree(self) -> str:
        """The id of a tree without files, in the hash format of this repository."""
        return self._git("hash-object", "-t", "tree", "--stdin").decode().strip()

    def changes(self, base: str) -> list[FileChange]:
        """The files that differ between a commit and the working tree; untracked ones are new.

        A renamed file is a deleted one and a new one: whatever imports it sees it so.
        """
        words = ("diff-index", "--raw", "-z", "--no-abbrev", "--no-renames", base, "--")
        fields = iter(self._git(*words).split(b"\0"))
        found: dict[str, FileChange] = {}
        for field in fields:
            if not field:
                continue
            old_mode, new_mode, old, _, _ = field[1:].decode().split()
            path = self._absolute(next(fields))
            found[path] = FileChange(
                path=path,
                old="" if old_mode == _NO_FILE else old,
                is_there=os.path.lexists(path),
                is_text=not {old_mode, new_mode} & {_LINK, _SUBMODULE},
            )
        for path in self._listed("--others", "--exclude-standard"):
            if path not in found and not path.endswith("/"):
                is_text = os.path.isfile(path) and not os.path.islink(path)
                found[path] = FileChange(path, "", is_there=True, is_text=is_text)
        return list(found.values())

    def files(self) -> list[str]:
        """The files of the working tree that git tracks, absolute."""
        return list(dict.fromkeys(self._listed("--cached")))

    def text(self, object_id: str) -> bytes:
        """The contents of a version of a file. Raises GitFailed."""
        if self._objects is None:
            self._objects = subprocess.Popen(
                self._command("cat-file", "--batch"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=_environment(),
            )
        process = self._objects
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{object_id}\n".encode())
        process.stdin.flush()
        header = process.stdout.readline().split()
        if len(header) != 3:
            raise GitFailed(f"git cannot read the object {object_id} (a partial clone?)")
        return process.stdout.read(int(header[2]) + 1)[:-1]

    def earlier_versions(self, path: str, revisions: Sequence[str]) -> Iterator[str]:
        """The object ids of the versions of a file in the history of some commits, newest first."""
        words = ("log", f"-n{_MOST_VERSIONS}", "--format=", "--raw", "-z", "--no-abbrev",
                 "--no-renames", "--diff-merges=separate", *revisions, "--",
                 os.path.relpath(path, self.top))  # fmt: skip
        found = self._run(words, literal_paths=True)
        seen = set()
        for field in found.stdout.split(b"\0"):
            if not field.lstrip(b"\n").startswith(b":"):
                continue
            for object_id in reversed(field.decode().split()[2:4]):
                if object_id.strip("0") and object_id not in seen:
                    seen.add(object_id)
                    yield object_id

    def _listed(self, *which: str) -> Iterator[str]:
        for name in self._git("ls-files", "-z", *which).split(b"\0"):
            if name:
                yield self._absolute(name)

    def _absolute(self, name: bytes) -> str:
        return f"{self.top}/{os.fsdecode(name)}"

    def _git(self, *words: str) -> bytes:
        found = self._run(words)
        if found.returncode != 0:
            lines = found.stderr.decode(errors="replace").strip().splitlines()
            reason = lines[0].removeprefix("fatal: ") if lines else f"status {found.returncode}"
            raise GitFailed(f"git {words[0]} in {self._where}: {reason}")
        return found.stdout

    def _run(
        self, words: Sequence[str], *, literal_paths: bool = False
    ) -> subprocess.CompletedProcess[bytes]:
        environment = _environment()
        if literal_paths:
            environment["GIT_LITERAL_PATHSPECS"] = "1"
        try:
            return subprocess.run(
                self._command(*words),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=environment,
                check=False,
            )
        except FileNotFoundError:
            raise GitFailed("there is no git command, which knows what changed") from None

    def _command(self, *words: str) -> tuple[str, ...]:
        return ("git", "-C", self._where, *words)


def _environment() -> dict[str, str]:
    """git's messages in English. It takes no lock to refresh its index."""
    return {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
