"""Starts the measurement of a process: called at interpreter start.

Runs in every process of the session, before the target's first line, through covsup.pth or
covsup.start, also in a sub-interpreter, and maybe twice in one interpreter. Beside covsup's own few
modules it imports nothing that Python has not imported by then. It leaves no descriptor open and
never raises: a failure becomes a note in the session directory, which the supervisor reports.
"""

import _frozen_importlib
import _frozen_importlib_external
import _imp
import os
import sys

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from covsup.concurrency import registry  # noqa: TC004 - measure() loads both
    from covsup.tracer_c import _tracer  # noqa: TC004 - as above

    Settings = dict[str, list[str]]

MEASURING_MODULES = (
    ("tracer_c._tracer", _imp.extension_suffixes()),
    ("concurrency.registry", [".py", ".pyc"]),
)
"""The modules below covsup that a measured process needs, with the possible ends of their files'
names. The second needs the first."""

MONITORING, SETTRACE = "monitoring", "settrace"  # the cores
CYTHON = "Cython.Coverage"  # the plugin

_RECREATION_NS = 1_000_000_000
"""How long, after a session directory is deleted, its supervisor may take to make it again."""

_started = False
why_not = ""
"""Why start() did not begin to measure; empty if it did, or was not called."""


def start(session: "str | None" = None) -> None:
    """Measure this interpreter, if the environment says that it belongs to a session.

    `session` is used if the environment says nothing: the carrier has read it before the program
    changed its environment.
    """
    global _started, why_not  # noqa: PLW0603 - a .pth file may be executed twice in an interpreter
    session = os.environ.get("COVSUP_SESSION", session)
    if not session and "pytest" in "".join(sys.orig_argv[1:]):
        # covsup.start calls this function in place of the line in covsup.pth, which does the same.
        from covsup import pytest_start

        pytest_start.start()
    if not session or _started or is_covsup_command(sys.orig_argv):
        return
    _started = True  # first, so that a failed start is not tried again
    try:
        measure(session)
    except Exception as error:  # noqa: BLE001 - the program must run on
        why_not = note_failure(session, error)


def note_failure(session: str, error: Exception) -> str:
    """Leave a note that the measurement could not start, and return why."""
    try:
        from covsup import notes

        return notes.note_failed_start(session, error)
    except Exception:  # noqa: BLE001 - there is no way to leave a note either
        return f"{type(error).__name__}: {error}"


def is_covsup_command(argv: "list[str]") -> bool:
    """Whether this is a command of covsup's own, which belongs to no session."""
    if not any(word.endswith("covsup") for word in argv):
        return False
    from covsup import interpreter_command  # only for what may be such a command

    return interpreter_command.runs_covsup(argv)


def measure(session: str) -> None:
    """Open the journal, install the patches, start the core; in this order."""
    check_platform()
    for name, suffixes in MEASURING_MODULES:
        globals()[name.rpartition(".")[2]] = load_by_path(name, suffixes)
    vars(registry)["_tracer"] = _tracer  # it may have been imported before there was one
    if _tracer.is_setuid_process():
        raise untrusted_session()
    first = not _tracer.parent_value()  # else this is a sub-interpreter
    if not first:
        # A process has one session, and os.environ may name another one by now.
        session = _tracer.session_directory() or session
    settings = settings_when_ready(session)
    core = chosen_core(last(settings, "core", "auto"), settings)
    branch = last(settings, "branch", "0") == "1"
    parent = os.environ.get("COVSUP_PARENT", "")
    # A garbled value counts as none: the parent is unknown then.
    parent_value = parent if parent.isascii() else None
    _tracer.start_journal(os.fsencode(session), core == MONITORING, branch, parent_value)
    if first:
        for key, value in properties(last(settings, "boot", "")):
            _tracer.property(key, value)
    configure(settings, branch=branch)
    if settings.get("plugin"):
        _tracer.set_plugin_loader(lambda: load_plugins(session, settings))
    _tracer.propagate_session(session)
    for unpatched in registry.install(last(settings, "concurrency", "auto").split(",")):
        _tracer.note(f"not patched: {unpatched}".encode())
    if core == MONITORING:
        _tracer.start_monitoring()
    else:
        start_settrace(settings, first=first)
    if first and os.environ.get("COVSUP_PAUSED"):
        _tracer.pause()  # a test that is not to be measured has started this process


def check_platform() -> None:
    """Raise NotImplementedError where covsup cannot measure."""
    if os.name != "posix":
        raise NotImplementedError(f"covsup measures on POSIX systems, not on {sys.platform}")
    if "t" in getattr(sys, "abiflags", ""):
        # The import of an extension would enable the GIL, with a warning on the program's stderr.
        raise NotImplementedError(
            "covsup does not measure free-threaded Pythons (PEP 703): use a Python with the GIL"
        )


def load_by_path(name: str, suffixes: "Iterable[str]") -> "ModuleType":
    """The module covsup.`name`, from a file below this one's directory. Raises ImportError.

    An import statement would also execute the module's package and list two directories, which
    costs more than the module itself. It remains for an installation that puts the file elsewhere.
    """
    full_name = f"covsup.{name}"
    module = sys.modules.get(full_name)
    if module is not None:
        return module
    base = f"{__file__.rpartition('/')[0]}/{name.replace('.', '/')}"
    for suffix in suffixes:
        if os.path.exists(base + suffix):
            spec = _frozen_importlib_external.spec_from_file_location(full_name, base + suffix)
            package = package_by_path(full_name.rpartition(".")[0], base.rpartition("/")[0])
            loaded: ModuleType = vars(_frozen_importlib)["_load"](spec)
            setattr(package, name.rpartition(".")[2], loaded)
            return loaded
    try:
        __import__(full_name)
    except ImportError as error:
        raise ImportError(f"{error} (nor is there a file {base}.*)") from error
    return sys.modules[full_name]


def package_by_path(full_name: str, directory: str) -> "ModuleType":
    """The package below covsup in a directory. It holds a docstring only, so it is not executed.

    Import statements of the program for what is in it find it as if it had been imported.
    """
    package = sys.modules.get(full_name)
    if package is None:
        spec = _frozen_importlib_external.spec_from_file_location(
            full_name, f"{directory}/__init__.py", submodule_search_locations=[directory]
        )
        package = vars(_frozen_importlib)["module_from_spec"](spec)
        sys.modules[full_name] = package
        setattr(sys.modules["covsup"], full_name.rpartition(".")[2], package)
    return package


def configure(settings: "Settings", *, branch: bool) -> None:
    """Tell the tracer which files to measure, and in which contexts."""
    stdlib, third = library_directories()
    _tracer.configure(
        source_dirs=settings.get("source_dir", []),
        source_pkgs=settings.get("source_pkg", []),
        include=settings.get("include", []),
        omit=settings.get("omit", []),
        stdlib_dirs=[] if last(settings, "cover_pylib", "0") == "1" else stdlib,
        third_dirs=third,
        own_dirs=[real_path(__file__.rpartition("/")[0])],
        branch=branch,
    )
    _tracer.start_contexts(
        last(settings, "dynamic_context", "").split(","),
        os.environb.get(b"COVSUP_CONTEXT", b"").decode("utf-8", "replace"),
    )


def start_settrace(settings: "Settings", *, first: bool) -> None:
    """Start the settrace core. `first`: not in a sub-interpreter."""
    _tracer.start_settrace()
    # Cython's modules report their lines from C, in frames that must have events.
    fast = last(settings, "core", "auto") == "settrace-fast"
    registry.after_settrace_start(untraced=fast and CYTHON not in settings.get("plugin", []))
    if not first:
        # Since 3.13 every call into a sub-interpreter comes with a thread state of its own.
        _tracer.watch_foreign_threads()


def load_plugins(session: str, settings: "Settings") -> "tuple[object, ...] | None":
    """Load coverage.py's plugins; called before the first file of the program runs."""

    def report(why: str) -> None:
        from covsup import notes

        notes.write_note(session, why, kind="lost")

    if last(settings, "core", "auto") == "monitoring" and CYTHON in settings["plugin"]:
        report(
            f"--core=monitoring gets no lines of Cython's modules, so the plugin {CYTHON} measures"
            " nothing: leave the option out, or use --core=settrace"
        )
    try:
        from covsup import plugins  # imports coverage.py

        return plugins.load(
            settings["plugin"],
            last(settings, "plugin_config", ""),
            settings.get("plugin_path", []),
            report,
        )
    except Exception as error:  # noqa: BLE001 - the program must run on
        report(f"plugins cannot be loaded: {type(error).__name__}: {error}")
        return None


def chosen_core(name: str, settings: "Settings") -> str:
    """The core for a value of the setting `core`.

    `auto` is monitoring where Python has it. Only trace functions get the lines of Cython's modules.
    """
    if name == "settrace" or (name != "monitoring" and CYTHON in settings.get("plugin", [])):
        return SETTRACE
    return MONITORING if hasattr(sys, "monitoring") else SETTRACE


def last(settings: "Settings", key: str, default: str) -> str:
    """The last value of a key of the settings."""
    return settings.get(key, (default,))[-1]


def read_settings(session: str) -> "Settings":
    """The settings file: every value of each key. Raises UntrustedSession, OSError, ValueError."""
    # The file is opened from the directory that was checked: the path may lead elsewhere by now.
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
    settings: Settings = {}
    for line in b"".join(chunks).decode("utf-8", "surrogateescape").split("\n"):
        key, _, value = line.partition("=")
        if "%" in value:
            from covsup import pairs  # few sessions have such a value

            value = pairs.decode(value)
        settings.setdefault(key, []).append(value)
    if settings.get("format") != ["1"]:
        raise ValueError(f"the settings are of format {settings.get('format')}, not 1")
    if not own and settings.pop("plugin", []):
        from covsup import notes

        notes.write_note(session, "another user's session loads no plugins here", kind="lost")
    return settings


def open_session(session: str) -> "tuple[int, bool]":
    """A descriptor of the session directory, and whether this user (or root) owns it.

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
        raise untrusted_session()
    return directory, own


def untrusted_session() -> PermissionError:
    """The exception for a session that may not decide what happens in this process."""
    from covsup import notes

    return notes.UntrustedSession()


def settings_when_ready(session: str) -> "Settings":
    """The settings; if the session directory was deleted a moment ago, once they are there again."""
    try:
        return read_settings(session)
    except FileNotFoundError:
        if not wait_until_recreated(session):
            raise
        return read_settings(session)


def wait_until_recreated(session: str) -> bool:
    """Whether a session directory that was deleted a moment ago (`git clean`) is there again.

    Its supervisor makes it again. Waits until a second after the deletion at most, and not at all
    if nothing was deleted in the last second: then nothing comes back.
    """
    import time  # a builtin module, which Python has imported long ago

    above = session
    while above and not os.path.isdir(above):
        above = above.rpartition("/")[0]
    now = time.time_ns()
    until = min(os.stat(above or "/").st_mtime_ns, now) + _RECREATION_NS
    while now < until:
        if os.path.exists(f"{session}/settings"):
            return True
        time.sleep(0.005)
        now = time.time_ns()
    return False


def is_trusted(found: os.stat_result) -> bool:
    """Whether a session directory is this user's or root's, and no other user may write to it.

    A process that root started as another user may become root again: it accepts root's alone.
    """
    trusted = {0} if os.getuid() == 0 else {0, os.geteuid()}
    return found.st_uid in trusted and not found.st_mode & 0o022


def has_user_directory(directory: int) -> bool:
    """Whether another user's session, open as `directory`, has a directory for this user.

    Such a session decides what is measured, and no more: it cannot have code loaded. Root joins no
    other user's session.
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
    """What the journal says about this image. A forked child repeats the first ones."""
    boot = first_line("/proc/sys/kernel/random/boot_id")
    yield "boot", boot
    if boot != os.fsencode(boot_of_session):
        yield "machine", first_line("/etc/machine-id")
    yield "host", os.fsencode(os.uname().nodename)
    try:
        yield "pid_namespace", os.fsencode(os.readlink("/proc/self/ns/pid"))
    except OSError:  # not Linux, or no /proc
        yield "pid_namespace", b""
    yield "argv", os.fsencode("\0".join(sys.orig_argv))
    yield "executable", os.fsencode(sys.executable or "")
    try:
        yield "cwd", os.getcwdb()
    except OSError:  # it was removed, or may not be read
        yield "cwd", b""
    yield "python", sys.version.split(maxsplit=1)[0].encode()


def first_line(path: str) -> bytes:
    """The first line of a small file; empty if it cannot be read."""
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


def library_directories() -> "tuple[list[str], list[str]]":
    """The directories of the standard library, and those of third-party packages, as coverage.py
    finds them.

    These are sysconfig's paths of every scheme (stdlib and platstdlib; purelib, platlib and
    scripts), put together by hand: the import of sysconfig costs 2 ms.
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
    """Each path once, and once more below the real path of its base: files are compared by theirs.

    The components below a base are not resolved. Each would cost a system call, and a link among
    them (lib64 in a virtual environment) leads to another of these directories.
    """
    found = dict.fromkeys(paths)
    for base, real in bases.items():
        if real != base:
            found.update(
                {real + path[len(base) :]: None for path in paths if path.startswith(base)}
            )
    return list(found)


def real_path(path: str) -> str:
    """The same as os.path.realpath, which takes three times as long if there is no link."""
    at = path.find("/", 1)
    while at != -1:
        if os.path.islink(path[:at]):
            return os.path.realpath(path)
        at = path.find("/", at + 1)
    return os.path.realpath(path) if os.path.islink(path) else path
