"""Read the command line of a Python interpreter: its options, and what it runs.

The only reader of such command lines. A measured process imports it where a word of its own command
line names covsup or pytest, so it imports nothing. The carrier loads it into Pythons of any version:
it uses no new syntax.
"""

TYPE_CHECKING = False  # importing typing would import it into the target
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_OPTIONS_WITH_VALUE: "Final" = "WX"


class InterpreterCommand:
    """What the command line of an interpreter says."""

    __slots__ = ("kind", "letters", "options", "program", "start")

    def __init__(
        self, options: "tuple[str, ...]", letters: str, kind: str, start: int, program: str
    ) -> None:
        """The parts of a command line that `parse_command_line` has read."""
        self.options = options
        """The interpreter's own options, as they were written."""
        self.letters = letters
        """Those of them that take no value, in one string: "IS"."""
        self.kind = kind
        """ "-c", "-m", or "" for a script, for stdin, or for nothing."""
        self.start = start
        """The index of the word that holds the code, the module or the script. There may be none."""
        self.program = program
        """The code, the module or the script; "" where the command line names none."""


def parse_command_line(argv: "Sequence[str]") -> InterpreterCommand:
    """Read the command line of an interpreter, as CPython's own parser reads it (getopt.c).

    `python -P -Werror -Im covsup run` has the options -P, -Werror and -I, and the module covsup.
    """
    options: list[str] = []
    letters = ""
    index = 1
    while index < len(argv):
        word = argv[index]
        if word == "--check-hash-based-pycs":
            options += [word, *argv[index + 1 : index + 2]]
            index += 1
        elif word == "--":
            index += 1
            break
        elif word.startswith("--"):
            options.append(word)
        elif not word.startswith("-") or word == "-":
            break
        else:
            for at, letter in enumerate(word[1:], 1):
                if letter in "cm":
                    options += [word[:at]] if at > 1 else []
                    glued = word[at + 1 :]
                    start = index if glued else index + 1
                    program = glued or "".join(argv[start : start + 1])
                    return InterpreterCommand(tuple(options), letters, "-" + letter, start, program)
                if letter in _OPTIONS_WITH_VALUE:
                    options.append(word)
                    if at == len(word) - 1:
                        index += 1
                        options += argv[index : index + 1]
                    break
                letters += letter
            else:
                options.append(word)
        index += 1
    return InterpreterCommand(tuple(options), letters, "", index, "".join(argv[index : index + 1]))


def runs_covsup(argv: "Sequence[str]") -> bool:
    """Whether an interpreter with this command line runs covsup's own command.

    Such a process belongs to no session: somebody may write `covsup combine` in a shell that has a
    session in its environment.
    """
    if not any(word.endswith("covsup") for word in argv):
        return False  # nearly always, and quickly
    command = parse_command_line(argv)
    if command.kind == "-m":
        return command.program == "covsup"
    return not command.kind and command.program.rpartition("/")[2] == "covsup"
