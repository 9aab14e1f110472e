# needs: 3.12
type Alias = int | str
type Generic[T] = (
    list[T]
    | dict[
        str,
        T,
    ]
)


def function[T](value: T) -> T:
    if value:
        return value
    return value


def bounded[T: (int, str), *Ts, **P](
    value: T,
    *rest: *Ts,
) -> T:
    return value


class Box[T]:
    def __init__(self, value: T) -> None:
        self.value = value

    def map[U](self, function) -> "Box[U]":
        if function:
            return Box(function(self.value))
        return self


class Derived[T](
    Box[T],
):
    type Inner = T

    def uncalled[U](self):
        return 1


def local():
    type Local = int

    class Inner[T]:
        x = 1

    @decorated
    def inner[T](value: T = 1):
        return value

    return inner()


def decorated[F](function: F) -> F:
    return function


@decorated
class Decorated[T]:
    pass


async def coroutine[T](value: T) -> T:
    return value


function(0)
function(1)
bounded(1, 2)
Box(1).map(str)
Derived(1).map(None)
local()
Alias.__value__
Generic.__value__
Generic.__type_params__


def in_branches(flag):
    if flag:
        type Chosen = int
    else:
        type Chosen = str
    for _ in range(1):

        def inner[T](x: T):
            return x

        inner(1)
    return Chosen


in_branches(1)
in_branches(0)
