import asyncio


class Numbers:
    def __init__(self, limit, fail=None):
        self.limit = limit
        self.fail = fail

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.limit == self.fail:
            raise OSError
        if not self.limit:
            raise StopAsyncIteration
        self.limit -= 1
        return self.limit


async def plain(items):
    total = 0
    async for item in items:
        total += item
    return total


async def with_else(items, stop):
    async for item in items:
        if item == stop:
            break
    else:
        return "ended"
    return "broken"


async def never_entered(items):
    async for item in items:
        return item
    return 0


async def never_exhausted(items):
    async for item in items:
        return item
    return 0


async def not_called(items):
    async for item in items:
        return item


async def continues(items):
    async for item in items:
        if item % 2:
            continue
        x = item
    return x


async def failing(items):
    try:
        async for item in items:
            x = item
    except OSError:
        return "failed"
    return "fine"


async def unpack(items):
    try:
        async for a, b in items:
            x = a
    except TypeError:
        return "type"
    return "fine"


async def nested(rows):
    async for row in rows:
        async for item in Numbers(row):
            if item:
                break
    return "end"


async def last_in_function(items):
    async for item in items:
        x = item


async def one_line(items):
    async for item in items:
        x = item
    return x


async def only_passes(items):
    async for item in items:
        pass


async def in_while(items):
    while True:
        async for item in items:
            break
        return item


async def in_if(flag):
    if flag:
        async for item in Numbers(1):
            x = item
    else:
        async for item in Numbers(0):
            x = item


async def generator(limit):
    for number in range(limit):
        yield number
        if number == 1:
            return


async def over_generators():
    async for item in generator(1):
        x = item
    async for item in generator(5):
        x = item
    async for item in generator(0):
        x = item
    return x


async def multi_line(limit):
    async for item in Numbers(
        limit,
        fail=None,
    ):
        x = (
            item,
            1,
        )


async def interrupted(items):
    x = 0
    try:
        async for item in items:
            x = item
    except OSError:
        x = 1
    return x


async def interrupted_then_else(items):
    x = 0
    while x < 3:
        x += 1
        try:
            async for item in items:
                if item == 7:
                    break
            else:
                return "ended"
        except OSError:
            continue
    return x


async def interrupted_in_handler(items):
    try:
        raise ValueError
    except ValueError:
        try:
            async for item in items:
                x = item
        except (
            OSError,
            asyncio.CancelledError,
        ):
            pass
        x = 1
    return x


async def cancelled():
    waiting = asyncio.Event()

    async def never():
        yield 1
        waiting.set()
        await asyncio.Event().wait()

    async def consume():
        try:
            async for item in never():
                x = item
        except asyncio.CancelledError:
            x = 2
        return x

    task = asyncio.create_task(consume())
    await waiting.wait()
    task.cancel()
    await task


async def main():
    await plain(Numbers(2))
    await with_else(Numbers(2), 1)
    await with_else(Numbers(2), 9)
    await never_entered(Numbers(0))
    await never_exhausted(Numbers(1))
    await continues(Numbers(2))
    await failing(Numbers(2, 1))
    await failing(Numbers(2, 2))
    await unpack(Numbers(1))
    await nested(Numbers(3))
    await last_in_function(Numbers(1))
    await one_line(Numbers(1))
    await only_passes(Numbers(1))
    await in_while(Numbers(1))
    await in_if(0)
    await over_generators()
    await multi_line(1)
    await interrupted(Numbers(2, 1))
    await interrupted_then_else(Numbers(2, 1))
    await interrupted_in_handler(Numbers(2, 1))
    await cancelled()


asyncio.run(main())
