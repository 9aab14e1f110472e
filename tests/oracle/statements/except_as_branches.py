"""Handlers with a name, which is unbound where all ways out of them meet: each line has its own outcome."""

class cm:
    def __enter__(self): return self
    def __exit__(self, *a): return a[0] is OSError
def gen(x):
    try:
        if x: raise ValueError
    except ValueError as e:
        if x == 1: yield from range(2)
        else: x = 6
    finally:
        str(x)
def gen2(x):
    try:
        if x: raise ValueError
    except ValueError as e:
        if x == 1: yield from range(2)
        else: x = 6
    finally:
        str(x)
def swallow(x):
    try:
        if x: raise ValueError
    except ValueError as e:
        if x == 1:
            with cm():
                raise OSError
        else:
            x = 5
    finally:
        str(x)
def swallow_also(x):
    try:
        if x: raise ValueError
    except ValueError as e:
        if x == 1:
            with cm():
                raise OSError
        else:
            x = 5
    finally:
        str(x)
def swallow2(x):
    try:
        if x: raise ValueError
    except ValueError as e:
        if x == 1:
            with cm():
                raise OSError
        else:
            x = 5
    str(2)
def define(x):
    try:
        if x: raise ValueError
    except ValueError as e:
        if x == 1:
            def g(): pass
        else:
            x = 5
    str(2)
def define_also(x):
    try:
        if x: raise ValueError
    except ValueError as e:
        if x == 1:
            def g(): pass
        else:
            x = 5
    str(2)
def call(x):
    try:
        if x: raise ValueError
    except ValueError as e:
        if x == 1: str(1)
        else: x = 5
    str(2)
def call_also(x):
    try:
        if x: raise ValueError
    except ValueError as e:
        if x == 1: str(1)
        else: x = 5
    str(2)
def call2(x):
    for i in range(2):
        try:
            if x: raise ValueError
        except ValueError as e:
            if x == 1: str(1)
            elif x == 2: x = 5
def call2_also(x):
    for i in range(2):
        try:
            if x: raise ValueError
        except ValueError as e:
            if x == 1: str(1)
            elif x == 2: x = 5
def target(x):
    try:
        if x: raise ValueError
    except ValueError as e:
        for a, b in [(1, 2)] if x == 1 else []: str(a)
        else:
           x = 3
    return 5
list(gen(2)); list(gen(0)); list(gen2(1)); swallow(2); swallow2(2); swallow2(0); define(2); define(0); call(2); call(0); call2(2); target(2)
swallow_also(1); define_also(1); call_also(1); call2_also(1)
for z in 0, 1, 2:
    try:
        if z: raise KeyError(z)
    except KeyError as e:
        if z == 1: str(1)
        else: z = 5
    str(3)
