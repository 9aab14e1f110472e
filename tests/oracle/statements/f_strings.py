def plain(value):
    return f"{value} and {value!r:>10} and {value:{value}}"


def expressions(a, b):
    return f"{a or b} {[x for x in (a, b) if x]} {(lambda: a)()}"


def multi_line(value):
    return f"""
    {value}
    {value + 1}
    """


def concatenated(value):
    return f"a {value}bc {value!s}{call(value)}"


def call(value):
    if value:
        return "yes"
    return "no"


def in_condition(value):
    if f"{value}" == "1":
        return 1
    if f"{call(value)}" == "no":
        return 2
    return 3


def debugging(value):
    return f"{value=} {value = }"


def failing(value):
    try:
        return f"{1 / value}"
    except ZeroDivisionError:
        return "zero"


def not_called(value):
    return f"{value}"


plain(3)
expressions(0, 1)
multi_line(1)
concatenated(0)
concatenated(1)
in_condition(1)
in_condition(0)
debugging(1)
failing(0)
