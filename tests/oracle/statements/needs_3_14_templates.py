# needs: 3.14
def plain(value):
    return t"{value} and {value!r:>10}"


def multi_line(value):
    return t"""
    {value}
    {value + 1}
    """


def expressions(a, b):
    return t"{a or b} {[x for x in (a, b) if x]}"


def in_condition(value):
    if t"{value}".interpolations:
        return 1
    return 2


def not_called(value):
    return t"{value}"


plain(1)
multi_line(1)
expressions(0, 1)
in_condition(1)
