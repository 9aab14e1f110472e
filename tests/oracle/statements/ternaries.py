def plain(a):
    x = 1 if a else 2
    return x if a else -x


def multi_line(a):
    return 1 if a else 2


def nested(a, b):
    return 1 if a else 2 if b else 3


def in_if(a, b):
    if a if b else not a:
        return 1
    if 1 if a else 0:
        return 2
    return 3


def in_calls(a):
    return max(
        1 if a else 2,
        3 if not a else (4),
    )


def one_way(a):
    return 1 if a else 2


def in_loops(a):
    for x in [1] if a else []:
        y = x
    while a or 0:
        a = 0
    return a


def not_called(a):
    return 1 if a else 2


for a in (0, 1):
    plain(a)
    multi_line(a)
    in_if(a, 1)
    in_calls(a)
    in_loops(a)
nested(0, 0)
one_way(1)
