class Point:
    __match_args__ = ("x", "y")

    def __init__(self, x, y):
        self.x = x
        self.y = y


def sequences(value):
    match value:
        case []:
            return "empty"
        case [x]:
            return x
        case [1, y]:
            return y
        case [x, [y, *_], *rest]:
            return rest
        case (first, *middle, last):
            return middle
        case _:
            return "no sequence"


def mappings(value):
    match value:
        case {"a": 1}:
            return "a1"
        case {"a": x, "b": y}:
            return x, y
        case {"c": {"d": z}}:
            return z
        case {"e": 1, **rest}:
            return rest
        case {}:
            return "some mapping"
        case _:
            return "no mapping"


def classes(value):
    match value:
        case Point(0, 0):
            return "origin"
        case Point(x=0):
            return "on y"
        case Point(x, y=0):
            return "on x"
        case Point(Point(), Point() as inner):
            return inner
        case int(number) | float(number):
            return number
        case str():
            return "text"
        case Point():
            return "somewhere"


def guards(value, limit):
    match value:
        case [x, y] if x > y:
            return "greater"
        case [x, y] if x == limit:
            return "limit"
        case [x, y] if y and limit:
            return "multi line"
        case int() if value:
            return "true number"
        case _ if limit:
            return "limited"
        case _:
            return "rest"


def failing_guard(value):
    try:
        match value:
            case int() if 1 / value:
                return "divided"
            case int():
                return "int"
    except ZeroDivisionError:
        return "zero"


def multi_line(value):
    match (
        value,
        value,
    ):
        case (
            1,
            2,
        ):
            return "different"
        case (
            (1 | 2) as a,
            b,
        ):
            return (
                a,
                b,
            )
    return "none"


def nested(value):
    match value:
        case [x, *_]:
            match x:
                case 1:
                    return "one"
                case [y]:
                    match y:
                        case 2:
                            return "two"
            return "inner"
    return "outer"


def failing_subject(value):
    try:
        match value.missing:
            case 1:
                return 1
            case _:
                return 2
    except AttributeError:
        return 3


class Odd(type):
    def __instancecheck__(cls, instance):
        raise RuntimeError


class Never(metaclass=Odd):
    pass


def failing_pattern(value):
    try:
        match value:
            case 1:
                return 1
            case Never():
                return 2
            case _:
                return 3
    except RuntimeError:
        return 4


class Refusing:
    def __eq__(self, other):
        raise ValueError

    __hash__ = None


def failing_compare(value):
    try:
        match value:
            case 1:
                return 1
            case _:
                return 2
    except ValueError:
        return 3


def last_in_function(value):
    match value:
        case [1]:
            value = 1
        case [2]:
            value = 2


for item in ([], [1], [1, 2], [3, [4, 5], 6], [2, 3, 4], 5):
    sequences(item)
for item in ({"a": 1}, {"a": 2, "b": 3}, {"c": {"d": 4}}, {"e": 1, "f": 2}, {"z": 1}, 5):
    mappings(item)
for item in (Point(0, 0), Point(0, 1), Point(1, 0), 5, 1.5, "x", Point(1, 1), None):
    classes(item)
for item in ([2, 1], [1, 2], [0, 2], 5, 0, []):
    guards(item, 1)
guards("", 0)
failing_guard(0)
failing_guard(1)
failing_guard("x")
multi_line(1)
multi_line(3)
nested([1])
nested([[2]])
nested([[3]])
nested([])
failing_subject(1)
failing_pattern(2)
failing_compare(Refusing())
last_in_function([2])
