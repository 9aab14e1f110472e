"""Why a file is not in the data: the settings of the sessions exclude it, or it never ran."""

from __future__ import annotations

import os
import sysconfig
from typing import TYPE_CHECKING

from coverage.files import GlobMatcher

from covsup.views.answers.measured import first_few, shown
from covsup.views.answers.why.answer import About, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from covsup.datafile.session.settings import Settings
    from covsup.views.answers.measured import Measured


def why_not_measured(measured: Measured, file: str) -> Iterator[Reason]:
    """Reasons why no line of `file` was recorded."""
    path = os.path.realpath(file)
    if not measured.result.sessions:
        yield Reason(
            About.FILE,
            "the data does not have the file: it never ran, or the settings of the measurement"
            " excluded it (the data file has no record of them)",
        )
        return
    rules = dict.fromkeys(_rule(settings, path) for settings in measured.result.sessions.values())
    for rule in rules:
        yield Reason(
            About.FILE,
            rule or "the settings measure the file, and no measured process ran a line of it",
        )


def is_excluded(measured: Measured, file: str) -> bool:
    """Whether the settings of every session exclude `file`, so that no process can record it."""
    path, sessions = os.path.realpath(file), measured.result.sessions
    return bool(sessions) and all(_rule(each, path) for each in sessions.values())


def _rule(settings: Settings, path: str) -> str:
    """The setting that keeps a file out of measurement; "" = none does."""
    if settings.omit and (pattern := _matching(settings.omit, path)):
        return f"omit excludes the file: the pattern {pattern}"
    if settings.source_dirs or settings.source_pkgs:
        in_directory = any(
            path == each or path.startswith(os.path.join(each, "")) for each in settings.source_dirs
        )
        in_package = any(
            f"/{package.replace('.', '/')}{end}" in path
            for package in settings.source_pkgs
            for end in ("/", ".py")
        )
        if not in_directory and not in_package:
            sources = [*map(shown, settings.source_dirs), *settings.source_pkgs]
            return f"source does not have the file: only {first_few(sources)} was measured"
        return ""
    if settings.include and not _matching(settings.include, path):
        return f"include does not have the file: only {first_few(settings.include)}"
    if not settings.include and not settings.cover_pylib and _is_installed(path):
        return (
            "the standard library and installed packages are not measured, unless source or include"
            " names them"
        )
    return ""


def _matching(patterns: tuple[str, ...], path: str) -> str:
    return next((each for each in patterns if GlobMatcher([each], "pattern").match(path)), "")


def _is_installed(path: str) -> bool:
    library = os.path.join(os.path.realpath(sysconfig.get_paths()["stdlib"]), "")
    installed = any(f"/{name}/" in path for name in ("site-packages", "dist-packages"))
    return installed or path.startswith(library)
