"""Of the module,

in several lines.
"""


def function():
    """Of a function."""
    return 1


def several_lines():
    """
    Of a function,
    in several lines.
    """
    x = 1
    """A string in the middle."""
    return x


def only():
    """Only this."""


def uncalled():
    """Never."""


class Class:
    """Of a class."""

    attribute = 1
    """Of an attribute."""

    def method(self):
        "With single quotes."

    def other(self):
        r"""Raw."""
        if self:
            """In a branch."""
        else:
            """In the other."""
        return 1


async def coroutine():
    """Of a coroutine."""
    return 1


function()
several_lines()
only()
Class().method()
Class().other()
