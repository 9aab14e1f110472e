"""How command lines are shown where there is little room: what tells processes apart stays."""

from __future__ import annotations

import pytest

from covsup.supervisor.short_commands import describe_process, short_command

PYTHON = "/home/somebody/a/very/long/directory/.venv/bin/python3.12"
SCRIPT = "/srv/application/releases/17/server.py"


@pytest.mark.parametrize(
    ("argv", "room", "expected"),
    [
        ([PYTHON, "x.py"], None, f"{PYTHON} x.py"),
        ([PYTHON, "x.py"], 80, f"{PYTHON} x.py"),
        ([PYTHON, "x.py"], 40, "python3.12 x.py"),
        ([PYTHON, SCRIPT, "--port", "1"], 50, "python3.12 server.py --port 1"),
        ([PYTHON, SCRIPT, "a" * 40, "last"], 40, "python3.12 server.py aaaaaaaaaaa…aa last"),
        ([PYTHON, "-Xdev", "-u", "x.py", "a" * 40, "last"], 24, "x.py aaaaaaaaaaa…aa last"),
        ([PYTHON, "-m", "package.module", "a" * 40, "z"], 40, "python3.12 -m package.module aaaaaa…aa z"),
        ([PYTHON, "-m", "package.module"], 20, "package.module"),
        ([PYTHON, "-c", "import os; " * 9, "last"], 40, "python3.12 -c import os; impo… os;  last"),
        ([PYTHON, "a_script_with_a_very_long_name_1.py"], 20, "a_script_wit…me_1.py"),
        (["/usr/bin/env", "X=" + "1" * 40, "python", "x.py"], 30, "env X=1111111111111…ython x.py"),
        ([PYTHON], 12, "python3.12"),
        ([PYTHON], 6, "pyt…12"),
        (["sh", "-c", ""], None, "sh -c ''"),
        (["", "x"], None, "'' x"),
        ([], 10, ""),
        (["a\nb"], None, "a\\nb"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_left_out_where_it_tells_least(
    argv: list[str], room: int | None, expected: str
) -> None:
    assert short_command(argv, room) == expected
    if room is not None:
        assert len(expected) <= room


def test_no_room_is_too_small() -> None:
    for argv in ([PYTHON, SCRIPT, "--port", "1"], ["sh", "-c", "x" * 50], [PYTHON, "-c", "pass"]):
        for room in range(80):
            assert len(short_command(argv, room)) <= room, (argv, room)
            assert len(short_command(argv, room, cut="..")) <= room, (argv, room)


def test_a_process_in_a_message_has_no_path_of_its_interpreter() -> None:
    assert describe_process(7, [PYTHON, "x.py"]) == "7 (python3.12 x.py)"
    assert describe_process(7, []) == "7"
    assert len(describe_process(7, [PYTHON, "x.py", "y" * 200])) <= 70
