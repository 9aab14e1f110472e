# needs: 3.13
type Alias[T = int] = list[T]


class Box[T = str]:
    x = 1


def function[T = int, *Ts = *tuple[int, ...], **P = [int]](value: T = 1):
    if value:
        return value
    return 0


Alias.__value__
Box()
function()
Alias.__type_params__[0].__default__
