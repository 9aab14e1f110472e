"""The settings of a session, and the file that holds them."""

from __future__ import annotations

from covsup.datafile.session.text_files import read_text, replace_text
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.pairs import decode_pairs, encode_pairs

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final, Self

FORMAT: Final = "1"
"""The version of the settings file's format: the first key in it."""


class Settings(NamedTuple):
    """What holds for a whole session.

    Patterns are absolute or begin with a wildcard, and directories are canonical: nothing here
    depends on the working directory of the process that reads it.
    """

    # For measured processes.
    session: str  # the session's id
    core: str = "auto"
    branch: bool = False
    concurrency: tuple[str, ...] = ("auto",)
    context: str = ""  # the static context, a label of all facts
    dynamic_context: tuple[str, ...] = ()
    source_dirs: tuple[str, ...] = ()
    source_pkgs: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    cover_pylib: bool = False
    plugins: tuple[str, ...] = ()  # modules of coverage.py's plugins that a process loads
    plugin_config: str = ""  # path of coverage.py's configuration file, for the plugins
    plugin_path: tuple[str, ...] = ()  # directories to find the plugins in, besides sys.path
    # For the supervisor alone.
    data_file: str = ""
    rcfile: str = ""  # "" = coverage.py's own search; "false" = no file
    append: bool = False
    within: str = ""  # the id of the session, of the same data file, in which this one was begun
    open: bool = False  # opened by `covsup env`: processes may join it until it is closed
    cwd: str = ""
    command: tuple[str, ...] = ()
    started_ns: int = 0  # wall clock, nanoseconds since 1970
    started_boottime_ns: int = (
        0  # the same moment since boot; no change of the clock moves it. 0 = unknown
    )
    supervisor_pid: int = 0  # 0 = the session has no supervisor (it was only opened)
    host: str = ""
    boot: str = ""  # the boot id of the kernel of the process that made the session; "" = unknown
    machine: str = ""  # that process's machine id; "" = unknown
    namespace: str = ""  # that process's pid namespace; "" = unknown
    held: bool = False  # the supervisor holds a lock on the settings file while it runs
    more: tuple[tuple[str, str], ...] = ()  # keys of a newer version, in the order of the file

    def to_text(self) -> str:
        """The settings file's text."""
        pairs = [
            ("format", FORMAT),
            ("session", self.session),
            ("core", self.core),
            ("branch", _bit(self.branch)),
            ("concurrency", ",".join(self.concurrency)),
            ("context", self.context),
            ("dynamic_context", ",".join(self.dynamic_context)),
            *(("source_dir", each) for each in self.source_dirs),
            *(("source_pkg", each) for each in self.source_pkgs),
            *(("include", each) for each in self.include),
            *(("omit", each) for each in self.omit),
            ("cover_pylib", _bit(self.cover_pylib)),
            *(("plugin", each) for each in self.plugins),
            *([("plugin_config", self.plugin_config)] if self.plugins else []),
            *(("plugin_path", each) for each in self.plugin_path),
            ("data_file", self.data_file),
            ("rcfile", self.rcfile),
            ("append", _bit(self.append)),
            *([("within", self.within)] if self.within else []),
            ("open", _bit(self.open)),
            ("cwd", self.cwd),
            *(("command", each) for each in self.command),
            ("started_ns", str(self.started_ns)),
            ("started_boottime_ns", str(self.started_boottime_ns)),
            ("supervisor_pid", str(self.supervisor_pid)),
            ("host", self.host),
            ("boot", self.boot),
            ("machine", self.machine),
            ("namespace", self.namespace),
            ("held", _bit(self.held)),
            *self.more,
        ]
        return encode_pairs(pairs)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a settings file's text. Raises ValueError with what is wrong with it."""
        many: dict[str, list[str]] = {}
        for key, value in decode_pairs(text):
            many.setdefault(key, []).append(value)
        found = many.pop("format", ["missing"])[0]
        if found != FORMAT:
            raise ValueError(f"settings of format {found!r}, where this covsup reads {FORMAT!r}")

        def one(key: str, default: str = "") -> str:
            return many.pop(key, [default])[-1]

        def every(key: str) -> tuple[str, ...]:
            return tuple(many.pop(key, ()))

        session = one("session")
        if not session:
            raise ValueError("settings without a session id")
        return cls(
            session=session,
            core=one("core", "auto"),
            branch=one("branch") == "1",
            concurrency=tuple(name for name in one("concurrency", "auto").split(",") if name),
            context=one("context"),
            dynamic_context=tuple(name for name in one("dynamic_context").split(",") if name),
            source_dirs=every("source_dir"),
            source_pkgs=every("source_pkg"),
            include=every("include"),
            omit=every("omit"),
            cover_pylib=one("cover_pylib") == "1",
            plugins=every("plugin"),
            plugin_config=one("plugin_config"),
            plugin_path=every("plugin_path"),
            data_file=one("data_file"),
            rcfile=one("rcfile"),
            append=one("append") == "1",
            within=one("within"),
            open=one("open") == "1",
            cwd=one("cwd"),
            command=every("command"),
            started_ns=int(one("started_ns", "0")),
            started_boottime_ns=int(one("started_boottime_ns", "0")),
            supervisor_pid=int(one("supervisor_pid", "0")),
            host=one("host"),
            boot=one("boot"),
            machine=one("machine"),
            namespace=one("namespace"),
            held=one("held") == "1",
            more=tuple((key, value) for key, values in many.items() for value in values),
        )


def read_settings(path: Path) -> Settings:
    """Read a settings file. OSError where it cannot be read, ValueError where it makes no sense."""
    return Settings.from_text(read_text(path))


def write_settings(path: Path, settings: Settings) -> None:
    """Replace a settings file. Raises OSError."""
    replace_text(path, settings.to_text())


def _bit(value: bool) -> str:
    return "1" if value else "0"
