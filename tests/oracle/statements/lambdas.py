plain = lambda x: x + 1
uncalled = lambda x: x + 2
conditional = lambda x: 1 if x else 2
multi_line = lambda x, y: x + y
uncalled_multi_line = lambda x: (
    x,
    x,
)
default = lambda x=plain(1): x


def returns_lambda(y):
    return lambda x: x + y


def takes(function, *arguments):
    return function(*arguments)


def inside(items):
    items.sort(key=lambda item: -item)
    return takes(
        lambda a: a + 1,
        1,
    )


def in_if(items):
    if (lambda: items)():
        x = 1
    else:
        x = 2
    for y in (lambda: items)():
        x = y
    while (lambda: not items)():
        items = [1]
    return x


class Body:
    method = lambda self: self
    other = lambda self: (self,)


plain(1)
conditional(0)
conditional(1)
multi_line(1, 2)
default()
returns_lambda(1)(2)
inside([1, 2])
in_if([])
in_if([1])
Body().method()
nested = lambda: lambda: lambda: 1
nested()()
raising = lambda: 1 / 0
try:
    raising()
except ZeroDivisionError:
    pass
