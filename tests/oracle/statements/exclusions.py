import sys


def excluded(value):  # pragma: no cover
    if value:
        return 1
    return 2


def partly(value):
    if value:  # pragma: no cover
        return 1
    return 2


def else_excluded(value):
    if value:
        return 1
    # pragma: no cover
    return 2


def no_branch(value):
    if value:  # pragma: no branch
        return 1
    while value:  # pragma: no branch
        value -= 1
    for x in range(2):  # pragma: no branch
        break
    return 2


class Excluded:  # pragma: no cover
    x = 1

    def method(self):
        return 1


class Partly:
    def method(self):
        raise NotImplementedError  # pragma: no cover

    def other(self):  # pragma: no cover
        return 1

    def third(self):
        return 1


def handlers(value):
    try:
        return 1 / value
    except ZeroDivisionError:  # pragma: no cover
        return 2
    except KeyError:
        return 3


def loops(items):
    for item in items:  # pragma: no cover
        x = item
    return 1


@staticmethod  # pragma: no cover
def decorated():
    return 1


def multi_line(
    a,
    b,
):  # pragma: no cover
    return (
        a,
        b,
    )


def matches(value):
    match value:
        case 1:
            return 1
        case 2:  # pragma: no cover
            return 2
        case _:
            return 3


def abstract(): ...  # pragma: no cover


if sys.version_info < (3, 0):  # pragma: no cover
    old = True
else:
    old = False

partly(0)
else_excluded(1)
no_branch(1)
no_branch(0)
Partly().third()
handlers(1)
handlers(0)
loops([1])
matches(1)
matches(3)
