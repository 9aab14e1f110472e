"""Raise statements on the line of what decides about them, or of a definition."""


def goes_on_below(x):
    if x: raise ValueError(
        "x")
    return 1

def generator(x):
    if x: raise KeyError
    yield 1

def generator_that_goes_on_below(x):
    if x: raise KeyError(
        x)
    yield 1

async def coroutine(x):
    if x: raise KeyError
    return 1

async def asynchronous_generator(x):
    if x: raise KeyError
    yield 1

async def in_try(x):
    try:
        if x: raise KeyError
    finally:
        await only_raises()

async def in_async_with(x):
    async with Manager():
        if x: raise KeyError
    return 1

async def only_raises(): raise KeyError

class Manager:
    async def __aenter__(self): return self
    async def __aexit__(self, *info): raise OSError
    def method(self): raise NotImplementedError
    def below(self): raise NotImplementedError(
        "below")
    def caused(self): raise NotImplementedError from None
    @property
    def decorated(self): raise AttributeError("x")
    def yields(self): yield 1; raise KeyError
    def never(self): raise NotImplementedError

def asserts(x): assert x
def only_raises_below(x):
    raise KeyError(
        x)

def while_loop(x):
    while x: raise KeyError(
        x)

def for_loop(x):
    for x in [1]: raise KeyError(
        x)

def otherwise(x):
    if x: return 1
    else: raise KeyError(
        x)

def handlers(x):
    try: raise KeyError(
        x)
    except KeyError: raise ValueError(
        x)
    finally: x = 1

def matches(x):
    match x:
        case 1: raise KeyError(
            x)
        case _: raise KeyError

def run(one):
    try:
        while True:
            one.send(None)
    except BaseException:
        pass

for x in 1, 0, 2:
    run(coroutine(x))
    run(generator(x))
    run(generator_that_goes_on_below(x))
    run(asynchronous_generator(x).__anext__())
    run(in_try(x))
    run(in_async_with(x))
    for function in (goes_on_below, asserts, only_raises_below, while_loop, for_loop, otherwise,
                     handlers, matches):
        try: function(x)
        except Exception: pass
m = Manager()
for function in m.method, m.below, m.caused, lambda: m.decorated:
    try: function()
    except Exception: pass
run(m.yields())
