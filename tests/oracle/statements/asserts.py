def plain(value):
    assert value
    return 1


def with_message(value):
    assert value, "message"
    return 1


def multi_line(value):
    assert value and value > 0, f"message{value}"
    return 1


def called_message(value):
    assert value, message()
    return 1


def message():
    return "message"


def compound(a, b):
    assert a and b
    assert a or b
    assert not a or b, "x"
    return 1


def never_fails():
    assert True
    assert 1 == 1, message()
    assert isinstance(1, int)


def never_passes():
    assert False, "always"
    return 1


def not_called():
    assert False


def last(value):
    assert value


for function in (plain, with_message, multi_line, called_message, last):
    function(1)
    try:
        function(0)
    except AssertionError:
        pass
compound(1, 1)
never_fails()
try:
    never_passes()
except AssertionError:
    pass
assert never_fails() is None
