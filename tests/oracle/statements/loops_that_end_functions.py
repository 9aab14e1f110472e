"""Loops behind which nothing stands but the end: reached, or left in some other way."""


def ends(items):
    for item in items:
        str(item)


def never_ends(items):
    for item in items:
        if item:
            return item


def raises(items):
    for item in items:
        item / 0


def breaks(items):
    for item in items:
        if item:
            break


def ends_only_later(items):
    for item in items:
        if item:
            return item


def exhausted(items):
    for item in items:
        yield item


def ends_with_condition(value):
    if value:
        str(value)


for _ in range(3):
    ends([1, 2])
    never_ends([0, 1])
    breaks([0, 1])
    ends_only_later([1])
    ends_with_condition(1)
    list(exhausted([1, 2]))
ends_only_later([0, 0])
try:
    raises([1])
except ZeroDivisionError:
    pass
