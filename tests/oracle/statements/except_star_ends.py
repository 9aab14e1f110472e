"""Clauses of `except*` that end with what stands on one line."""


def raises(x):
    try:
        try:
            if x: raise ValueError
        except* ValueError:
            if x > 1: raise KeyError
    except ExceptionGroup: pass
    return 1

def raises_with_name(x):
    try:
        try:
            raise ExceptionGroup("", [ValueError(1), KeyError(2)] if x else [KeyError(3)])
        except* ValueError as group:
            while x > 1: raise KeyError
        except* KeyError as group:
            for y in 1, 2: raise KeyError
    except ExceptionGroup: pass
    return 1

def in_a_function(x):
    try:
        raise ExceptionGroup("", [ValueError(1), KeyError(2)] if x else [KeyError(3)])
    except* ValueError as group:
        if x > 1: raise ValueError(
            x)
    except* KeyError:
        def made(): return 1
        made()

def defines(x):
    try:
        if x: raise ValueError
    except* ValueError:
        def made(): return 1
    return made() if x else 1

async def asynchronous(x):
    try:
        if x: raise ValueError
    except* ValueError:
        async for y in Numbers(x):
            str(y)
    return 1

class Numbers:
    def __init__(self, n): self.n = n
    def __aiter__(self): return self
    async def __anext__(self):
        if not self.n: raise StopAsyncIteration
        self.n -= 1
        return self.n

for x in 0, 1, 2:
    for function in (raises, raises_with_name, in_a_function, defines):
        try: function(x)
        except ExceptionGroup: pass
    try: asynchronous(x).send(None)
    except StopIteration: pass
