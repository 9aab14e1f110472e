class Undecided:
    def __bool__(self):
        raise ValueError


class Counting:
    def __init__(self, count):
        self.count = count

    def __bool__(self):
        self.count -= 1
        if self.count < 0:
            return False
        return True

    def __len__(self):
        return 0


def ask(value):
    try:
        if value:
            return 1
        return 2
    except ValueError:
        return 3


def ask_not(value):
    try:
        if not value:
            return 1
        while value:
            return 2
    except ValueError:
        return 3


def loop(value):
    count = 0
    while value:
        count += 1
    return count


def undecided_loop(value):
    while value:
        return 1
    return 2


def compared(a, b):
    try:
        if a < b:
            return 1
        return 2
    except TypeError:
        return 3


def contained(a, b):
    try:
        if a in b:
            return 1
        if a is b:
            return 2
    except TypeError:
        return 3


def none_checks(value):
    if value is None:
        return 1
    if value is not None:
        x = 2
    while value is not None:
        value = None
    return x


for item in (0, 1, Undecided(), Counting(1)):
    ask(item)
    ask_not(item)
loop(Counting(3))
try:
    undecided_loop(Undecided())
except ValueError:
    pass
compared(1, 2)
compared(1, "x")
contained(1, 2)
contained(1, [1])
none_checks(None)
none_checks(1)
