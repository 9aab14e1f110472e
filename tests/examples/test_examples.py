"""The examples under `covsup run`: every line that ran is in the result, and no other.

In an example a line that is never executed says so in a comment (see examples/README.md).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import coverage
import pytest

from tests.supervisor.live import Live

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NEVER = re.compile(r"#\s*never:")
SECONDS = 50.0
"""How long a server may take to do anything at all."""


def marked_never(path: Path) -> set[int]:
    """Give the lines that say they are not executed."""
    text = path.read_text(encoding="utf-8")
    return {number for number, line in enumerate(text.splitlines(), 1) if NEVER.search(line)}


def missing(path: Path, data_file: Path) -> set[int]:
    """Give the statements that the data file does not have as executed."""
    measured = coverage.Coverage(data_file=str(data_file), config_file=False)
    measured.load()
    assert str(path) in measured.get_data().measured_files()
    _, _, _, lines, _ = measured.analysis2(str(path))
    return set(lines)


def assert_exact(data_file: Path, *names: str) -> None:
    for name in names:
        path = EXAMPLES / name
        assert missing(path, data_file) == marked_never(path), name


def tree(world: World, data_file: Path) -> str:
    run = world.run(world.python, "-m", "covsup", "tree", f"--data-file={data_file}")
    assert run.status == 0, run
    return run.stdout


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_keeps_what_replaced_killed_and_terminated_workers_ran(
    world: World, core: str, method: str
) -> None:
    run = world.covsup_run(
        EXAMPLES / "worker_pool/pool.py",
        method,
        core=core,
        options=["--concurrency=multiprocessing"],
    )
    assert run.status == 0, run
    assert run.stdout == f"{method}: 24 cubes, the largest 6859; b'farewell'\n"
    assert_exact(run.data_file, "worker_pool/pool.py")
    assert "SIGKILL" in tree(world, run.data_file)


def test_a_launcher_keeps_every_generation_through_scrubbed_environments(
    world: World, core: str
) -> None:
    run = world.covsup_run(EXAMPLES / "exec_launcher/launcher.py", core=core)
    assert run.status == 7, run
    first, last = run.stdout.splitlines()
    assert first == "helper said ready, ended by signal 9"
    assert last.startswith("generation 19 in process ")
    assert_exact(run.data_file, "exec_launcher/launcher.py")
    assert "SIGKILL" in tree(world, run.data_file)


@pytest.mark.timeout(120)
def test_the_demo_measures_a_gevent_server_with_worker_processes(world: World) -> None:
    run = world.run(
        world.python,
        EXAMPLES / "gevent_server/demo.py",
        f"--directory={world.directory}",
        timeout=SECONDS,
    )
    assert run.status == 0, run
    assert_exact(run.data_file, "gevent_server/server.py")
    assert run.data.has_arcs()
    assert "server.py" in tree(world, run.data_file)


@pytest.mark.timeout(120)
def test_the_live_demo_shows_lines_as_they_run(world: World) -> None:
    pytest.importorskip("starlette")
    demo = EXAMPLES / "gevent_server/demo.py"
    with Live(world, world.python, str(demo), f"--directory={world.directory}", "--live") as live:
        teapot = live.wait_for(r"ask (http://\S+/teapot)")[1]
        page = live.wait_for(r"(http://\S+/)\n")[1]
        with urllib.request.urlopen(f"{page}data/state.json") as state:
            (before,) = json.load(state)["files"]
        with pytest.raises(urllib.error.HTTPError, match="teapot") as refused:
            urllib.request.urlopen(teapot)
        refused.value.close()
        # The state is read anew for each request.
        with urllib.request.urlopen(f"{page}data/state.json") as state:
            (after,) = json.load(state)["files"]
        assert after["lines"] > before["lines"]
        os.killpg(live.pid, signal.SIGINT)  # as Ctrl-C
        assert live.ended() == 0
    assert "server.py" in tree(world, world.data_file)


@pytest.mark.timeout(120)
def test_gunicorn_keeps_what_a_worker_ran_before_it_was_killed(world: World, core: str) -> None:
    configuration = EXAMPLES / "gunicorn_app/gunicorn.conf.py"
    options = ["--branch", "--concurrency=gevent", f"--source={EXAMPLES}"]
    command = [f"--config={configuration}", f"--chdir={configuration.parent}", "app:application"]
    with gunicorn(world, world.directory, [*options, f"--core={core}"], command) as port:
        assert ask(port, "/total") == (200, b"45")
        assert ask(port, "/nowhere") == (404, b"nothing here")
        kill_a_worker_in_a_request(port)
        assert ask(port, "/total") == (200, b"45")
    assert_exact(world.data_file, "gunicorn_app/app.py", "gunicorn_app/gunicorn.conf.py")
    assert "SIGKILL" in tree(world, world.data_file)


def test_django_templates_are_covered_in_gunicorns_workers(world: World, core: str) -> None:
    pytest.importorskip("django")
    pytest.importorskip("django_coverage_plugin")
    site = EXAMPLES / "django_app"
    with gunicorn(world, site, [f"--data-file={world.data_file}", f"--core={core}"], []) as port:
        assert b"tea" in ask(port, "/")[1]
        assert b"<title>tea" in ask(port, "/tea")[1]
        assert ask(port, "/gold")[0] == 404
    out = world.directory / "out.json"
    environment = world.environment()
    words = ["json", "-q", f"--data-file={world.data_file}", "-o", str(out)]
    subprocess.run(
        [world.python, "-m", "covsup", *words],
        cwd=site,
        env=environment,
        check=True,
        timeout=SECONDS,
    )
    found = {
        name: set(each["missing_lines"])
        for name, each in json.loads(out.read_text())["files"].items()
    }
    expected = {
        str(path.relative_to(site)): marked_never(path)
        for path in [*site.rglob("*.py"), *site.rglob("*.html")]
    }
    assert found == expected


def ask(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Connection": "close"})
        with connection.getresponse() as response:
            return response.status, response.read()


def kill_a_worker_in_a_request(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", "/doom")
        with connection.getresponse() as response:
            os.kill(int(response.readline()), signal.SIGKILL)
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                response.read()


@contextlib.contextmanager
def gunicorn(world: World, directory: Path, options: list[str], words: list[str]) -> Iterator[int]:
    """Run gunicorn under covsup; gives its port, ends it by SIGTERM, checks that it ended well."""
    ready = world.directory / "ready"
    os.mkfifo(ready)
    output = world.directory / "output"
    with (
        output.open("wb") as stream,
        subprocess.Popen(
            [world.python, "-m", "covsup", "run", *options, "--", "gunicorn", *words],
            cwd=directory,
            env=world.environment({"READY": str(ready)}),
            stdout=stream,
            stderr=subprocess.STDOUT,
        ) as supervisor,
    ):
        # Opening the pipe blocks until gunicorn opens it too, or until it is past that.
        past = threading.Thread(target=open_when_ended, args=(supervisor, ready))
        past.start()
        try:
            told = ready.read_text(encoding="ascii")
            assert told, output.read_text(encoding="utf-8")
            yield int(told)
        finally:
            supervisor.terminate()
            past.join(SECONDS)
            supervisor.kill()
    assert supervisor.returncode == 0, output.read_text(encoding="utf-8")


def open_when_ended(process: subprocess.Popen[bytes], pipe: Path) -> None:
    process.wait()
    with contextlib.suppress(OSError):  # nobody waits any more
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
