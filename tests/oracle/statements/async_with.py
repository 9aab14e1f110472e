import asyncio


class Manager:
    def __init__(self, swallow=False):
        self.swallow = swallow

    async def __aenter__(self):
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, kind, error, traceback):
        await asyncio.sleep(0)
        if kind:
            return self.swallow
        return False


async def plain():
    async with Manager() as manager:
        x = manager
    return x


async def several():
    async with Manager() as a, Manager() as b:
        x = a
    return x


async def multi_line():
    async with (
        Manager() as a,
        Manager(
            swallow=True,
        ) as b,
    ):
        x = a
    return x


async def swallowing(error):
    async with Manager(swallow=True):
        if error:
            raise error
        x = 1
    return "after"


async def raising(error):
    try:
        async with Manager():
            if error:
                raise error
    except ValueError:
        return "raised"
    return "after"


async def returning(value):
    async with Manager():
        if value:
            return 1
    return 2


async def in_loop(items):
    for item in items:
        async with Manager():
            if item == 1:
                continue
            if item == 2:
                break
        x = item
    return "end"


async def last(value):
    async with Manager():
        while value:
            value -= 1


async def not_called():
    async with Manager():
        return 1


async def main():
    await plain()
    await several()
    await multi_line()
    await swallowing(ValueError())
    await swallowing(None)
    await raising(ValueError())
    await raising(None)
    await returning(0)
    await returning(1)
    await in_loop([0, 1, 2])
    await last(1)


asyncio.run(main())
