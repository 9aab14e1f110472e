__all__ = [
    "one",
    "two",
]


def one():
    return 1


def two():
    if one():
        return 2
    return 3


def hidden():
    return 4
