def call(*arguments, **options):
    return arguments


def truth(value=True):
    return value


x = call(
    1,
    2,
    key=call(
        3,
        4,
    ),
)
y = [
    1,
    truth(2),
    [
        3,
    ],
]
z = {
    "a": 1,
    "b": truth(),

        "c": 3
    ,
}
w = 1 + 2 + truth()
s = "ab"
t = """
several
lines
"""
u = truth().real.bit_length()
v = y[0]
v = y[truth(0) : truth(2)]
if (truth() and truth(False)) or truth():
    a = 1
if truth() and truth(False):
    a = 2
else:
    a = 3
for b in [
    1,
    truth(),
]:
    c = (
        b,
        a,
    )
while a and truth():
    a = 0


def returns(value):
    return (
        value or call(
            value,
        )
    )


def returns_string():
    return "abc"


def raises(value):
    raise ValueError(
        value,
        call(
            1,
        ),
    )


def fails_in_the_middle(value):
    try:
        return call(
            1,
            1 / value,
            2,
        )
    except ZeroDivisionError:
        return (None,)


def default_arguments(
    a=1,
    b=truth(),
    *,
    c=[
        1,
    ],
):
    return a


def annotations(
    a: int,
    b: "str" = "",
) -> dict[
    str,
    int,
]:
    result: dict[str, int] = {
        "a": 1,
    }
    return result


def not_called(
    a,
    b,
):
    return (
        a,
        b,
    )


returns(0)
returns(1)
returns_string()
try:
    raises(1)
except ValueError:
    pass
fails_in_the_middle(0)
default_arguments()
annotations(1)
a = b = c = 1
a, b = (
    1,
    2,
)
del (
    a,
    b,
)
assert c == 1
call(1, call(2, 3), 4)
call()
