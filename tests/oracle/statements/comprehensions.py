def one_line(items):
    a = [item for item in items if item]
    b = {item for item in items}
    c = {item: 1 for item in items if item if item > 1}
    d = list(item for item in items)
    return a, b, c, d


def multi_line(items):
    return [item + 1 for item in items if item if item > 1]


def nested(rows):
    return [[item for item in row if item] for row in rows if row]


def two_loops(rows):
    return {item for row in rows for item in row if item}


def dictionary(items):
    return {key: value for key, value in items.items() if value}


def conditional(items):
    return ["yes" if item else "no" for item in items]


def with_lambda(items):
    return [(lambda x: x + 1)(item) for item in items]


def with_walrus(items):
    return [half for item in items if (half := item // 2)]


def failing(items):
    try:
        return [1 / item for item in items]
    except ZeroDivisionError:
        return "zero"


def in_conditions(items):
    if [item for item in items if item]:
        x = 1
    else:
        x = 2
    for y in [item for item in items if item]:
        x = y
    while any(item for item in items):
        items = []
    return x


def as_arguments(items):
    return sum(item for item in items if item), max(
        (item for item in items),
        default=0,
    )


def closures(items):
    functions = [lambda: item for item in items]
    return [function() for function in functions]


def over_nothing():
    return [item for item in ()]


def not_called(items):
    return [item for item in items]


class Body:
    items = [1, 2]
    doubled = [item * 2 for item in items]
    more = {item: item for item in (1, 2)}


one_line([0, 1, 2])
multi_line([0, 1, 2])
nested([[0, 1], []])
two_loops([[0], [1]])
dictionary({"a": 1, "b": 0})
conditional([0])
with_lambda([1])
with_walrus([1, 2])
failing([1, 0])
in_conditions([])
in_conditions([1])
as_arguments([1])
closures([1, 2])
over_nothing()
module_level = [item for item in range(3) if item]
if [x for x in module_level if x > 5]:
    over_nothing()
