"""Switches measurement on in a process of the session: called at interpreter start.

Runs in every process of the session, before the target's first line, through covsup.pth or
covsup.start; in a sub-interpreter too; maybe twice in one. It imports nothing that Python has not
imported by then but covsup's own few modules, leaves no descriptor open, and never raises: what
fails becomes a note in the session directory, which the supervisor reports.
"""

import os
import sys

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Iterable

_RECREATION_NS = 1_000_000_000
"""The longest time from the deletion of a session directory until its supervisor makes it again."""

MONITORING, SETTRACE = "monitoring", "settrace"  # the cores

_started = False
why_not = ""
"""Why start() did not begin to measure; empty where it did, or was not called."""


def start(session: "str | None" = None) -> None:
    """Measure this interpreter, if the environment says that it belongs to a session.

    Where the environment says nothing, `session` is what the carrier was given before the program
    changed it.
    """
    global _started, why_not  # noqa: PLW0603 - a .pth file may be read twice by one interpreter
    session = os.environ.get("COVSUP_SESSION", session)
    if not session and "pytest" in "".join(sys.orig_argv[1:]):
        # As in covsup.pth, for covsup.start.
        from covsup import pytest_start  # noqa: PLC0415 - only in a pytest

        pytest_start.start()
    if not session or _started or is_covsup_command(sys.orig_argv):
        return
    _started = True  # first, so that a failed start is not tried again
    try:
        measure(session)
    except UntrustedSession as error:
        why_not = str(error)  # not written there; the supervisor, if it is honest, sees it
    except Exception as error:  # noqa: BLE001 - the host program must live
        why_not = f"{type(error).__name__}: {error}"
        write_note(session, why_not)


class UntrustedSession(PermissionError):
    """The session is not one that this process may let itself be steered by."""

    def __init__(self) -> None:
        """Say the same each time: what was found there is nobody's business."""
        super().__init__("the session is not this process's, or others may write to it")


def is_covsup_command(argv: "list[str]") -> bool:
    """Whether this is a command of covsup's own, which belongs to no session."""
    if not any(word.endswith("covsup") for word in argv):
        return False
    from covsup import interpreter_command  # noqa: PLC0415 - only in what may be such a command

    return interpreter_command.runs_covsup(argv)


def measure(session: str) -> None:
    """Open the journal, arm the adapters, start the core; in this order."""
    if os.name != "posix":
        raise NotImplementedError(f"covsup measures on POSIX systems, not on {sys.platform}")
    if is_free_threaded():
        # The import of an extension would switch the GIL on, with a warning in the program's output.
        raise NotImplementedError(
            "covsup does not measure free-threaded Pythons (PEP 703): use a Python with the GIL"
        )
    # Not earlier: an unsupervised Python has no use for them.
    from covsup.concurrency import registry  # noqa: PLC0415
    from covsup.tracer_c import _tracer  # noqa: PLC0415

    if _tracer.is_setuid_process():
        raise UntrustedSession
    first = not _tracer.parent_value()  # else this is a sub-interpreter
    if not first:
        # One process, one session: os.environ may name another one by now.
        session = _tracer.session_directory() or session
    settings = settings_when_ready(session)

    def one(key: str, default: str) -> str:
        return settings.get(key, (default,))[-1]

    core = chosen_core(one("core", "auto"), settings)
    branch = one("branch", "0") == "1"
    parent = os.environ.get("COVSUP_PARENT", "")
    # A garbled value is as good as none: the parent is unknown then.
    parent_value = parent if parent.isascii() else None
    _tracer.start_journal(os.fsencode(session), core == MONITORING, branch, parent_value)
    if first:
        for key, value in properties(one("boot", "")):
            _tracer.property(key, value)
    stdlib, third = library_directories()
    _tracer.configure(
        source_dirs=settings.get("source_dir", []),
        source_pkgs=settings.get("source_pkg", []),
        include=settings.get("include", []),
        omit=settings.get("omit", []),
        stdlib_dirs=[] if one("cover_pylib", "0") == "1" else stdlib,
        third_dirs=third,
        own_dirs=[os.path.realpath(__file__.rpartition("/")[0])],
        branch=branch,
    )
    kinds = one("dynamic_context", "").split(",")
    _tracer.start_contexts(
        kinds, os.environb.get(b"COVSUP_CONTEXT", b"").decode("utf-8", "replace")
    )
    if settings.get("plugin"):
        _tracer.set_plugin_loader(lambda: load_plugins(session, settings))
    _tracer.propagate_session(session)
    concurrency = one("concurrency", "auto").split(",")
    for refusal in registry.arm(concurrency):
        _tracer.note(f"not patched: {refusal}".encode())
    if core == SETTRACE:
        _tracer.start_settrace()
        registry.after_settrace_start(untraced=is_settrace_fast(one("core", "auto"), settings))
        if not first:
            # From 3.13 on each call into a sub-interpreter comes with a thread state of its own.
            _tracer.watch_foreign_threads()
    else:
        _tracer.start_monitoring()
    if first and os.environ.get("COVSUP_PAUSED"):
        _tracer.pause()  # it was started by a test that is to be left out


def load_plugins(session: str, settings: "dict[str, list[str]]") -> "tuple[object, ...] | None":
    """Load coverage.py's plugins; called before the first file of the program runs."""

    def say(why: str) -> None:
        write_note(session, why, kind="lost")

    if settings.get("core", ["auto"])[-1] == "monitoring" and CYTHON in settings["plugin"]:
        say(
            f"--core=monitoring is sent no lines of Cython's modules, so the plugin {CYTHON} measures"
            " nothing: leave the option out, or use --core=settrace"
        )
    try:
        from covsup import plugins  # noqa: PLC0415 - it brings coverage.py along

        return plugins.load(
            settings["plugin"],
            settings.get("plugin_config", [""])[-1],
            settings.get("plugin_path", []),
            say,
        )
    except Exception as error:  # noqa: BLE001 - the host program must live
        say(f"plugins cannot be loaded: {type(error).__name__}: {error}")
        return None


CYTHON = "Cython.Coverage"  # the plugin


def chosen_core(name: str, settings: "dict[str, list[str]]") -> str:
    """The core that a setting means. Only trace functions are sent the lines of Cython's modules."""
    if name == "settrace" or (name != "monitoring" and CYTHON in settings.get("plugin", [])):
        return SETTRACE
    return best_core()


def is_settrace_fast(name: str, settings: "dict[str, list[str]]") -> bool:
    """Whether frames may run without events; what Cython's modules do in them would have none."""
    return name == "settrace-fast" and CYTHON not in settings.get("plugin", [])


def best_core() -> str:
    """The core that `auto` means, and the one that there is where the other is asked for."""
    return MONITORING if hasattr(sys, "monitoring") else SETTRACE


def read_settings(session: str) -> "dict[str, list[str]]":
    """The settings file: every value of each key. Raises UntrustedSession, OSError, ValueError."""
    # Whose the directory is is asked of what is then read: a path may lead elsewhere in between.
    directory, own = open_session(session)
    try:
        descriptor = os.open("settings", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    finally:
        os.close(directory)
    try:
        chunks = []
        while chunk := os.read(descriptor, 1 << 16):
            chunks.append(chunk)
    finally:
        os.close(descriptor)
    settings: dict[str, list[str]] = {}
    for line in b"".join(chunks).decode("utf-8", "surrogateescape").split("\n"):
        key, _, value = line.partition("=")
        if "%" in value:
            from covsup import pairs  # noqa: PLC0415 - few sessions have such a value

            value = pairs.decode(value)
        settings.setdefault(key, []).append(value)
    if settings.get("format") != ["1"]:
        raise ValueError(f"the settings are of format {settings.get('format')}, not 1")
    if not own and settings.pop("plugin", []):
        write_note(session, "another user's session loads no plugins here", kind="lost")
    return settings


def open_session(session: str) -> "tuple[int, bool]":
    """A descriptor of the session directory, and whether it is this user's own.

    Raises UntrustedSession, OSError.
    """
    directory = os.open(session, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
    trusted = False
    try:
        own = is_trusted(os.fstat(directory))
        trusted = own or has_user_directory(directory)
    finally:
        if not trusted:
            os.close(directory)
    if not trusted:
        raise UntrustedSession
    return directory, own


def settings_when_ready(session: str) -> "dict[str, list[str]]":
    """The settings file, waited for where the session directory was deleted a moment ago."""
    try:
        return read_settings(session)
    except FileNotFoundError:
        if not wait_until_recreated(session):
            raise
        return read_settings(session)


def wait_until_recreated(session: str) -> bool:
    """Whether a session directory that was deleted a moment ago (`git clean`) is back.

    Its supervisor makes it again. Waits for that, but for no later moment than a second after the
    deletion: where nothing was deleted just now, nothing comes back.
    """
    import time  # noqa: PLC0415 - a builtin module that Python has imported long ago

    above = session
    while above and not os.path.isdir(above):  # noqa: PTH112 - pathlib is not imported here
        above = above.rpartition("/")[0]
    now = time.time_ns()
    until = min(os.stat(above or "/").st_mtime_ns, now) + _RECREATION_NS  # noqa: PTH116 - as above
    while now < until:
        if os.path.exists(f"{session}/settings"):  # noqa: PTH110 - as above
            return True
        time.sleep(0.005)
        now = time.time_ns()
    return False


def is_trusted(found: os.stat_result) -> bool:
    """Whether a session directory is this user's or root's, and nobody else's to write.

    A process that root started as another user may become root again: it takes root's alone.
    """
    trusted = {0} if os.getuid() == 0 else {0, os.geteuid()}
    return found.st_uid in trusted and not found.st_mode & 0o022


def has_user_directory(directory: int) -> bool:
    """Whether another user's session, open as `directory`, has a place for this one.

    Such a session decides what is measured, and no more: no code is loaded on its word. Root takes
    part in no one else's.
    """
    user = os.geteuid()
    if user == 0:
        return False
    try:
        os.stat(f"uid-{user}", dir_fd=directory, follow_symlinks=False)
    except OSError:
        return False
    return True


def properties(boot_of_session: str) -> "Iterable[tuple[str, bytes]]":
    """What the journal says about this image; first what a fork has to repeat in any case."""
    boot = first_line("/proc/sys/kernel/random/boot_id")
    yield "boot", boot
    if boot != os.fsencode(boot_of_session):
        yield "machine", first_line("/etc/machine-id")
    yield "host", os.fsencode(os.uname().nodename)
    try:
        yield "pid_namespace", os.fsencode(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115
    except OSError:  # no Linux, or no /proc
        yield "pid_namespace", b""
    yield "argv", os.fsencode("\0".join(sys.orig_argv))
    yield "executable", os.fsencode(sys.executable or "")
    try:
        yield "cwd", os.getcwdb()  # noqa: PTH109 - pathlib is not imported here
    except OSError:  # it was removed, or may not be read
        yield "cwd", b""
    yield "python", sys.version.split(maxsplit=1)[0].encode()


def first_line(path: str) -> bytes:
    """The first line of a small file; nothing where it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 64).strip()
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def is_free_threaded() -> bool:
    """Whether this Python was built without the GIL, which covsup's C relies on."""
    return "t" in getattr(sys, "abiflags", "")


def library_directories() -> "tuple[list[str], list[str]]":
    """Where the standard library and where third-party packages are: coverage.py's answer.

    That is sysconfig's paths of every scheme (stdlib and platstdlib; purelib, platlib and scripts),
    put together by hand: sysconfig is not imported at this time, and its import costs 2 ms.
    """
    prefix, base_prefix, exec_prefix = sys.prefix, sys.base_prefix, sys.exec_prefix
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    lib = sys.platlibdir
    stdlib = [
        f"{base_prefix}/{lib}/{python}",
        f"{exec_prefix}/{lib}/{python}",
        f"{base_prefix}/lib/python",
        f"{prefix}/lib/python",
        f"{base_prefix}/Lib",
        f"{prefix}/Lib",
    ]
    third = [
        f"{prefix}/lib/{python}/site-packages",
        f"{exec_prefix}/{lib}/{python}/site-packages",
        f"{prefix}/lib/python",
        f"{prefix}/Lib/site-packages",
        f"{prefix}/bin",
        f"{prefix}/Scripts",
    ]
    if any(entry.endswith("/dist-packages") for entry in sys.path):  # Debian's schemes
        third += [
            f"{prefix}/lib/python3/dist-packages",
            f"{prefix}/local/lib/{python}/dist-packages",
            f"{prefix}/local/bin",
        ]
    os_file = getattr(os, "__file__", None)
    if os_file:
        stdlib.append(os_file.rpartition("/")[0])
    site = sys.modules.get("site")
    user_base = getattr(site, "USER_BASE", None)
    if user_base:
        stdlib += [f"{user_base}/{lib}/{python}", f"{user_base}/lib/python", f"{user_base}/Python"]
        third += [
            f"{user_base}/lib/{python}/site-packages",
            f"{user_base}/lib/python/site-packages",
            f"{user_base}/Python/site-packages",
            f"{user_base}/bin",
            f"{user_base}/Scripts",
        ]
    user_site = getattr(site, "USER_SITE", None)
    if user_site:
        third.append(user_site)
    if site is not None and hasattr(site, "getsitepackages"):
        third += site.getsitepackages()
    bases = {prefix, base_prefix, exec_prefix, user_base or prefix}
    real_bases = {base: real_path(base) for base in bases}
    return with_real_paths(stdlib, real_bases), with_real_paths(third, real_bases)


def with_real_paths(paths: "list[str]", bases: "dict[str, str]") -> "list[str]":
    """Each path once, and once more by the real path of its base; files are known by theirs.

    The components below a base are not asked about: each costs a system call, and where one is a
    link (lib64 in a virtual environment), it leads to another of these directories.
    """
    found = dict.fromkeys(paths)
    for base, real in bases.items():
        if real != base:
            found.update(
                {real + path[len(base) :]: None for path in paths if path.startswith(base)}
            )
    return list(found)


def real_path(path: str) -> str:
    """As os.path.realpath, which takes three times as long where there is no link."""
    at = path.find("/", 1)
    while at != -1:
        if is_link(path[:at]):
            return os.path.realpath(path)
        at = path.find("/", at + 1)
    return os.path.realpath(path) if is_link(path) else path


def is_link(path: str) -> bool:
    """Whether a link is there; False too where nothing is, or it cannot be known."""
    try:
        os.readlink(path)  # noqa: PTH115 - pathlib is not imported here
    except OSError:
        return False
    return True


def note_refusal(session: str, why: str) -> None:
    """Say in the directory of a session that this process does not join it. `combine` shows it."""
    try:
        directory, _ = open_session(session)
    except OSError:  # there is no such session, or it is not to be trusted
        return
    os.close(directory)
    write_note(session, why, kind="refused")


def write_note(session: str, why: str, kind: str = "start-failed") -> None:
    """Say in the session directory what this process could not do. Says nothing if it cannot."""
    import time  # noqa: PLC0415 - a builtin module that Python has imported long ago

    try:
        from covsup.pairs import encode_pairs  # noqa: PLC0415 - only where a note is left
    except (ImportError, OSError):
        return  # no descriptor is left, so no file could be created either

    now = time.time_ns()
    pairs = [
        ("pid", str(os.getpid())),
        ("time_ns", str(now)),
        ("kind", kind),
        ("why", why),
        *(("argv", item) for item in getattr(sys, "orig_argv", [])),  # 3.9 has none
    ]
    text = encode_pairs(pairs)
    # The second place is for processes of users who may write nowhere else in it.
    for place in session, f"{session}/uid-{os.geteuid()}":
        path = f"{place}/note-{os.getpid()}-{now:x}.note"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError:
            # The directory is gone (the session has ended) or full: there is nowhere to say it.
            continue
        try:
            os.write(descriptor, text.encode("utf-8", "surrogateescape"))
        except OSError:
            pass  # full: as above
        finally:
            os.close(descriptor)
        return
