# needs: 3.14
def later(a: Undefined, b: list[Undefined] = 1) -> Undefined:
    return a


class Deferred:
    x: Undefined
    y: Undefined = 1
    if y:
        z: int


later(1)
try:
    later.__annotations__
except NameError:
    caught = 1
try:
    Deferred.__annotations__
except NameError:
    caught = 2
z: Undefined = 1
