"""Bodies on the last line of a header, or of a statement, that goes over several."""


def same(*values):
    return values[-1]

def raises(x):
    if same(*[
        x]): raise ValueError
    return 1

def returns(x):
    while same(0,
        x): return (
        x)
    return 1

def yields(x):
    if (same(x)
        and x): return
    yield 1

def goes_on(x):
    if same(x): same(
        x); return
    elif (same(x)
        or 0): x = 1
    else: same(x,
        x); x = 2
    same(x)

def in_a_loop(x):
    for y in range(
        2):
        if x > y: same(x,
            y)
        else: pass
        while 1:
            break
    for y in (
        x, y): raise ValueError
    for y in [x,
        x]: return
    else: raise KeyError

def values(x):
    for y in 1, 2:
        if x == y: y = (same(x)
            or x)
        elif x > y: y = (same(0) or same(x))
        else: y = (1
            if x else 2)
    same(x)

def matches(x):
    match x:
        case [0 | 1,
            _]: same(x); raise ValueError
        case (
            0 | 1): x = 3; x = 1 if x else 2
        case int(y) if (same(x)
            and y): return
        case _: pass
    if 0: same(x)

def asserts_first(x):
    if same(x): assert x != 7, "x"; raise ValueError
    if same(not x): assert x != 7, same(
        x); return
    else: x = 1

def folded(x):
    for y in 1, 2:
        if not same(x) and same(
            x) or True:
            same(y)
    return 1

async def asynchronous(x):
    async for y in Numbers(
        x): raise ValueError
    async for (y) in (
        Numbers(x)): return y
    if (await same2(x)
        and x): await same2(
        x); return
    return 1

async def same2(x): return (x
    or None)

class Numbers:
    def __init__(self, n): self.n = n
    def __aiter__(self): return self
    async def __anext__(self):
        if not self.n: raise StopAsyncIteration(
            "end")
        self.n -= 1
        return self.n

def wrap(f): return f

@wrap
def decorated(x): return (same(x)
    and x)
@wrap
def never(x): return (same(x)
    and x)
def arguments(x,
    y=1): return x

def run(coroutine):
    try:
        coroutine.send(None)
    except (StopIteration, ValueError): pass

for x in 0, 1, 2, 3, (1, 2), [1, 2]:
    for function in (raises, returns, goes_on, in_a_loop, values, matches, asserts_first, folded):
        try: function(x)
        except (ValueError, KeyError, TypeError): pass
    list(yields(x))
for x in 0, 1:
    run(asynchronous(x))
decorated(1)
arguments(1)
