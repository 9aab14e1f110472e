"""Clauses of `except*` that end with a branch: where it leads is decided after the last clause."""


def loop_with_name(x):
    try:
        if x: raise ValueError
    except* ValueError as group:
        for one in group.exceptions:
            str(one)
    return 1

def without_name(x):
    try:
        if x: raise ValueError
    except* ValueError:
        if x > 1:
            str(x)
    return 1

def before_finally(x):
    try:
        if x: raise ValueError
    except* ValueError as group:
        while x > 1:
            x -= 1
    finally:
        str(x)
    return 3

def in_a_loop(x):
    for i in range(2):
        try:
            if x: raise ValueError
        except* ValueError as group:
            if x > 1:
                str(x)

def two_clauses(x):
    try:
        raise ExceptionGroup("", [ValueError(1), KeyError(2)] if x else [KeyError(3)])
    except* ValueError as group:
        for one in group.exceptions:
            str(one)
    except* KeyError:
        if x == 2:
            str(x)
    return 1

def in_another(x):
    try:
        try:
            raise ExceptionGroup("", [ValueError(1), KeyError(2)] if x else [ValueError(3)])
        except* ValueError as group:
            for one in group.exceptions:
                str(one)
    except* KeyError:
        if x > 1:
            str(x)
    return 1

def at_the_end_of_another(x):
    try:
        raise ExceptionGroup("", [ValueError(1)])
    except* ValueError:
        try:
            raise ExceptionGroup("", [KeyError(1)])
        except* KeyError:
            if x:
                str(x)
    return 1

async def what_is_left_is_raised(x):
    try:
        raise ExceptionGroup("", [ValueError(1), KeyError(2)] if x == 1 else [ValueError(3)])
    except* ValueError as group:
        if x: str(2)
    except* OSError:
        if x: str(2)
    return 1

def generator(x):
    try:
        yield x
        raise ExceptionGroup("", [ValueError(1)])
    except* ValueError as group:
        for one in group.exceptions:
            yield one
    yield 1

for x in 0, 1, 2:
    for function in (loop_with_name, without_name, before_finally, in_a_loop, two_clauses, in_another,
                     at_the_end_of_another):
        function(x)
    list(generator(x))
    try: what_is_left_is_raised(x).send(None)
    except (ExceptionGroup, StopIteration): pass

try:
    raise ExceptionGroup("", [ValueError(1)])
except* ValueError as group:
    for one in group.exceptions:
        str(one)
x = 1
