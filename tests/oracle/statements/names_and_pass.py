def passes(value):
    if value:
        pass
    for _ in range(value):
        pass
    while value > 5:
        pass
    try:
        pass
    except ValueError:
        pass
    finally:
        pass
    with open("/dev/null"):
        pass


def names(value):
    value
    value.real
    value[0] if isinstance(value, list) else value
    1
    "string"
    (value,)
    [value]
    value == 1
    not value
    return value


class Passes:

    def method(self):
        pass


def ellipsis_in_branches(value):
    if value:
        ...
    else:
        ...


passes(0)
passes(1)
names(1)
Passes().method()
ellipsis_in_branches(0)
