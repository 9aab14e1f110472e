from contextlib import contextmanager, nullcontext, suppress


class Manager:
    def __init__(self, swallow=False, fail_enter=False, fail_exit=False):
        self.swallow = swallow
        self.fail_enter = fail_enter
        self.fail_exit = fail_exit

    def __enter__(self):
        if self.fail_enter:
            raise OSError
        return self

    def __exit__(self, kind, error, traceback):
        if self.fail_exit:
            raise KeyError
        return self.swallow


def plain():
    with Manager() as manager:
        x = manager
    return x


def several():
    with Manager() as a, Manager(), Manager() as c:
        x = a, c
    return x


def parenthesized():
    with (
        Manager() as a,
        Manager() as b,
    ):
        x = a, b
    return x


def multi_line_call():
    with Manager(
        swallow=True,
        fail_enter=False,
    ) as manager:
        x = manager
    return x


def nested():
    with Manager(), Manager(), Manager():
        x = 1
    return x


def swallowing(error):
    with Manager(swallow=True):
        if error:
            raise error
        x = 1
    return "after"


def suppressing(value):
    with suppress(ZeroDivisionError):
        return 1 / value
    return "suppressed"


def not_swallowing(error):
    try:
        with Manager():
            if error:
                raise error
            x = 1
    except ValueError:
        return "raised"
    return "after"


def fails_to_enter():
    try:
        with Manager(), Manager(fail_enter=True):
            x = 1
    except OSError:
        return "enter"


def fails_to_exit():
    try:
        with Manager(fail_exit=True):
            x = 1
        y = 1
    except KeyError:
        return "exit"


def returning(value):
    with Manager():
        if value:
            return 1
    return 2


def returning_always():
    with Manager():
        return 1


def in_loop(items):
    for item in items:
        with Manager():
            if item == 1:
                continue
            if item == 2:
                break
        x = item
    return "end"


def loop_inside(items):
    with Manager():
        for item in items:
            x = item
    with Manager():
        while items:
            items = items[1:]
        x = 1
    return x


def if_inside(value):
    with Manager():
        if value:
            x = 1
    with Manager():
        if value:
            x = 1
        else:
            x = 2
    return x


def last_in_function(value):
    with Manager():
        if value:
            value = 1


def with_and_try(value):
    try:
        with nullcontext():
            1 / value
    except ZeroDivisionError:
        x = 1
    else:
        x = 2
    finally:
        with nullcontext():
            y = 1
    return x


@contextmanager
def made(value):
    try:
        yield value
    except ValueError:
        x = 1
    else:
        x = 2
    finally:
        x = 3


def made_managers(error):
    with made(1) as a, made(2) as b:
        if error:
            raise error
    return a


def targets():
    thing = type("T", (), {})()
    with Manager() as thing.x:
        pass
    items = {}
    with Manager() as items["k"]:
        pass
    with nullcontext((1, 2)) as (a, b):
        x = a
    try:
        with nullcontext(1) as (a, b):
            x = a
    except TypeError:
        x = 2
    return x


def one_line():
    with Manager() as m:
        return m


def not_called():
    with Manager() as m, Manager():
        return m


plain()
several()
parenthesized()
multi_line_call()
nested()
swallowing(ValueError())
swallowing(None)
suppressing(0)
suppressing(1)
not_swallowing(ValueError())
not_swallowing(None)
fails_to_enter()
fails_to_exit()
returning(0)
returning(1)
returning_always()
in_loop([0, 1, 2])
loop_inside([1])
if_inside(0)
if_inside(1)
last_in_function(0)
last_in_function(1)
with_and_try(0)
made_managers(ValueError())
made_managers(None)
targets()
one_line()
with Manager():
    pass
with Manager(swallow=True):
    raise ValueError
