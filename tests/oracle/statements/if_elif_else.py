def both(value):
    if value > 10:
        return "big"
    if value > 5:
        return "middle"
    if value > 0:
        return "small"
    return "none"


def true_only(value):
    if value:
        result = 1
    else:
        result = 2
    return result


def false_only(value):
    if value:
        result = 1
    else:
        result = 2
    return result


def never(value):
    if value:
        return 1
    return 2


def without_else(value):
    result = 0
    if value:
        result = 1
    if not value:
        result += 2
    if value == 3:
        pass
    return result


def nested(a, b):
    if a:
        if b:
            return 1
        return 2
    if b:
        return 3
    return 4


def last_in_function(value):
    if value:
        value = 2


def raising(value):
    try:
        if value.missing:
            return 1
        return 2
    except AttributeError:
        if value:
            return 3
    return 4


def empty_bodies(value):
    if value:
        pass
    elif value is None:
        ...
    else:
        pass


for number in (11, 6, 1, 0):
    both(number)
true_only(1)
false_only(0)
for number in (0, 3):
    without_else(number)
nested(1, 1)
nested(1, 0)
nested(0, 0)
last_in_function(0)
raising(1)
raising(0)
empty_bodies(1)
if True:
    last_in_function(1)
else:
    never(1)
