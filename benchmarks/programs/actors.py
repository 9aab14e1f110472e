"""Tasks: actors of asyncio pass messages through queues, with timers, time-outs and cancellation."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Actor:
    """Takes numbers, changes them, and passes them on."""

    def __init__(self, name: int, after: Actor | None) -> None:
        self.name = name
        self.after = after
        self.inbox: asyncio.Queue[int] = asyncio.Queue(maxsize=8)
        self.seen = 0

    async def messages(self) -> AsyncIterator[int]:
        while True:
            value = await self.inbox.get()
            if value < 0:
                return
            yield value

    async def run(self) -> int:
        async for value in self.messages():
            self.seen += 1
            if self.after is None:
                continue
            if value % 7 == self.name:
                continue
            await self.after.inbox.put(value + 1)
        if self.after is not None:
            await self.after.inbox.put(-1)
        return self.seen


@asynccontextmanager
async def clock() -> AsyncIterator[asyncio.Task[None]]:
    """Run other work at the same time."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(0)

    task = asyncio.create_task(tick())
    try:
        yield task
    finally:
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass


async def main() -> list[int]:
    """Send numbers through a chain of actors; return how many each has received."""
    chain: list[Actor] = []
    for name in range(6):
        chain.append(Actor(name, chain[-1] if chain else None))
    chain.reverse()
    async with clock():
        tasks = [asyncio.create_task(actor.run()) for actor in chain]
        for number in range(200_000):
            await chain[0].inbox.put(number)
        await chain[0].inbox.put(-1)
        return await asyncio.gather(*tasks)


if __name__ == "__main__":
    print(asyncio.run(main()))
