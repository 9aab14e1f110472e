import asyncio


async def leaf(value):
    await asyncio.sleep(0)
    return value


async def conditions(value):
    if await leaf(value):
        x = 1
    else:
        x = 2
    while await leaf(value):
        value = 0
    for item in await leaf([1] if value else []):
        x = item
    return x


async def expressions(value):
    x = await leaf(value) + await leaf(value)
    y = await leaf(1) and await leaf(0)
    return [
        await leaf(x),
        await leaf(y),
    ]


async def errors(error):
    try:
        await fails(error)
    except ValueError:
        return "value"
    finally:
        await leaf(1)
    return "none"


async def fails(error):
    await leaf(1)
    if error:
        raise error


async def asynchronous_generator(limit):
    try:
        for number in range(limit):
            got = yield number
            if got:
                yield got
    except KeyError:
        yield "key"
    finally:
        await leaf(1)


async def drive():
    source = asynchronous_generator(2)
    await source.__anext__()
    await source.asend("x")
    await source.__anext__()
    await source.aclose()
    source = asynchronous_generator(1)
    await source.__anext__()
    await source.athrow(KeyError)
    await source.aclose()


async def not_awaited():
    return 1


async def cancelled():
    try:
        await asyncio.Event().wait()
        x = 1
    except asyncio.CancelledError:
        x = 2


async def nested_function(value):
    async def inner(x):
        if x:
            return await leaf(x)
        return None

    return await inner(value)


class Awaitable:
    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return 5


async def one_line():
    return await leaf(1)


async def main():
    await conditions(0)
    await conditions(1)
    await expressions(1)
    await errors(None)
    await errors(ValueError())
    await drive()
    task = asyncio.ensure_future(cancelled())
    await asyncio.sleep(0)
    task.cancel()
    await task
    await nested_function(1)
    await Awaitable()
    await one_line()
    await asyncio.gather(leaf(1), conditions(1))


asyncio.run(main())
