def counting(n):
    i = 0
    while i < n:
        got = yield i
        if got:
            i += got
        else:
            i += 1
    return "done"


def delegating(n):
    result = yield from counting(n)
    if result == "done":
        yield result
    else:
        yield None


def guarded():
    try:
        yield 1
        yield 2
    except ValueError:
        yield 3
    finally:
        x = 4
    return x


def in_condition():
    if (yield 1):
        x = 1
    else:
        x = 2
    yield x


def one_line_yields(items):
    for item in items:
        if item: yield item
        else: yield 0


assert list(counting(3)) == [0, 1, 2]
stepping = counting(5)
next(stepping)
stepping.send(2)
stepping.close()
assert list(delegating(1)) == [0, "done"]
assert list(guarded()) == [1, 2]
thrown = guarded()
next(thrown)
assert thrown.throw(ValueError) == 3
thrown.close()
asking = in_condition()
next(asking)
assert asking.send(True) == 1
dropped = in_condition()
next(dropped)
dropped.close()
assert list(one_line_yields([1, 0, 2])) == [1, 0, 2]
assert [x for x in counting(2) if x] == [1]
