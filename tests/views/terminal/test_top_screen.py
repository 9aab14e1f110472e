"""`covsup top` in a terminal that is not real: what the screen shows, and what keys do."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("textual", reason="textual is not installed: the view extra")

from covsup.datafile.provenance.model import End, Ending
from covsup.views.terminal.palette import COLORS_256, FULL, NONE, SIXTEEN
from tests.views.terminal.scripted_view import Screen, ScriptedView, Unreadable, shown

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = '''\
"""A handler."""

import os


def handle(path):
    if path == "/":
        return "front"
    if path == "/nix":
        return "nothing"
    return os.sep


def never():  # pragma: no cover
    return 1
'''


@pytest.fixture
def view(tmp_path: Path) -> ScriptedView:
    """A view of a server with one worker and one file, of which the module level ran."""
    (tmp_path / "handler.py").write_text(SOURCE)
    made = ScriptedView(tmp_path)
    root = made.start(100, "/usr/bin/python", "server.py", "8000")
    made.start(101, "/usr/bin/python", "server.py", "8000", parent=root)
    made.run(handler(made), [1, 3, 6, 14], by=root)
    return made


def handler(view: ScriptedView) -> str:
    return str(view.place / "handler.py")


def worker(view: ScriptedView) -> str:
    return view.processes[1].image_id


def test_processes_are_a_tree_with_their_lines_and_their_end(view: ScriptedView) -> None:
    async def script(screen: Screen) -> None:
        await screen.until("python server.py 8000", "running", "└─")
        row = next(each for each in screen.rows if " 100 " in each)
        assert row.split()[-3] == "4", row
        view.end(worker(view), Ending(End.KILLED, signal=9))
        await screen.until("SIGKILL")
        assert "f07a7a" in screen.style_of("SIGKILL")

    shown(view, script)


def test_a_process_that_is_not_measured_is_red_and_says_why(view: ScriptedView) -> None:
    view.not_measured(102, "started with -S, which skips the startup files", "python", "-S", "x.py")

    async def script(screen: Screen) -> None:
        await screen.until("not measured: started with -S")
        assert "ff6b6b" in screen.style_of("not measured: started with -S")
        await screen.press("end")
        await screen.until("not measured: started with -S, which skips the startup files")

    shown(view, script)


def test_a_line_turns_green_when_it_runs(view: ScriptedView) -> None:
    async def script(screen: Screen) -> None:
        await screen.until("1 Processes 2")
        await screen.press("2")
        await screen.until("handler.py", "28.6%")
        await screen.press("enter")
        await screen.until('return "front"')
        before = screen.style_of('"front"')
        view.run(handler(view), [7, 8], by=worker(view))
        await screen.until_true(lambda: screen.style_of('"front"') != before, "the line is green")
        assert "1f6b40" in screen.style_of('"front"')  # it ran a moment ago
        assert "33191d" in screen.style_of('"nothing"')  # it is still missing
        await screen.until("57.1%")

    shown(view, script)


def test_a_line_says_who_ran_it_first_and_its_contexts(view: ScriptedView) -> None:
    view.run(handler(view), [7, 8], by=worker(view), context="GET /")
    view.run(handler(view), [7], by=worker(view), context="GET /nix")

    async def script(screen: Screen) -> None:
        await screen.press("3")
        await screen.until('return "front"')
        await screen.press(*["down"] * 6)
        await screen.until(
            "line 7:", "first run by 101 python server.py 8000", "2 contexts: GET /, GET /nix"
        )
        await screen.press("down", "down", "down")
        await screen.until("line 10: it never ran")
        await screen.press("end")
        await screen.until("line 15: it is excluded")

    shown(view, script)


def test_a_mark_and_n_show_only_new_lines(view: ScriptedView) -> None:
    async def script(screen: Screen) -> None:
        await screen.until("1 Processes 2")
        await screen.press("n")
        await screen.until("No mark yet")
        await screen.press("m")
        await screen.until("Name of the mark:")
        await screen.type("log in")
        await screen.press("enter")
        await screen.until("5 Marks 1")
        assert [mark.name for mark in view.marks] == ["log in"]
        view.run(handler(view), [7, 9, 11], by=worker(view))
        await screen.press("n", "2")
        await screen.until("new since log in", "handler.py", "+3")
        await screen.press("enter")
        await screen.until("return os.sep")
        assert green_lines(screen) == {7, 9, 11}
        await screen.press("n")
        await screen.until_gone("new since")
        await screen.until_true(lambda: green_lines(screen) >= {3, 6, 7, 9, 11}, "all lines")

    shown(view, script)


def green_lines(screen: Screen) -> set[int]:
    """The lines of the source with the sign of an executed line."""
    found = set()
    for strip in screen.app.screen._compositor.render_strips():
        segments = list(strip)
        for number, sign in pairwise(segments):
            is_green = sign.style is not None and "4fce86" in str(sign.style.color)
            if sign.text == "▌" and is_green and number.text.strip().isdigit():
                found.add(int(number.text))
    return found


def test_a_mark_gets_a_name_by_itself(view: ScriptedView) -> None:
    async def script(screen: Screen) -> None:
        await screen.until("1 Processes 2")
        await screen.press("m", "enter")
        await screen.until("Mark set: mark 1")
        await screen.press("m", "x", "escape")
        await screen.until_gone("Name of the mark")
        assert [mark.name for mark in view.marks] == ["mark 1"]
        await screen.press("5")
        await screen.until("mark 1", "NEW SINCE")

    shown(view, script)


def test_search_moves_to_matches_and_n_goes_on_until_escape(view: ScriptedView) -> None:
    view.mark("a mark")

    async def script(screen: Screen) -> None:
        await screen.press("3")
        await screen.until('return "front"')
        await screen.press("slash")
        await screen.type("return")
        await screen.press("enter")
        await screen.until("line 8:", "Next match")
        await screen.press("n")
        await screen.until("line 10:")
        await screen.press("N")
        await screen.until("line 8:")
        await screen.press("f3", "f3")
        await screen.until("line 11:")
        assert "e8c268" in screen.style_of("return")
        await screen.press("escape", "n")
        await screen.until("new since a mark")
        await screen.press("slash")
        await screen.type("nowhere")
        await screen.press("enter")
        await screen.until("Not found: nowhere")

    shown(view, script)


def test_s_sorts_by_the_next_column_and_keeps_the_cursor_on_its_row(view: ScriptedView) -> None:
    for number in range(3):
        path = view.place / f"file{number}.py"
        path.write_text("a = 1\n" * 4 + "if a == 2:\n    a = 3\n" * number)
        view.run(str(path), [1])

    async def script(screen: Screen) -> None:
        await screen.press("2")
        await screen.until("file0.py", "file2.py", "25.0%", "12.5%")
        await screen.press("g")
        assert files(screen) == ["file0.py", "file1.py", "file2.py", "handler.py"]
        await screen.press("s", "s")
        await screen.until("Sorted by percent")
        assert files(screen) == ["file2.py", "file1.py", "file0.py", "handler.py"]
        await screen.until("/file0.py")
        await screen.press("S")
        await screen.until("Sorted by percent↓")
        assert files(screen) == ["handler.py", "file0.py", "file1.py", "file2.py"]

    shown(view, script)


def files(screen: Screen) -> list[str]:
    return [row.split()[0] for row in screen.rows[4:20] if ".py" in row]


def test_the_files_of_one_process_or_context_can_be_shown_alone(view: ScriptedView) -> None:
    view.run(handler(view), [7, 8], by=worker(view), context="GET /")
    (view.place / "other.py").write_text("a = 1\n")
    view.run(str(view.place / "other.py"), [1], by=view.processes[0].image_id)

    async def script(screen: Screen) -> None:
        await screen.until("1 Processes 2")
        await screen.press("down", "enter")
        await screen.until("only 101 python server.py", "handler.py", "+2")
        assert "other.py" not in screen.text
        await screen.press("escape")
        await screen.until("other.py")
        await screen.press("4")
        await screen.until("GET /")
        await screen.press("end")
        await screen.press("enter")
        await screen.until("only ")

    shown(view, script)


def test_the_end_of_the_session_is_said_and_its_result_is_shown(view: ScriptedView) -> None:
    async def script(screen: Screen) -> None:
        await screen.until("running")
        for each in view.processes:
            view.end(each.image_id, Ending(End.EXITED, status=0))
        view.is_live, view.place = False, view.place / ".coverage"
        await screen.until("The session has ended", ".coverage", "■ ended", "exit 0")

    shown(view, script)


def test_a_place_that_vanishes_is_said_and_the_last_state_stays(view: ScriptedView) -> None:
    async def script(screen: Screen) -> None:
        await screen.until("1 Processes 2")
        view.fails = Unreadable("cannot read /x/.covsup/1: No such file or directory")
        await screen.until("cannot be read", "cannot read /x/.covsup/1", "python server.py 8000")
        view.fails = None
        await screen.until("running", "python server.py 8000")
        await screen.until_gone("cannot read /x")

    shown(view, script)


def test_a_bug_in_the_reading_thread_is_not_swallowed(view: ScriptedView) -> None:
    view.fails = ZeroDivisionError("a bug")

    async def script(screen: Screen) -> None:
        await screen.until_true(lambda: screen.app.failure is not None, "it failed")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        shown(view, script)


ESCAPE = "\x1b[2J\x07\x9b31m\u202e"


def test_nothing_of_names_or_sources_controls_the_terminal(tmp_path: Path) -> None:
    view = ScriptedView(tmp_path)
    root = view.start(7, "python", f"[red]{ESCAPE}.py")
    view.settings = view.settings._replace(command=(f"[bold]{ESCAPE}",))
    path = tmp_path / f"[red]{ESCAPE}.py"
    path.write_text(f"x = '[red]{ESCAPE}'\n\tif x:\n", encoding="utf-8")
    view.run(str(path), [1], by=root, context=f"[blink]{ESCAPE}")
    view.not_measured(8, f"[red]because{ESCAPE}", "python", ESCAPE)
    view.mark(f"[red]{ESCAPE}")

    async def script(screen: Screen) -> None:
        for tab, text in (
            ("1", "[red]"), ("2", "[red]"), ("3", "[red]"), ("4", "[blink]"), ("5", "[red]"),
        ):  # fmt: skip
            await screen.press(tab)
            await screen.until(text)
            assert all(each.isprintable() for row in screen.rows for each in row), screen.rows
        await screen.press("n", "enter")
        await screen.until("new since [red]")
        assert all(each.isprintable() for row in screen.rows for each in row), screen.rows

    shown(view, script)


def test_a_file_without_a_source_says_why(tmp_path: Path) -> None:
    view = ScriptedView(tmp_path)
    view.run(str(tmp_path / "gone.py"), [1, 2])
    (tmp_path / "broken.py").write_text("def (:\n")
    view.run(str(tmp_path / "broken.py"), [1])

    async def script(screen: Screen) -> None:
        await screen.press("2")
        await screen.until("gone.py", "broken.py", "cannot be analysed"[:10])
        await screen.press("end")
        await screen.until("there is no such file")
        await screen.press("enter")
        await screen.until("there is no such file")

    shown(view, script)


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (40, 10), (20, 5), (10, 3), (3, 1)])
def test_every_size_of_terminal_works(view: ScriptedView, size: tuple[int, int]) -> None:
    view.not_measured(102, "because", "python", "x.py")
    view.mark("a mark")

    async def script(screen: Screen) -> None:
        for key in ("1", "2", "3", "4", "5", "question_mark", "escape", "slash", "x", "enter", "n"):
            await screen.press(key)
        assert all(len(row) == size[0] for row in screen.rows)

    shown(view, script, size=size)


def test_a_terminal_may_change_its_size(view: ScriptedView) -> None:
    async def script(screen: Screen) -> None:
        await screen.press("2")
        await screen.until("handler.py")
        await screen.pilot.resize_terminal(150, 40)
        await screen.until('return "front"')  # files and source beside each other
        await screen.pilot.resize_terminal(60, 12)
        await screen.until_gone('return "front"')
        assert all(len(row) == 60 for row in screen.rows)

    shown(view, script)


@pytest.mark.parametrize("palette", [SIXTEEN, NONE], ids=lambda palette: palette.name)
def test_a_terminal_with_few_colours_gets_only_those(view: ScriptedView, palette: object) -> None:
    async def script(screen: Screen) -> None:
        for key in ("1", "2", "3", "4", "5", "question_mark"):
            await screen.press(key)
            await screen.pilot.pause()
            for strip in screen.app.screen._compositor.render_strips():
                for segment in strip:
                    for color in (segment.style.color, segment.style.bgcolor):
                        is_plain = color is None or color.is_default or color.number is not None
                        assert is_plain, (segment.text, str(segment.style))
            await screen.press("escape")

    shown(view, script, palette=palette)  # type: ignore[arg-type]


def test_without_colours_letters_say_what_ran(view: ScriptedView) -> None:
    async def script(screen: Screen) -> None:
        await screen.press("3")
        await screen.until("3 > import os", "7 !     if path", "14 - def never")

    shown(view, script, palette=NONE)


def test_the_view_goes_on_below_the_help(view: ScriptedView) -> None:
    async def script(screen: Screen) -> None:
        await screen.until("1 Processes 2")
        await screen.press("question_mark")
        await screen.until("keys and signs")
        before = view.refreshes
        view.end(worker(view), Ending(End.KILLED, signal=9))
        await screen.until_true(lambda: view.refreshes > before + 1, "it reads on")
        await screen.press("escape")
        await screen.until("SIGKILL")

    shown(view, script)


def test_follow_shows_the_lines_that_run(view: ScriptedView) -> None:
    other = view.place / "other.py"
    other.write_text("a = 1\n" * 100)
    view.run(str(other), [1])

    async def script(screen: Screen) -> None:
        await screen.until("2 Files 2")
        await screen.press("f")
        view.run(str(other), [80])
        await screen.until("other.py", "line 80:")
        view.run(handler(view), [7, 8], by=worker(view))
        await screen.until("handler.py", "line 8:")

    shown(view, script)


def test_many_processes_and_files_cost_only_the_rows_in_sight(tmp_path: Path) -> None:
    view = ScriptedView(tmp_path)
    root = view.start(1, "python", "server.py")
    for number in range(1000):
        view.start(10 + number, "python", "worker.py", str(number), parent=root)
    for number in range(3000):
        view.run(str(tmp_path / f"module{number:04}.py"), range(1, 300), by=root)

    async def script(screen: Screen) -> None:
        await screen.until("1 Processes 1,001", "2 Files 3,000")
        drawn = 0
        processes = screen.app.query_one("#processes")
        original = processes.draw

        def counting(row: object, width: int) -> object:
            nonlocal drawn
            drawn += 1
            return original(row, width)

        processes.draw = counting  # type: ignore[method-assign, assignment]
        began = time.process_time()
        await screen.press("end")
        await screen.until(" worker.py 999")
        assert drawn < 24 * 8
        await screen.press("home", "2", "end")
        await screen.until("module2999.py")
        assert time.process_time() - began < 10

    shown(view, script)


def test_the_palettes_have_all_styles() -> None:
    for palette in (FULL, COLORS_256, SIXTEEN, NONE):
        assert all(part is not None for part in palette)
