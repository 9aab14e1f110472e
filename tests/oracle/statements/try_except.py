def plain(value):
    try:
        x = 1 / value
    except ZeroDivisionError:
        x = 0
    return x


def several(error):
    try:
        raise error
    except ValueError:
        return "value"
    except (KeyError, IndexError) as caught:
        return str(caught)
    except OSError:
        return "never"
    except Exception as caught:
        if caught.args:
            return "args"
        return "no args"


def bare(error):
    try:
        if error:
            raise error
    except ValueError:
        x = 1
    except:
        x = 2
    else:
        x = 3
    return x


def not_caught(error):
    try:
        raise error
    except ValueError:
        return 1
    except KeyError:
        return 2


def with_else(value):
    try:
        x = 1 / value
    except ZeroDivisionError:
        return "zero"
    else:
        x += 1
    return x


def never_fails():
    try:
        x = 1
    except ValueError:
        x = 2
    except KeyError:
        x = 3
    return x


def reraise(error):
    try:
        try:
            raise error
        except ValueError:
            raise
        except KeyError as caught:
            raise ValueError from caught
        except IndexError:
            raise RuntimeError
    except ValueError:
        return "value"
    except RuntimeError:
        return "runtime"


def in_handler(value):
    try:
        raise ValueError
    except ValueError:
        try:
            1 / value
        except ZeroDivisionError:
            return "inner"
    return "outer"


def multi_line_handler(error):
    try:
        raise error
    except (
        ValueError,
        KeyError,
    ) as caught:
        return caught


def computed(kinds):
    try:
        raise ValueError
    except kinds():
        return 1
    except ValueError:
        return 2


def fails_in_kinds():
    try:
        try:
            raise ValueError
        except missing_name:
            return 1
    except NameError:
        return 2


def passes(error):
    try:
        raise error
    except ValueError:
        pass
    except KeyError:
        pass


def not_called():
    try:
        return 1
    except ValueError:
        return 2
    else:
        return 3


def suppressed(items):
    for item in items:
        try:
            item()
        except TypeError:
            continue
        break


plain(0)
plain(1)
for one in (ValueError(), KeyError("k"), RuntimeError(), RuntimeError("x")):
    several(one)
for one in (None, ValueError(), KeyError()):
    bare(one)
try:
    not_caught(IndexError())
except IndexError:
    pass
with_else(1)
never_fails()
for one in (ValueError(), KeyError(), IndexError()):
    reraise(one)
try:
    reraise(OSError())
except OSError:
    pass
in_handler(0)
in_handler(1)
multi_line_handler(KeyError())
computed(lambda: KeyError)
fails_in_kinds()
passes(KeyError())
suppressed([1, int, 2])
