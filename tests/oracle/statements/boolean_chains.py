def truth(value):
    return value


def chains(a, b, c):
    if a and b and c:
        x = 1
    elif a or b or c:
        x = 2
    else:
        x = 3
    if not a:
        x += 1
    if not (a and b) or c:
        x += 1
    if a and (b or c):
        x += 1
    else:
        x -= 1
    return x


def multi_line(a, b, c):
    if a and truth(b) and not c:
        return 1
    if truth(a) or truth(b):
        return 2
    return 3


def comparison(a, b, c):
    if a < b < c:
        return 1
    if a == b == c or a != b:
        return 2
    while a < b < 100:
        a = 100
    return 3


def only_one_way(a, b):
    if a and b:
        return 1
    if a or b:
        return 2
    return 3


def as_values(a, b):
    x = a and b
    y = a or b
    z = not a
    w = (a and b) or x
    return (a and b) or None


def in_while(a, b):
    while (a and b) or a > 5:
        a -= 1
    while not (a or b):
        b = 1
    return a


def constants(a):
    if a and True:
        x = 1
    if a or False:
        x = 2
    if True and a:
        x = 3
    if False or a:
        x = 4
    if a and 0:
        x = 5
    if a or 1:
        x = 6
    return x


def raising(a):
    try:
        if a and 1 / a and missing:
            return 1
        return 2
    except NameError:
        return 3


def is_and_in(a, b):
    if a is None or a not in b:
        return 1
    if a in b and b is not None:
        return 2
    return 3


for a in (0, 1):
    for b in (0, 1):
        for c in (0, 1):
            chains(a, b, c)
multi_line(1, 1, 0)
multi_line(0, 1, 0)
multi_line(0, 0, 0)
comparison(1, 2, 3)
comparison(1, 1, 1)
comparison(1, 1, 0)
only_one_way(1, 0)
as_values(0, 1)
as_values(1, 1)
in_while(6, 0)
in_while(0, 0)
constants(0)
constants(1)
raising(0)
raising(1)
is_and_in(None, ())
is_and_in(1, [1])
