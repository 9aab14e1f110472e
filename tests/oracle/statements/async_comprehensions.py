import asyncio


async def numbers(limit):
    for number in range(limit):
        await asyncio.sleep(0)
        yield number


async def value(result):
    await asyncio.sleep(0)
    return result


async def lists(limit):
    return [number async for number in numbers(limit) if number]


async def sets(limit):
    return {number async for number in numbers(limit)}


async def dictionaries(limit):
    return {number: await value(number) async for number in numbers(limit) if await value(number)}


async def nested(limit):
    return [[inner async for inner in numbers(outer)] async for outer in numbers(limit)]


async def awaiting(items):
    return [await value(item) for item in items]


async def generator(limit):
    source = (number async for number in numbers(limit) if number)
    async for item in source:
        return item
    return None


async def not_called(limit):
    return [number async for number in numbers(limit)]


async def main():
    await lists(3)
    await sets(0)
    await dictionaries(2)
    await nested(2)
    await awaiting([1, 2])
    await generator(0)
    await generator(3)


asyncio.run(main())
