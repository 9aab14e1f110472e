"""Functions and classes with type parameters on one line."""


def called[T](x: T): return x
def raises[T: int, *Ts](x): raise ValueError
def generator[T](x): yield x
async def coroutine[**P](x): pass
def twice[T](x): x = 1; return x

def wrap(f): return f

@wrap
def decorated[T](x,
    y=1): return x

class Holder[T]: x = 1

class Methods[T]:
    def method[U](self, x: U): return x
    def other[U](self): pass
    x = 1

def run(coroutine):
    try: coroutine.send(None)
    except StopIteration: pass

def outer(x):
    def inner[T](y): return y
    inner(x)
    if x:
        def inner[T](y=(
            1)): return y
    else:
        async def inner[T](y): pass
        run(inner(1))
    return inner

def in_branches(x):
    for y in 1, 2:
        if x:
            def made[T](z): return z
        else: made = called
        class Made[T](Holder[T]): z = 1
        made(y)

try: raises(1)
except ValueError: pass
called(1)
list(generator(1))
run(coroutine(1))
twice(1)
decorated(1)
Methods().method(1)
Methods().other()
Holder()
for x in 0, 1:
    outer(x)(1)
    in_branches(x)
