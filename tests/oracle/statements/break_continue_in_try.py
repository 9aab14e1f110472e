def break_in_try(items):
    for item in items:
        try:
            if item:
                break
            x = item
        finally:
            y = item
    return y


def continue_in_try(items):
    for item in items:
        try:
            if item:
                continue
            x = item
        finally:
            y = item
        z = item
    return y


def break_in_except(items):
    for item in items:
        try:
            1 / item
        except ZeroDivisionError:
            break
        else:
            x = item
        finally:
            y = item
    return y


def continue_in_except(items):
    while items:
        try:
            1 / items.pop()
        except ZeroDivisionError:
            continue
        x = 1
    return 1


def break_in_finally(items):
    for item in items:
        try:
            x = 1 / item
        finally:
            break
    return "end"


def continue_in_finally(items):
    for item in items:
        try:
            x = 1 / item
        finally:
            continue
    return "end"


def break_in_else(items):
    for item in items:
        try:
            x = item
        except ValueError:
            y = 1
        else:
            break
    else:
        return "never"
    return "end"


def two_levels(items):
    for item in items:
        try:
            try:
                if item == 1:
                    break
                if item == 2:
                    continue
                if item == 3:
                    raise ValueError
                if item == 4:
                    return "four"
            finally:
                a = item
        except ValueError:
            b = item
        finally:
            c = item
        d = item
    return "end"


def break_in_with(items):
    for item in items:
        with open("/dev/null"):
            if item:
                break
            if item is None:
                continue
        x = item
    return "end"


def not_called(items):
    for item in items:
        try:
            continue
        finally:
            break


break_in_try([0, 1, 2])
continue_in_try([0, 1])
break_in_except([1, 0, 1])
continue_in_except([1, 0])
break_in_finally([0, 1])
continue_in_finally([0, 1])
break_in_else([1])
two_levels([0, 2, 3, 1])
two_levels([4])
two_levels([5])
break_in_with([0, None, 1])
