"""Runs functions whose line tables were made by hand; prints how many.

    python line_tables.py SEED COUNT

A line table may hold anything: `code.replace(co_linetable=...)` takes any bytes. What is run is
itself well behaved, so the program ends well whatever the tables say.
"""

from __future__ import annotations

import asyncio
import random
import sys
import types
from contextlib import suppress

EXTREMES = (-(2**31), -1, 0, 1, 2, 100, 2**30, 2**31 - 2, 2**31 - 1)


def branches(a, b):
    if (a and b) or not a:
        c = [x for x in range(3) if x]
    else:
        c = a if b else b
        a = a or b
    for i, j in ((1, 2), (3, 4)):
        if i > 2:
            continue
        c = j
    while a:
        a -= 1
        if b and a > 9:
            break
    else:
        b = 1
    return {
        "a": a,
        "b": b and c,
    }


def handlers(a, b):
    with suppress(KeyError):
        raise KeyError
    try:
        assert a, "message"
        return a[b]
    except (TypeError, AssertionError) as error:
        return str(error)
    finally:
        b = 2


def definitions(a, b):
    def one():
        return a

    @staticmethod
    def two():
        pass

    class Three:
        x = 1

    return [one() for _ in range(2)], sorted((b, b), key=lambda x: str(x or b))


def generator(a, b):
    yield from range(2)
    c = yield a
    if c:
        yield b


def generators(a, b):
    return list(generator(a, b))


async def steps():
    for i in range(2):
        yield i


async def asynchronous(a, b):
    async for i in steps():
        if i:
            break
    return [i async for i in steps() if a]


def in_loop(a, b):
    return asyncio.run(asynchronous(a, b))


def varint(value):
    pieces = []
    while value >= 64:
        pieces.append(value & 63 | 64)
        value >>= 6
    return bytes([*pieces, value])


def entry(rng):
    """One entry of the format in CPython's InternalDocs/code_objects.md, mostly well formed."""
    kind, units = rng.randrange(16), rng.randrange(8)
    first = bytes([128 | kind << 3 | units])
    delta = abs(rng.choice((0, 1, 2, rng.randrange(50), rng.choice(EXTREMES))))
    signed = varint(delta << 1 | rng.randrange(2))
    if kind < 10:
        return first + bytes([rng.randrange(128)])
    if kind < 13:
        return first + bytes([rng.randrange(128), rng.randrange(128)])
    if kind == 13:
        return first + signed
    if kind == 14:
        return first + signed + b"".join(varint(rng.randrange(200)) for _ in range(3))
    return first


def table(rng, original):
    way = rng.randrange(4)
    if way == 0:
        return b"".join(entry(rng) for _ in range(rng.randrange(60)))
    if way == 1:
        return bytes([128 | rng.randrange(128), *rng.randbytes(rng.randrange(80))])
    changed = bytearray(original)
    for _ in range(rng.randrange(6)):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(7)
    return bytes(changed[: rng.randrange(len(changed) + 1)] if way == 2 else changed)


def changed(rng, code, deep=True):
    constants = tuple(
        changed(rng, each) if isinstance(each, types.CodeType) and deep else each
        for each in code.co_consts
    )
    new = {"co_consts": constants}
    if rng.randrange(4):
        new["co_linetable"] = table(rng, code.co_linetable)
    if rng.randrange(2):
        new["co_firstlineno"] = rng.choice(EXTREMES)
    with suppress(ValueError, OverflowError):
        return code.replace(**new)
    return code


def main():
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    rng = random.Random(seed)
    functions = [branches, handlers, definitions, generators, in_loop]
    inner = [generator, steps, asynchronous]
    originals = {each: each.__code__ for each in (*functions, *inner)}
    for _ in range(count):
        for function in inner:
            function.__code__ = changed(rng, originals[function])
        function = rng.choice(functions)
        function.__code__ = changed(rng, originals[function])
        for arguments in (0, 1), (1, 0), (2, [3]):
            function(*arguments)
    print(count)


if __name__ == "__main__":
    main()
