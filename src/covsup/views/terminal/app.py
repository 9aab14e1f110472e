"""`covsup top`: the application."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import App
from textual.binding import Binding
from textual.containers import Horizontal

from covsup.datafile.errors import CovsupError
from covsup.views.terminal.context_list import NO_LABEL, ContextList
from covsup.views.terminal.delivered import Delivered
from covsup.views.terminal.file_list import FileList
from covsup.views.terminal.footer import Details, HelpLine, Question
from covsup.views.terminal.header import TABS, Header
from covsup.views.terminal.help_screen import HelpScreen
from covsup.views.terminal.mark_list import MarkList
from covsup.views.terminal.pictures import Board, LineStory, Scope, SourcePicture, Wanted
from covsup.views.terminal.process_list import ProcessList
from covsup.views.terminal.reader import Reader
from covsup.views.terminal.search import Search
from covsup.views.terminal.source_list import SourceList

if TYPE_CHECKING:
    from typing import Any

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from covsup.datafile.session.marks import Mark
    from covsup.views.model.view import View
    from covsup.views.sources.source_library import SourceLibrary
    from covsup.views.terminal.palette import Palette
    from covsup.views.terminal.pictures import Describing
    from covsup.views.terminal.row_list import RowList

WIDE: Final = 120
"""From this width on, files and the source are beside each other."""

MESSAGE_SECONDS: Final = 4.0


class TopApp(App[None]):
    """The view of one session or data file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(index), f"tab('{tab}')", show=False) for index, tab in enumerate(TABS, 1)),
        Binding("tab", "next_tab(1)", show=False, priority=True),
        Binding("shift+tab", "next_tab(-1)", show=False, priority=True),
        Binding("escape", "leave", show=False),
        Binding("slash", "search", show=False),
        Binding("f3", "match(1)", show=False),
        Binding("shift+f3,f15", "match(-1)", show=False),
        Binding("n", "new_or_match", show=False),
        Binding("N", "match(-1)", show=False),
        Binding("s", "sort", show=False),
        Binding("S", "reverse", show=False),
        Binding("m", "mark", show=False),
        Binding("f", "follow", show=False),
        Binding("question_mark,h,f1", "help", show=False),
        Binding("q,f10", "quit", show=False),
    ]

    ENABLE_COMMAND_PALETTE = False
    TITLE = "covsup top"

    CSS = """
    Horizontal { height: 1fr; margin-bottom: 1; }
    #files.beside { width: 52%; }
    """

    def __init__(
        self, view: View, library: SourceLibrary, describing: Describing, palette: Palette
    ) -> None:
        """Show a view. Its first refresh happens in the reading thread."""
        super().__init__(ansi_color=palette.name != "full")
        self.palette = palette
        self._describing = describing
        self.failure: BaseException | None = None
        """What ended the reading thread, if it was not the user."""
        # Not found by queries: those look at the screen on top, which may be the help.
        self._header = Header(palette, describing)
        self._files = FileList(palette, id="files")
        self._source = SourceList(palette, id="source")
        self._lists: dict[str, RowList[Any]] = {
            "processes": ProcessList(palette, describing, id="processes"),
            "files": self._files,
            "source": self._source,
            "contexts": ContextList(palette, id="contexts"),
            "marks": MarkList(palette, id="marks"),
        }
        self._details = Details(palette)
        self._help_line = HelpLine(palette)
        self._question = Question(palette)
        self._reader = Reader(view, library, describing, self._deliver)
        self.board = Board()
        self._tab = "processes"
        self._path = ""
        self._since: Mark | None = None
        self._scope: Scope | None = None
        self._follows = False
        self._is_wide = False
        self._search = Search("")
        self._message = ("", 0.0)
        self._was_live: bool | None = None
        self._marks_before = -1  # 0 or more: a mark was set, and is not seen yet

    # Parts.

    def compose(self) -> ComposeResult:
        """The header, the lists, and the rows at the bottom."""
        yield self._header
        with Horizontal():
            yield from self._lists.values()
        yield self._details
        yield self._help_line
        yield self._question

    def on_mount(self) -> None:
        """Begin to read."""
        if self.palette.name != "full":
            self.theme = "ansi-dark"
        self.screen.styles.background = self.palette.background
        self._show_tab("processes")
        self.set_interval(1.0, self._tick)
        self._reader.start()

    def on_unmount(self) -> None:
        """End the reading thread."""
        self._reader.stop()

    @property
    def _list(self) -> RowList[Any]:
        """The list that has the keys."""
        return self._lists[self._tab]

    # What the reading thread delivers.

    def _deliver(self, picture: Board | SourcePicture | LineStory | Exception) -> None:
        """Take a picture, in the reading thread."""
        self.post_message(Delivered(picture))

    def on_delivered(self, message: Delivered) -> None:
        """Show a picture."""
        if not self._header.is_attached:
            return  # the application ends
        match message.picture:
            case Exception() as failure:
                self.failure = failure
                self.exit()
                return
            case Board() as board:
                self._show_board(board)
            case SourcePicture() as source if source.path == self._path:
                self._source.show(source)
                if self._follows and source.fresh:
                    self._go_to_line(max(source.fresh))
                self._want()
            case LineStory() as story:
                self._source.show_story(story)
            case _:
                return  # of a file that is not shown any more
        self._show_details()

    def _show_board(self, board: Board) -> None:
        self.board = board
        if self._was_live and not board.is_live:
            name = board.place.name if board.place is not None else ""
            self._say(f"The session has ended. This is its result, from {name}.")
        self._was_live = board.is_live
        if 0 <= self._marks_before < len(board.marks):
            # The mark that was set here is the last one now.
            self._marks_before = -1
            if self._since is not None:
                self._since = board.marks[-1].mark
        self._header.board = board
        self._header.redraw()
        for each in self._lists.values():
            if each.display:
                self._fill(each)
        if not self._path and board.files:
            self._path = min(board.files, key=lambda row: row.name).key
        if self._follows:
            self._follow(board)
        self._want()

    def _fill(self, rows: RowList[Any]) -> None:
        """Give a list the rows of the board. Lists that are not in sight wait."""
        if not isinstance(rows, SourceList):
            rows.show(self.board)  # type: ignore[attr-defined]

    def _want(self, *, read_now: bool = False) -> None:
        """Say to the reading thread what is shown."""
        shows_source = self._source.display
        visible = [row.key for row in self._files.visible_rows] if self._files.display else []
        self._reader.want(
            Wanted(
                path=self._path if shows_source else "",
                line=self._source.line if shows_source else 0,
                since=self._since,
                visible=tuple(visible),
                scope=self._scope,
            ),
            read_now=read_now,
        )

    def _tick(self) -> None:
        """Ages and the clock go on."""
        self._header.redraw()
        for each in self._lists.values():
            if each.display:
                each.redraw()
        self._show_help()

    # Tabs.

    def _show_tab(self, tab: str) -> None:
        self._tab = tab
        beside = self._is_wide and tab in {"files", "source"}
        for name, each in self._lists.items():
            each.display = name == tab or (beside and name in {"files", "source"})
            if each.display:
                self._fill(each)
        self._files.set_class(beside, "beside")
        self._header.tab = tab
        self._header.redraw()
        self._list.focus()
        self._want()
        self._show_details()
        self._show_help()

    def on_resize(self, event: events.Resize) -> None:
        """Put files and source beside each other, or not."""
        was_wide, self._is_wide = self._is_wide, event.size.width >= WIDE
        if was_wide != self._is_wide:
            self._show_tab(self._tab)

    def on_header_tab_chosen(self, message: Header.TabChosen) -> None:
        """A tab was clicked."""
        self._show_tab(message.tab)

    def on_row_list_moved(self) -> None:
        """The cursor moved: other details, and perhaps another source."""
        if self._tab == "files" and self._source.display and self._files.current is not None:
            self._path = self._files.current.key
        self._want()
        self._show_details()

    def on_row_list_opened(self) -> None:
        """A row was chosen."""
        current: Any = self._list.current  # each tab has rows of its own type
        match self._tab:
            case _ if current is None:
                return
            case "processes" if current.image_id:
                command = self._describing.short_command(current.argv, 24)
                self._choose(Scope(current.image_id, "", f"{current.pid} {command}"))
            case "contexts":
                self._choose(Scope("", current.key, current.key or NO_LABEL))
            case "files":
                self._path = current.key
                self._show_tab("source")
            case "marks":
                self._since = current.mark
                self._show_tab("files")
            case _:
                return

    def _choose(self, scope: Scope | None) -> None:
        self._scope = scope
        self._header.scope = scope.title if scope is not None else ""
        if scope is not None:
            self._show_tab("files")
        self._want()

    # Keys.

    def action_tab(self, tab: str) -> None:
        """Show a tab."""
        self._show_tab(tab)

    def action_next_tab(self, by: int) -> None:
        """Show the next tab."""
        if not self._question.display and not isinstance(self.screen, HelpScreen):
            tabs = list(TABS)
            self._show_tab(tabs[(tabs.index(self._tab) + by) % len(tabs)])

    def action_leave(self) -> None:
        """End one thing: the search, following, the choice, the source."""
        if self._search:
            self._set_search(Search(""))
        elif self._follows:
            self._follows = False
        elif self._tab == "source":
            self._show_tab("files")
        elif self._scope is not None:
            self._choose(None)
        elif self._since is not None:
            self._since = None
            self._want()
        else:
            self._show_tab("processes")
        self._show_help()

    def action_search(self) -> None:
        """Ask for a text."""
        self._question.ask("search", "/", "text, then Enter")

    def action_match(self, step: int) -> None:
        """Go to the next match."""
        if not self._search:
            self._say("/ searches" if step > 0 else "No search. / begins one.")
        elif not self._list.find(self._search, self._list.cursor + step, step):
            self._say(f"Not found: {self._search.text}")

    def action_new_or_match(self) -> None:
        """The next match while a search goes on, as in less. Otherwise: what is new since the mark."""
        if self._search:
            self.action_match(1)
            return
        marks = self.board.marks
        if self._since is not None:
            self._since = None
        elif marks:
            self._since = marks[-1].mark
        else:
            self._say("No mark yet. m sets one; n then shows what is new since it.")
        self._want()
        self._show_help()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._sort("next")

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self._sort("reverse")

    def _sort(self, how: str) -> None:
        sorting = getattr(self._list, "sorting", None)
        if sorting is None:
            return
        getattr(sorting, how)()
        self._list.show(self.board)  # type: ignore[attr-defined]
        self._say(f"Sorted by {sorting.name}")

    def action_mark(self) -> None:
        """Ask for the name of a mark."""
        if self._describing.set_mark is None or not self.board.is_live:
            self._say("A mark can only be set in a running session.")
            return
        automatic = self._automatic_name()
        self._question.ask("mark", "Name of the mark:", f"Enter alone: {automatic}")

    def _automatic_name(self) -> str:
        return f"mark {len(self.board.marks) + 1}"

    def action_follow(self) -> None:
        """Show the source that moves, or stop to."""
        self._follows = not self._follows
        if self._follows:
            self._show_tab("source")
            self._follow(self.board)
        self._show_help()

    def _follow(self, board: Board) -> None:
        """Show the file that moved last."""
        newest = max(board.files, key=lambda row: row.changed_ns, default=None)
        if newest is not None and newest.changed_ns and newest.key != self._path:
            self._path = newest.key
            self._want()

    def _go_to_line(self, line: int) -> None:
        rows = list(self._source.rows)
        if line in rows:
            self._source.move_to(rows.index(line))

    def action_help(self) -> None:
        """Show all keys."""
        self.push_screen(HelpScreen(self.palette))

    # Questions.

    def on_question_changed(self, message: Question.Changed) -> None:
        """Search while the text is typed."""
        if message.kind == "search":
            self._set_search(Search(message.text))
            if message.text:
                self._list.find(self._search, self._list.cursor, 1)

    def on_question_answered(self, message: Question.Answered) -> None:
        """Search, or set the mark."""
        self._list.focus()
        if message.kind == "search":
            if message.text and not self._list.find(self._search, self._list.cursor, 1):
                self._say(f"Not found: {message.text}")
        else:
            self._set_mark(message.text.strip() or self._automatic_name())
        self._show_help()

    def on_question_given(self, message: Question.Given) -> None:
        """No answer."""
        if message.kind == "search":
            self._set_search(Search(""))
        self._list.focus()
        self._show_help()

    def _set_search(self, search: Search) -> None:
        self._search = search
        for each in self._lists.values():
            each.search = search
            each.redraw()
        self._show_help()

    def _set_mark(self, name: str) -> None:
        place = self.board.place
        if self._describing.set_mark is None or place is None:
            return
        try:
            self._describing.set_mark(place, name)
        except (CovsupError, OSError) as error:
            self._say(str(error))
            return
        self._say(f"Mark set: {name}. n shows what is new since.")
        self._marks_before = len(self.board.marks)
        self._want(read_now=True)

    # The rows at the bottom.

    def _say(self, text: str) -> None:
        self._message = (text, time.monotonic() + MESSAGE_SECONDS)
        self._show_help()

    def _show_details(self) -> None:
        self._details.show(self._list.details())

    def _show_help(self) -> None:
        text, until = self._message
        if text and time.monotonic() > until:
            self._message, text = ("", 0.0), ""
        self._help_line.show(self._keys(), text)

    def _keys(self) -> list[tuple[str, str]]:
        """The keys that matter now."""
        if self._search:
            return [("n", "Next match"), ("N", "Previous"), ("Esc", "End search"), ("?", "Help")]
        new = "All lines" if self._since is not None else "New since mark"
        keys = [("?", "Help"), ("/", "Search"), ("m", "Mark"), ("n", new)]
        if self._tab == "source":
            which = "new" if self._since or self._scope else "missing"
            keys += [("[ ]", f"Go to {which}"), ("f", "Stop" if self._follows else "Follow")]
        elif self._tab == "marks":
            keys.append(("Enter", "New since"))
        else:
            keys.append(("s", "Sort"))
            keys.append(("Enter", "Source" if self._tab == "files" else "Its lines"))
        if self._tab == "source" or self._scope or self._since:
            keys.append(("Esc", "Back"))
        return [*keys, ("q", "Quit")]
