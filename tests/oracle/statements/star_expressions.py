def calls(*arguments, **options):
    return arguments


def unpack(items):
    first, *rest = items
    *start, last = items
    a, *b, c = items
    [d, *e] = items
    (f, (g, *h)) = items[0], items
    return first


def displays(items):
    a = [*items, *items]
    b = {*items}
    c = {"k": 1, "l": 2}
    d = *items, 1
    return (
        *a,
        *b,
    )


def arguments(items, mapping):
    calls(*items)
    calls(**mapping)
    calls(
        *items,
        1,
        *items,
        k=2,
        **mapping,
    )
    return calls(*(item for item in items if item))


def fails(items):
    try:
        a, b = items
    except ValueError:
        return 1
    try:
        a, *b, c, d, e = items
    except ValueError:
        return 2
    return 3


def chained():
    a = b = c = [1, 2]
    a[0], b[1] = b[1], a[0]
    (d), [e] = 1, [2]
    a[0] += 1
    a[0] -= 1
    return a


unpack([1, 2, 3])
displays([1, 2])
arguments([0, 1], {"m": 1})
fails([1, 2])
fails([1, 2, 3])
chained()
for a, *b in [(1, 2), (3,)]:
    if b:
        c = b
for a in *[1], *[2]:
    c = a
