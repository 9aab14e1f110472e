"""greenlet: switches in the middle of everything, throws, threads, and tracing by the user."""

from __future__ import annotations

from tests.corpus.row import Row

NEEDS = ("greenlet",)

# What most programs share: two greenlets take turns at every `turn(value)`.
TURNS = """
import greenlet

def turn(value=None):
    greenlet.getcurrent().parent.switch()
    return value

def alternate(*calls):
    results = {}
    jobs = [greenlet.greenlet(function) for function, *_ in calls]
    for job, (_, *arguments) in zip(jobs, calls):
        job.switch(*arguments)
    while len(results) < len(jobs):
        for number, job in enumerate(jobs):
            if not job.dead:  #?
                value = job.switch()
                if job.dead:  #?
                    results[number] = value
    return [results[number] for number in range(len(jobs))]
"""
FILES = {"turns.py": TURNS}


def alternating(name: str, body: str, calls: str, prints: str) -> Row:
    """Give a program whose functions run at the same time, a switch at every `turn()`."""
    source = f"from turns import alternate, turn\n{body}\nprint(alternate({calls}))\n"
    return Row(name=name, source=source, files=FILES, needs=NEEDS, prints=prints + "\n")


ROWS = [
    alternating(
        "conditions_of_one_function_opposite_outcomes",
        """
def ask(value):
    if turn(value):
        result = "yes"
    else:
        result = "no"
    return result
""",
        "(ask, True), (ask, False)",
        "['yes', 'no']",
    ),
    alternating(
        "conditions_one_outcome_each",
        """
def left(value):
    if turn(value):  #T
        return turn(1)
    return turn(2)  #-

def right(value):
    if turn(value):  #F
        return turn(1)  #-
    return turn(2)
""",
        "(left, True), (right, False)",
        "[1, 2]",
    ),
    alternating(
        "loops_of_one_function_with_different_lengths",
        """
def loop(items):
    total = 0
    for item in turn(items):
        turn()
        total += item
    else:
        turn()
        total += 100
    return total

def endless(items):
    for item in turn(items):  #T
        turn()
        if turn(item == 2):
            break
    else:
        item = "never"  #-
    return item

def nothing(items):
    while turn(items):  #F
        turn()  #-
    return turn("nothing")
""",
        "(loop, [1, 2]), (loop, []), (endless, [1, 2, 3]), (nothing, 0)",
        "[103, 100, 2, 'nothing']",
    ),
    alternating(
        "iterators_that_switch",
        """
class Turning:
    def __init__(self, limit):
        self.limit = limit

    def __iter__(self):
        turn()
        return self

    def __next__(self):
        turn()
        if self.limit == 0:
            raise StopIteration
        self.limit -= 1
        return turn(self.limit)

def loop(limit):
    last = None
    for last in Turning(limit):
        turn()
    return last

def some(limit):
    for item in Turning(limit):  #T
        return item
    return turn("none")  #-

def none(limit):
    for item in Turning(limit):  #F
        return item  #-
    return turn("none")
""",
        "(some, 1), (none, 0), (loop, 2)",
        "[0, 'none', 0]",
    ),
    alternating(
        "call_arguments_and_operators",
        """
def add(a, b, *c, **d):
    turn()
    return a + b + sum(c) + sum(d.values())

def work(value):
    result = add(
        turn(value),
        turn(2),
        *turn([3]),
        key=turn(4),
    )
    result += turn(1) if turn(value) else turn(0)
    result = turn(result) + turn(1) * turn(2)
    return (
        turn(result)
        and turn(result)
        or turn("zero")
    )
""",
        "(work, 1), (work, 0)",
        "[13, 11]",
    ),
    alternating(
        "comprehensions",
        """
def keep(item):
    if turn(item % 2):
        return turn(True)
    return turn(False)

def work(limit):
    return [
        turn(item)
        for item in turn(range(limit))
        if keep(item)
    ]

def work_more(limit):
    return sorted({
        turn(key): turn(value)
        for key, value in turn([(1, 2), (3, 4)])
        if turn(key < limit)
    }.items())
""",
        "(work, 4), (work, 1), (work_more, 9), (work_more, 2)",
        "[[1, 3], [], [(1, 2), (3, 4)], [(1, 2)]]",
    ),
    alternating(
        "with_statements",
        """
class Turning:
    def __init__(self, swallow):
        self.swallow = swallow

    def __enter__(self):
        return turn(self)

    def __exit__(self, kind, error, traceback):
        if turn(kind):
            turn()
            return turn(self.swallow)
        return turn(False)

def work(error):
    with turn(Turning(True)) as outer, Turning(False):
        if turn(error):
            raise turn(error)
        turn()
        return "calm"
    return turn("swallowed")
""",
        "(work, None), (work, ValueError()), (work, None)",
        "['calm', 'swallowed', 'calm']",
    ),
    alternating(
        "try_statements",
        """
def fail(error):
    if turn(error):
        raise error
    return turn()

def work(error):
    path = [turn()]
    try:
        turn()
        fail(error)
    except turn(ValueError):  #?
        path.append(turn("value"))
    except (turn(KeyError), OSError):  #?
        path.append(turn("key"))
    else:
        path.append(turn("else"))
    finally:
        turn()
        path.append(turn("finally"))
    return path[1:]
""",
        "(work, None), (work, ValueError()), (work, KeyError())",
        "[['else', 'finally'], ['value', 'finally'], ['key', 'finally']]",
    ),
    alternating(
        "matches",
        """
def kind(thing):
    match turn(thing):
        case [a, b] if turn(a) and turn(b):
            return turn("two")
        case [*_]:
            return turn("list")
        case {"k": value}:
            return turn(value)
        case _:
            return turn("other")
""",
        "(kind, [1, 1]), (kind, [1, 0]), (kind, {'k': 5}), (kind, 0)",
        "['two', 'list', 5, 'other']",
    ),
    alternating(
        "asserts_and_deletes_and_raises",
        """
class Thing:
    def __getattr__(self, name):
        return turn(name)

    def __setattr__(self, name, value):
        turn()

    def __delattr__(self, name):
        turn()

def work(value):
    thing = Thing()
    thing.a = turn(1)
    del thing.a
    try:
        assert turn(value), turn("message")
        turn()
    except AssertionError as error:  #T
        return turn(str(error))
    return thing.name
""",
        "(work, 1), (work, 0)",
        "['name', 'message']",
    ),
    alternating(
        "recursions_of_one_function",
        """
def down(depth):
    turn()
    if turn(depth):
        deeper = down(depth - 1)
        return turn(deeper) + 1
    return turn(0)
""",
        "(down, 3), (down, 5)",
        "[3, 5]",
    ),
    alternating(
        "decorators_and_class_bodies",
        """
def mark(value):
    turn()
    def decorate(thing):
        turn()
        return thing
    return turn(decorate)

def work(flag):
    @mark(turn(1))
    @mark(
        turn(2),
    )
    def inner(value=turn(flag)):
        return turn(value)

    class Body(turn(object)):
        if turn(flag):
            name = turn("yes")
        else:
            name = turn("no")

    return Body.name, inner()
""",
        "(work, 1), (work, 0)",
        "[('yes', 1), ('no', 0)]",
    ),
    Row(
        name="switch_in_a_condition_into_another_functions_condition",
        needs=NEEDS,
        source="""
import greenlet

def first():
    if second_g.switch():  #T
        a = 1
    else:
        a = 2  #-
    return a

def second():
    if first_g.switch(True):  #X
        b = 1  #-
    else:
        b = 2  #-

first_g = greenlet.greenlet(first)
second_g = greenlet.greenlet(second)
print(first_g.switch())
""",
        prints="1\n",
    ),
    Row(
        name="switch_to_the_main_greenlet_from_deep_calls",
        needs=NEEDS,
        source="""
import greenlet

def deep(depth):
    if depth:
        return deep(depth - 1)
    while main.switch("deep"):
        again.append(1)
    return "out"

again = []
main = greenlet.getcurrent()
child = greenlet.greenlet(deep)
print(child.switch(5), child.switch(1), child.switch(0))
print(again)
""",
        prints="deep deep out\n[1]\n",
    ),
    Row(
        name="throw_into_a_condition",
        needs=NEEDS,
        source="""
import greenlet

def ask():
    try:
        if main.switch("asking"):  #X
            a = 1  #-
        else:
            a = 2  #-
    except ValueError:  #T
        return "thrown"
    finally:
        done.append(1)
    return a  #-

done = []
main = greenlet.getcurrent()
child = greenlet.greenlet(ask)
print(child.switch(), child.throw(ValueError), done)
""",
        prints="asking thrown [1]\n",
    ),
    Row(
        name="throw_before_the_first_switch",
        needs=NEEDS,
        source="""
import greenlet

def idle():
    never = 1  #-

child = greenlet.greenlet(idle)
try:
    child.throw(KeyError)
except KeyError:  #T
    print("thrown", child.dead)
""",
        prints="thrown True\n",
    ),
    Row(
        name="greenlet_exit_by_collection",
        needs=NEEDS,
        source="""
import greenlet

def guarded():
    try:
        main.switch()
        never = 1  #-
    except greenlet.GreenletExit:  #T
        ended.append("exit")
        raise
    finally:
        ended.append("finally")

ended = []
main = greenlet.getcurrent()
child = greenlet.greenlet(guarded)
child.switch()
del child
print(ended)
""",
        prints="['exit', 'finally']\n",
    ),
    Row(
        name="exception_of_a_child_reaches_the_parent_in_a_loop_head",
        needs=NEEDS,
        source="""
import greenlet

def fail():
    raise OSError("child")

def parent():
    for item in greenlet.greenlet(fail).switch():  #X
        never = 1  #-
    return 2  #-

try:
    parent()
except OSError:  #T
    print("seen")
""",
        prints="seen\n",
    ),
    Row(
        name="generator_started_in_one_greenlet_and_resumed_in_another",
        needs=NEEDS,
        source="""
import greenlet

def numbers():
    if (yield 1):
        yield 2
    else:
        yield 3
    for item in (yield 4):
        yield item
    return

def drive(source, value):
    try:
        results.append(source.send(value))
    except StopIteration:  #T
        results.append("end")

results = []
for values in ((None, True, None, [5], None), (None, False, None, [], None)):
    source = numbers()
    for value in values:
        greenlet.greenlet(drive).switch(source, value)
print(results)
""",
        prints="[1, 2, 4, 5, 'end', 1, 3, 4, 'end', 'end']\n",
    ),
    Row(
        name="generator_that_switches_while_it_runs",
        needs=NEEDS,
        source="""
import greenlet

def items(limit):
    for number in range(limit):
        if main.switch(number):
            yield number
        else:
            yield -number

def consume(limit):
    return [item for item in items(limit)]

main = greenlet.getcurrent()
a = greenlet.greenlet(consume)
b = greenlet.greenlet(consume)
a.switch(2)
b.switch(2)
a.switch(True)
b.switch(False)
print(a.switch(True), b.switch(False))
""",
        prints="[0, 1] [0, -1]\n",
    ),
    Row(
        name="generator_whose_consumer_switches_inside_its_for",
        needs=NEEDS,
        source="""
import greenlet

def items(limit):
    number = 0
    while number < limit:
        yield number
        number += 1
    end = 1

def consume(limit):
    for item in items(limit):
        main.switch(item)
        if item == 1:
            main.switch("one")
    return "done"

main = greenlet.getcurrent()
a = greenlet.greenlet(consume)
b = greenlet.greenlet(consume)
print([child.switch(3) if not step else child.switch() for step in range(5) for child in (a, b)])
""",
        prints="[0, 0, 1, 1, 'one', 'one', 2, 2, 'done', 'done']\n",
    ),
    Row(
        name="coroutines_run_by_greenlets",
        needs=NEEDS,
        source="""
import greenlet

class Switch:
    def __await__(self):
        return iter_of(main.switch())

def iter_of(value):
    if value is None:  #F
        yield  #-
    return value

async def ask():
    if await Switch():
        return "yes"
    return "no"

def run():
    try:
        ask().send(None)
    except StopIteration as stop:  #T
        return stop.value

main = greenlet.getcurrent()
a = greenlet.greenlet(run)
b = greenlet.greenlet(run)
a.switch()
b.switch()
print(a.switch(True), b.switch(False))
""",
        prints="yes no\n",
    ),
    Row(
        name="greenlets_in_several_threads",
        needs=NEEDS,
        source="""
import greenlet
import threading

def ask(main):
    if main.switch():
        return "yes"
    return "no"

def thread(flag):
    main = greenlet.getcurrent()
    children = [greenlet.greenlet(ask) for _ in range(3)]
    for child in children:
        child.switch(main)
        barrier.wait()
    results[flag] = [child.switch(flag) for child in children]

results = {}
barrier = threading.Barrier(2)
threads = [threading.Thread(target=thread, args=(flag,)) for flag in (True, False)]
for one in threads:
    one.start()
for one in threads:
    one.join()
print(results[True], results[False])
""",
        prints="['yes', 'yes', 'yes'] ['no', 'no', 'no']\n",
    ),
    Row(
        name="greenlet_left_behind_by_a_dead_thread",
        needs=NEEDS,
        source="""
import gc
import greenlet
import threading

def guarded(main):
    try:
        main.switch()
        never = 1  #-
    finally:
        print("cleaned")  #?

def thread():
    child = greenlet.greenlet(guarded)
    child.switch(greenlet.getcurrent())
    kept.append(child)

kept = []
one = threading.Thread(target=thread)
one.start()
one.join()
greenlet.getcurrent()
print("main")
del kept[:]
gc.collect()
""",
        witness=False,
        same_as_plain=True,
    ),
    Row(
        name="many_greenlets_switch_in_a_ring",
        needs=NEEDS,
        source="""
import greenlet

def member(number):
    while True:
        count = ring[(number + 1) % len(ring)].switch(number) if number + 1 < len(ring) else 0
        if count is None:  #F
            break  #-
        rounds[number] = rounds.get(number, 0) + 1
        main.switch()

rounds = {}
main = greenlet.getcurrent()
ring = [greenlet.greenlet(member) for _ in range(50)]
ring[0].switch(0)
print(len(rounds), sum(rounds.values()))
""",
        prints="1 1\n",
    ),
    Row(
        name="parent_is_changed_while_children_wait",
        needs=NEEDS,
        source="""
import greenlet

def child():
    got = main.switch("waiting")
    if got:  #T
        return got
    return "never"  #-

def foster():
    got.append(main.switch())
    return "fostered"

got = []
main = greenlet.getcurrent()
one = greenlet.greenlet(child)
other = greenlet.greenlet(foster)
other.switch()
one.switch()
one.parent = other
print(one.switch(5), got)
""",
        prints="fostered [5]\n",
    ),
    Row(
        name="greenlet_settrace_by_the_user",
        needs=NEEDS,
        source="""
import greenlet

def callback(event, arguments):
    if event == "switch":  #? nothing that hooks into tracing sees a tracing callback's own lines
        events.append("s")  #?
    else:
        events.append("t")  #?

def ask():
    try:
        if main.switch():  #T
            main.switch("yes")
        else:
            main.switch("no")  #-
        never = 1  #-
    except KeyError:  #T
        return "key"

events = []
main = greenlet.getcurrent()
print(greenlet.settrace(callback))
child = greenlet.greenlet(ask)
child.switch()
print(child.switch(True))
print(child.throw(KeyError))
print(greenlet.gettrace() is callback, greenlet.settrace(None) is callback)
print("".join(events))
""",
        prints="None\nyes\nkey\nTrue True\nssssts\n",
    ),
    Row(
        name="user_tracer_and_greenlets",
        needs=NEEDS,
        source="""
import greenlet
import sys

def tracer(frame, event, argument):
    if frame.f_code.co_name == "ask":  #?
        seen.append((event, frame.f_lineno))  #?
    return tracer  #?

def ask():
    if main.switch():  #T
        return "yes"
    return "no"  #-

seen = []
main = greenlet.getcurrent()
child = greenlet.greenlet(ask)
sys.settrace(tracer)
child.switch()
child.switch(True)
sys.settrace(None)
print(seen)
""",
        same_as_plain=True,
    ),
    Row(
        name="fork_in_a_greenlet_while_others_wait_in_conditions",
        needs=NEEDS,
        source="""
import greenlet
import os

def ask():
    if main.switch():
        result = "child"
    else:
        result = "parent"
    return result

main = greenlet.getcurrent()
waiting = greenlet.greenlet(ask)
waiting.switch()
pid = os.fork()
answer = waiting.switch(pid == 0)
if pid == 0:
    os._exit(len(answer))
print(answer, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""",
        prints="parent 5\n",
    ),
    Row(
        name="os_exit_in_a_greenlet",
        needs=NEEDS,
        source="""
import greenlet
import os

def leave():
    if main.switch():  #T
        os._exit(9)
    never = 1  #-

main = greenlet.getcurrent()
child = greenlet.greenlet(leave)
child.switch()
child.switch(True)
never = 1  #-
""",
        ends=9,
    ),
    Row(
        name="exec_in_a_greenlet",
        needs=NEEDS,
        source="""
import greenlet
import os
import sys

def replace():
    if len(sys.argv) == 1:
        os.execv(sys.executable, [sys.executable, "program.py", "again"])
    else:
        print("again", flush=True)
    return "end"

greenlet.greenlet(replace).switch()
""",
        prints="again\n",
    ),
    Row(
        name="subclass_of_greenlet_with_run_and_contextvars",
        needs=NEEDS,
        source="""
import contextvars
import greenlet

variable = contextvars.ContextVar("variable", default="outside")

class Worker(greenlet.greenlet):
    def run(self, value):
        variable.set(value)
        self.parent.switch()
        if variable.get() == "a":
            return "first"
        return "second"

a, b = Worker(), Worker()
a.switch("a")
b.switch("b")
print(a.switch(), b.switch(), variable.get())
""",
        prints="first second outside\n",
    ),
]
