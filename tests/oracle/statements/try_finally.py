def plain(value):
    try:
        x = 1 / value
    finally:
        y = 1
    return y


def return_in_try(value):
    try:
        if value:
            return 1
        x = 2
    finally:
        y = 3
    return x + y


def return_in_finally(value):
    try:
        if value:
            raise ValueError
        x = 1
    finally:
        return 2


def return_in_both(value):
    try:
        return 1
    finally:
        if value:
            return 2


def except_and_finally(error):
    try:
        if error:
            raise error
    except ValueError:
        x = 1
    else:
        x = 2
    finally:
        x = 3
    return x


def nested(value):
    try:
        try:
            try:
                x = 1 / value
            finally:
                a = 1
        except ZeroDivisionError:
            b = 1
            raise
        finally:
            c = 1
    except ZeroDivisionError:
        d = 1
    finally:
        e = 1
    return e


def branch_in_finally(value):
    try:
        x = 1
    finally:
        if value:
            x = 2
        else:
            x = 3
        for y in range(value):
            x = y
    return x


def branch_in_finally_with_exception(value):
    try:
        raise ValueError
    finally:
        if value:
            x = 2
        else:
            x = 3


def try_in_finally(value):
    try:
        x = 1
    finally:
        try:
            1 / value
        except ZeroDivisionError:
            x = 2
        finally:
            x = 3
    return x


def finally_in_loop(items):
    for item in items:
        try:
            if item == 1:
                continue
            if item == 2:
                break
            if item == 3:
                return 3
            if item == 4:
                raise ValueError
        finally:
            x = item
            if x:
                y = x
    return "end"


def long_finally(value):
    try:
        if value:
            return 1
    finally:
        a = 1
        b = 2
        c = 3
    d = 4


def finally_is_last(value):
    try:
        value += 1
    finally:
        value = 1


def while_in_finally(value):
    try:
        if value > 1:
            raise KeyError
        if value:
            return value
    finally:
        while value:
            value -= 1


def not_called(value):
    try:
        return 1
    finally:
        if value:
            return 2


def one_way(value):
    try:
        return value
    finally:
        if value:
            x = 1
        y = 2


plain(1)
try:
    plain(0)
except ZeroDivisionError:
    pass
return_in_try(0)
return_in_try(1)
return_in_finally(0)
return_in_finally(1)
return_in_both(0)
return_in_both(1)
for one in (None, ValueError()):
    except_and_finally(one)
try:
    except_and_finally(KeyError())
except KeyError:
    pass
nested(0)
nested(1)
branch_in_finally(0)
branch_in_finally(1)
for flag in (0, 1):
    try:
        branch_in_finally_with_exception(flag)
    except ValueError:
        pass
try_in_finally(0)
finally_in_loop([0, 1, 2])
finally_in_loop([3])
finally_in_loop([5])
try:
    finally_in_loop([4])
except ValueError:
    pass
long_finally(0)
long_finally(1)
finally_is_last(1)
while_in_finally(0)
while_in_finally(1)
try:
    while_in_finally(2)
except KeyError:
    pass
one_way(1)
