def with_break(n):
    while True:
        n -= 1
        if n == 0:
            break
    return n


def with_return(n):
    while True:
        n -= 1
        if not n:
            return "zero"


def with_one(n):
    while 1:
        n -= 1
        if n < 0:
            break
        continue
    return n


def with_raise(n):
    try:
        while True:
            n -= 1
            if n == 0:
                raise ValueError(n)
    except ValueError:
        return "raised"
    finally:
        n = 5


def with_else():
    while True:
        break
    else:
        return "unreachable"
    return "reached"


def while_false():
    while False:
        return "unreachable"
    while 0:
        x = 1
    return "reached"


def nested():
    while True:
        while True:
            break
        break
    return 1


def at_once():
    while True:
        return 1


def not_called():
    while True:
        pass


def first_in_function_generator():
    while True:
        yield 1


def with_try():
    count = 0
    while True:
        try:
            count += 1
            if count == 1:
                raise KeyError
            if count == 2:
                continue
            break
        except KeyError:
            continue
        finally:
            count += 10
            if count > 20:
                break
    return count


with_break(2)
with_return(2)
with_one(1)
with_raise(2)
with_else()
while_false()
nested()
at_once()
source = first_in_function_generator()
next(source)
next(source)
with_try()
while True:
    break
