"""`covsup diff`: show what one measurement covers that another does not."""

from __future__ import annotations

import sys

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser, add_file_arguments, columns
from covsup.supervisor.errors import COVERAGE_LOST

if TYPE_CHECKING:
    from collections.abc import Sequence


def make_parser(prog: str = "covsup diff") -> Parser:
    """The parser of its arguments."""
    parser = Parser(
        prog=prog,
        description="Show the lines and branches that are newly covered and no longer covered, by"
        " file and context. Where the sources differ, lines are matched by their text.",
        epilog="OLD and NEW are data files, session directories (also while they run), ids of"
        " sessions, or marks: mark:NAME is a mark of the newest session, PLACE@mark:NAME one of"
        " another session or data file.\n\n"
        "exit status: 0; 1 if a place cannot be read; 3 with --fail-on=lost if something is no longer"
        " covered",
    )
    parser.add_argument("old", metavar="OLD", help="the measurement to compare with")
    parser.add_argument(
        "new",
        nargs="?",
        metavar="NEW",
        help="the other one. Default: now, of the session of the mark if OLD is one, or else of the"
        " newest session, combined or not",
    )
    parser.add_argument(
        "--format",
        choices=("text", "markdown", "json"),
        default="text",
        help="how to print the answer; markdown suits a comment on a pull request. Default: text",
    )
    parser.add_argument(
        "--fail-on",
        choices=("lost",),
        help="exit with status 3 if something is no longer covered",
    )
    for side in ("old", "new"):
        parser.add_argument(
            f"--{side}-source",
            metavar="REV|DIR",
            help=f"the sources that {side.upper()} measured: a git revision, or a directory with the"
            " files of this one. Default: the working tree, or the measured version in git's history",
        )
    add_file_arguments(parser)
    return parser


def run(words: Sequence[str]) -> int:
    """Print the difference, and give the exit status. Raises CovsupError."""
    options = make_parser().parse_args(words[1:])
    from covsup.supervisor.messages import printable
    from covsup.supervisor.sessions.view_moments import moments_to_compare
    from covsup.supervisor.settings.combine_settings import CombineSettings
    from covsup.supervisor.settings.coverage_settings import config_file_argument
    from covsup.views.answers.diff.as_json import diff_as_json
    from covsup.views.answers.diff.as_markdown import diff_as_markdown
    from covsup.views.answers.diff.as_text import diff_as_text
    from covsup.views.answers.diff.compare import compare
    from covsup.views.answers.diff.side import read_sides
    from covsup.views.answers.diff.texts import Texts
    from covsup.views.sources.source_library import SourceLibrary

    settings = CombineSettings.of_command(options.rcfile, options.data_file)
    old, new = moments_to_compare(options.old, options.new, settings.data_file)
    texts = (
        Texts(options.old_source, "--old-source"),
        Texts(options.new_source, "--new-source"),
    )
    sides = read_sides(old, new, settings.map_path())
    with SourceLibrary(config_file_argument(options.rcfile)) as library:
        diff = compare(*sides, *texts, library)
    if options.format == "json":
        sys.stdout.write(f"{diff_as_json(diff)}\n")
    elif options.format == "markdown":
        sys.stdout.write(diff_as_markdown(diff))
    else:
        sys.stdout.writelines(f"{printable(line)}\n" for line in diff_as_text(diff, columns()))
    return COVERAGE_LOST if options.fail_on == "lost" and diff.has_lost else 0
