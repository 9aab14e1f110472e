"""Definitions on one line, where more than one way leads to the next line."""


class manager:
    def __enter__(self): pass
    def __exit__(self, *info): pass
def deco(f): return f
def f(a, b):
    if a:
        def one(): return 1
    if b:
        @deco
        def two(): return 2
    if a and b:
        class C: x = 1
    else:
        class D: y = 1
    for i in range(2):
        def three(q=1): return q
    while a:
        a -= 1
        async def four(): return 4
    try:
        def five(): return 5
    except ValueError:
        def six(): return 6
    finally:
        def seven(): return 7
    with manager():
        def eight(): return 8
    return seven()
f(0, 0)
f(1, 0)
f(0, 1)
f(1, 1)
if f:
    def nine(): return 9
if not f:
    def ten(): return 10
nine()
