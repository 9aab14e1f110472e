import enum


class Color(enum.Enum):
    RED = 1
    BLUE = 2


def literals(value):
    match value:
        case 1:
            return "one"
        case -1:
            return "minus one"
        case 1.5 | 2.5:
            return "halves"
        case "text":
            return "text"
        case b"bytes":
            return "bytes"
        case None:
            return "none"
        case True:
            return "true"
        case Color.RED:
            return "red"
        case Color.BLUE:
            return "blue"
    return "nothing"


def with_wildcard(value):
    match value:
        case 1:
            x = "one"
        case 2:
            x = "two"
        case _:
            x = "other"
    return x


def with_capture(value):
    match value:
        case 1:
            x = "one"
        case other:
            x = other
    return x


def with_as(value):
    match value:
        case (1 | 2) as number:
            return number
        case int() as number:
            return -number
    return None


def without_default(value):
    match value:
        case 1:
            x = 1
    match value:
        case 2:
            x = 2
        case 3:
            pass


def always_first(value):
    match value:
        case 1:
            return "one"
        case 2:
            return "two"
        case _:
            return "other"


def never_first(value):
    match value:
        case 1:
            return "one"
        case 2:
            return "two"
        case _:
            return "other"


def no_case(value):
    match value:
        case 1:
            return "one"
        case 2:
            return "two"


def not_called(value):
    match value:
        case 1:
            return "one"
        case _:
            return "other"


def one_line(value):
    match value:
        case 1:
            return "one"
        case 2:
            x = 2
        case _:
            return "other"
    return x


def only_wildcard(value):
    match value:
        case _:
            return 1


def in_loop(values):
    for value in values:
        match value:
            case 1:
                continue
            case 2:
                break
            case 3:
                x = 3
    return values


for number in (1, -1, 1.5, 2.5, "text", b"bytes", None, Color.RED, Color.BLUE, 99):
    literals(number)
for number in (1, 2, 3):
    with_wildcard(number)
    with_capture(number)
    one_line(number)
with_as(1)
with_as(5)
with_as("x")
without_default(1)
always_first(1)
never_first(5)
no_case(9)
only_wildcard(1)
in_loop([1, 3, 4, 2])
