"""asyncio: tasks that share functions, loops in threads, pools, and greenlets below them."""

from __future__ import annotations

from tests.corpus.row import Row

ROWS = [
    Row(
        name="interleaved_tasks_with_opposite_branches",
        source="""
import asyncio

async def ask(flag):
    await asyncio.sleep(0)
    if flag:
        await asyncio.sleep(0)
        result = "yes"
    else:
        await asyncio.sleep(0)
        result = "no"
    await asyncio.sleep(0)
    return result

async def main():
    print(await asyncio.gather(ask(True), ask(False)))

asyncio.run(main())
""",
        prints="['yes', 'no']\n",
    ),
    Row(
        name="await_in_conditions_one_side_each",
        source="""
import asyncio

async def value(result):
    await asyncio.sleep(0)
    return result

async def left():
    if await value(True):  #T
        a = 1
    else:
        a = 2  #-
    while await value(False):  #F
        a = 3  #-
    return a

async def right():
    if await value(False):  #F
        b = 1  #-
    else:
        b = 2
    while await value(True):  #T
        b = 3
        break
    return b

async def main():
    print(await asyncio.gather(left(), right()))

asyncio.run(main())
""",
        prints="[1, 3]\n",
    ),
    Row(
        name="async_for_to_its_end_and_left_early",
        source="""
import asyncio

async def numbers(limit):
    for number in range(limit):
        await asyncio.sleep(0)
        yield number

async def whole():
    total = 0
    async for number in numbers(3):
        total += number
    return total

async def early():
    async for number in numbers(3):  #T
        if number:
            break
    else:
        number = "never"  #-
    return number

async def empty():
    async for number in numbers(0):  #F
        return number  #-
    else:
        number = "nothing"
    return number

async def main():
    print(await asyncio.gather(whole(), early(), empty()))

asyncio.run(main())
""",
        prints="[3, 1, 'nothing']\n",
    ),
    Row(
        name="async_for_that_ends_with_an_error",
        source="""
import asyncio

class Failing:
    def __init__(self, good):
        self.good = good

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        if self.good:
            self.good -= 1
            return self.good
        raise OSError("lost")

async def some():
    async for item in Failing(2):  #T
        last = item
    return last  #-

async def none():
    async for item in Failing(0):  #X
        last = item  #-
    return last  #-

async def main():
    for function in (some, none):
        try:
            await function()
        except OSError:  #T
            print("lost")

asyncio.run(main())
""",
        prints="lost\nlost\n",
    ),
    Row(
        name="async_for_whose_target_cannot_be_unpacked",
        source="""
import asyncio

async def numbers():
    yield 1

async def loop():
    async for a, b in numbers():  #X
        body = 1  #-
    return 2  #-

async def main():
    try:
        await loop()
    except TypeError:  #T
        print("type")

asyncio.run(main())
""",
        prints="type\n",
    ),
    Row(
        name="async_comprehensions_interleaved",
        source="""
import asyncio

async def numbers(limit):
    for number in range(limit):
        await asyncio.sleep(0)
        yield number

def odd(number):
    if number % 2:
        return True
    return False

async def collect(limit):
    return [
        number
        async for number in numbers(limit)
        if odd(number)
    ]

async def main():
    print(await asyncio.gather(collect(4), collect(2)))

asyncio.run(main())
""",
        prints="[[1, 3], [1]]\n",
    ),
    Row(
        name="async_with_and_a_lock_between_tasks",
        source="""
import asyncio

class Ticket:
    async def __aenter__(self):
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, kind, error, traceback):
        await asyncio.sleep(0)
        if kind is ValueError:
            return True
        return False

async def work(number, lock):
    async with lock, Ticket():
        if number == 1:
            raise ValueError
        if number == 2:
            raise KeyError
        return number
    return "swallowed"

async def main():
    lock = asyncio.Lock()
    jobs = [work(number, lock) for number in range(3)]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    print([str(type(result).__name__) for result in results])

asyncio.run(main())
""",
        prints="['int', 'str', 'KeyError']\n",
    ),
    Row(
        name="task_cancelled_in_a_condition",
        source="""
import asyncio

async def forever():
    await asyncio.Event().wait()
    return True  #-

async def ask(started):
    try:
        started.set()
        if await forever():  #X
            a = 1  #-
        else:
            a = 2  #-
    except asyncio.CancelledError:  #T
        print("cancelled")
        raise
    finally:
        print("finally")

async def main():
    started = asyncio.Event()
    task = asyncio.create_task(ask(started))
    await started.wait()
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:  #T
        print("gone")

asyncio.run(main())
""",
        prints="cancelled\nfinally\ngone\n",
    ),
    Row(
        name="timeout_and_wait_for",
        source="""
import asyncio

async def slow():
    await asyncio.Event().wait()
    never = 1  #-

async def main():
    try:
        await asyncio.wait_for(slow(), 0.001)
        never = 1  #-
    except asyncio.TimeoutError:  #T
        print("late")
    try:
        async with asyncio.timeout(0.001):
            await slow()
    except TimeoutError:  #T
        print("late again")

asyncio.run(main())
""",
        prints="late\nlate again\n",
    ),
    Row(
        name="task_group_with_an_exception_group",
        source="""
import asyncio

async def fail(kind):
    await asyncio.sleep(0)
    if kind:
        raise kind
    await asyncio.Event().wait()
    never = 1  #-

async def main():
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail(ValueError))
            group.create_task(fail(KeyError))
            group.create_task(fail(None))
    except* ValueError:  #?
        print("value")
    except* KeyError:  #?
        print("key")

asyncio.run(main())
""",
        prints="value\nkey\n",
    ),
    Row(
        name="to_thread_and_run_in_executor",
        source="""
import asyncio
import contextvars

variable = contextvars.ContextVar("variable", default=0)

def block(number):
    if variable.get():
        return number + variable.get()
    return number

async def main():
    loop = asyncio.get_running_loop()
    variable.set(10)
    first = await asyncio.to_thread(block, 1)
    second = await loop.run_in_executor(None, block, 1)
    print(first, second)

asyncio.run(main())
""",
        prints="11 1\n",
    ),
    Row(
        name="run_in_a_process_pool",
        source="""
import asyncio
from concurrent.futures import ProcessPoolExecutor

def square(number):
    if number > 1:
        return number * number
    return number

async def main():
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(2) as pool:
        jobs = [loop.run_in_executor(pool, square, number) for number in range(4)]
        print(await asyncio.gather(*jobs))

if __name__ == "__main__":  #?
    asyncio.run(main())
""",
        prints="[0, 1, 4, 9]\n",
    ),
    Row(
        name="asyncio_subprocess",
        source="""
import asyncio
import sys

async def main():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "child.py", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    print(out.decode().strip(), process.returncode)
    process = await asyncio.create_subprocess_shell(f"{sys.executable} child.py more")
    print(await process.wait())

asyncio.run(main())
""",
        files={
            "child.py": """
import sys

if len(sys.argv) > 1:
    sys.exit(5)
print("child")
"""
        },
        prints="child 0\n5\n",
    ),
    Row(
        name="loops_in_several_threads",
        source="""
import asyncio
import threading

async def work(flag):
    await asyncio.sleep(0)
    if flag:
        return "yes"
    return "no"

def run(flag):
    answers[flag] = asyncio.run(work(flag))

answers = {}
threads = [threading.Thread(target=run, args=(flag,)) for flag in (True, False)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(answers[True], answers[False])
""",
        prints="yes no\n",
    ),
    Row(
        name="run_coroutine_threadsafe_and_call_soon",
        source="""
import asyncio
import threading

def called(number):
    if number:
        calls.append(number)
    else:
        loop.stop()

async def work():
    await asyncio.sleep(0)
    return 7

calls = []
loop = asyncio.new_event_loop()
thread = threading.Thread(target=loop.run_forever)
thread.start()
print(asyncio.run_coroutine_threadsafe(work(), loop).result())
loop.call_soon_threadsafe(called, 1)
loop.call_soon_threadsafe(called, 0)
thread.join()
loop.close()
print(calls)
""",
        prints="7\n[1]\n",
    ),
    Row(
        name="queue_between_tasks_with_sentinel",
        source="""
import asyncio

async def produce(queue):
    for item in range(3):
        await queue.put(item)
    await queue.put(None)

async def consume(queue):
    got = []
    while (item := await queue.get()) is not None:
        got.append(item)
    return got

async def main():
    queue = asyncio.Queue(1)
    _, got = await asyncio.gather(produce(queue), consume(queue))
    print(got)

asyncio.run(main())
""",
        prints="[0, 1, 2]\n",
    ),
    Row(
        name="async_generator_closed_by_the_loops_end",
        source="""
import asyncio

async def endless():
    try:
        while True:
            yield 1
    finally:
        await asyncio.sleep(0)
        print("closed")

async def main():
    global source
    source = endless()
    async for item in source:  #T
        break

asyncio.run(main())
""",
        prints="closed\n",
    ),
    Row(
        name="match_in_interleaved_tasks",
        source="""
import asyncio

async def turn(value):
    await asyncio.sleep(0)
    return value

async def handle(message):
    match await turn(message):
        case {"kind": "a", "value": value} if await turn(value):
            return "a"
        case {"kind": "a"}:
            return "falsy a"
        case [*_] as items:
            return len(items)
        case _:
            return None

async def main():
    messages = [{"kind": "a", "value": 1}, {"kind": "a", "value": 0}, [1, 2], 5]
    print(await asyncio.gather(*map(handle, messages)))

asyncio.run(main())
""",
        prints="['a', 'falsy a', 2, None]\n",
    ),
    Row(
        name="try_except_else_finally_in_interleaved_tasks",
        source="""
import asyncio

async def step(error):
    await asyncio.sleep(0)
    if error:
        raise error

async def work(error):
    path = []
    try:
        await step(error)
    except ValueError:  #T
        path.append("value")
        await asyncio.sleep(0)
    else:
        path.append("else")
        await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0)
        path.append("finally")
    return path

async def main():
    print(await asyncio.gather(work(None), work(ValueError()), work(None)))

asyncio.run(main())
""",
        prints="[['else', 'finally'], ['value', 'finally'], ['else', 'finally']]\n",
    ),
    Row(
        name="greenlets_below_asyncio",
        needs=("greenlet",),
        source="""
import asyncio
import greenlet

def await_(awaitable):
    return greenlet.getcurrent().parent.switch(awaitable)

async def spawn(function, *arguments):
    child = greenlet.greenlet(function)
    result = child.switch(*arguments)
    while not child.dead:
        result = child.switch(await result)
    return result

async def value(result):
    await asyncio.sleep(0)
    return result

def synchronous(flag):
    if await_(value(flag)):
        kind = "yes"
    else:
        kind = "no"
    for item in await_(value([kind])):
        await_(asyncio.sleep(0))
    return item

async def main():
    print(await asyncio.gather(spawn(synchronous, True), spawn(synchronous, False)))

asyncio.run(main())
""",
        prints="['yes', 'no']\n",
    ),
    Row(
        name="eager_tasks",
        python=(3, 12),
        source="""
import asyncio

async def ready(flag):
    if flag:
        await asyncio.sleep(0)
        return "late"
    return "at once"

async def main():
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    tasks = [asyncio.create_task(ready(flag)) for flag in (0, 1)]
    print([task.done() for task in tasks], await asyncio.gather(*tasks))

asyncio.run(main())
""",
        prints="[True, False] ['at once', 'late']\n",
    ),
    Row(
        name="fork_inside_a_running_loop",
        source="""
import asyncio
import os
import warnings

warnings.simplefilter("ignore")

async def main():
    await asyncio.sleep(0)
    child = os.fork()
    if child == 0:
        in_child = 1
        os._exit(3)
    else:
        in_parent = 1
    _, status = os.waitpid(child, 0)
    await asyncio.sleep(0)
    print(os.waitstatus_to_exitcode(status))

asyncio.run(main())
""",
        prints="3\n",
    ),
]
