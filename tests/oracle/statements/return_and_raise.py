def after_return():
    return 1
    x = 2


def after_raise():
    raise ValueError
    x = 2


def after_if_else(value):
    if value:
        return 1
    return 2
    x = 3


def return_in_loops(items):
    for item in items:
        for inner in item:
            if inner == 2:
                return "two"
            while inner:
                return "inner"
    return "end"


def return_in_with_in_loop(items):
    for item in items:
        with open("/dev/null"):
            if item:
                return item


def raise_from(error):
    try:
        raise error
    except ValueError as caught:
        raise KeyError from caught
    except IndexError:
        raise KeyError from None


def raise_in_loop(items):
    for item in items:
        if item:
            raise ValueError(
                item,
            )
    return "end"


def raise_through(error):
    caller(error)
    return "not reached"


def caller(error):
    raise error


def after_break(items):
    for item in items:
        break
        x = 1
    while items:
        continue
        x = 1
    return 1


def no_return(value):
    if value:
        raise ValueError
    raise KeyError


def conditional_raise(value):
    if value:
        raise ValueError
    return 1


class Custom(Exception):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        if arguments:
            self.first = arguments[0]


after_return()
for function, argument in (
    (raise_from, ValueError()),
    (raise_from, IndexError()),
    (raise_in_loop, [0, 1]),
    (raise_through, RuntimeError()),
    (no_return, 0),
    (conditional_raise, 1),
    (caller, Custom(1)),
):
    try:
        function(argument)
    except Exception:
        pass
try:
    after_raise()
except ValueError:
    pass
after_if_else(0)
after_if_else(1)
return_in_loops([[0], [1]])
return_in_loops([[2]])
return_in_loops([])
return_in_with_in_loop([0, 1])
raise_in_loop([0])
after_break([])
