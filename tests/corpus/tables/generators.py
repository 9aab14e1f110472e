"""Generators, comprehensions and coroutines driven by hand: frames that stop in the middle."""

from __future__ import annotations

from tests.corpus.row import Row

ROWS = [
    Row(
        name="two_generators_of_one_function_interleaved",
        source="""
def choose(flag):
    yield 0
    if flag:
        yield 1
    else:
        yield 2
    yield 3

a, b = choose(True), choose(False)
print([item for pair in zip(a, b) for item in pair])
""",
        prints="[0, 0, 1, 2, 3, 3]\n",
    ),
    Row(
        name="each_generator_takes_one_side_only",
        source="""
def left(flag):
    yield 0
    if (yield flag):  #T
        yield 1
    else:
        yield 2  #-

def right(flag):
    yield 0
    if (yield flag):  #F
        yield 1  #-
    else:
        yield 2

a, b = left(True), right(False)
for value in (None, None, 5):
    a.send(value)
    b.send(None)
""",
    ),
    Row(
        name="generator_left_in_the_middle_of_a_condition",
        source="""
def ask():
    if (yield 1):  #X
        a = 1  #-
    else:
        a = 2  #-
    b = 3  #-

source = ask()
next(source)
del source
""",
    ),
    Row(
        name="generator_thrown_into_in_a_condition",
        source="""
def ask():
    try:
        if (yield 1):  #X
            a = 1  #-
        b = 2  #-
    except ValueError:  #T
        yield "caught"
    finally:
        end = 1
    after = 1

source = ask()
next(source)
print(source.throw(ValueError))
print(next(source, "over"))
""",
        prints="caught\nover\n",
    ),
    Row(
        name="generator_thrown_into_before_its_first_line",
        source="""
def fresh():
    a = 1  #-
    yield a  #-

source = fresh()
try:
    source.throw(KeyError)
except KeyError:  #T
    print("thrown")
""",
        prints="thrown\n",
    ),
    Row(
        name="generator_that_is_never_started",
        source="""
def idle(flag):
    if flag:  #-
        yield 1  #-
    yield 2  #-

source = idle(True)
source.close()
""",
    ),
    Row(
        name="loop_left_in_its_middle_and_collected",
        source="""
def count():
    for number in range(10):  #T
        if number == 2:
            yield "two"
        else:
            yield number
    after = 1  #-

for item in count():  #T
    if item == "two":
        break
""",
    ),
    Row(
        name="generator_exit_with_return_in_finally",
        source="""
def stubborn():
    try:
        while True:
            yield 1
    finally:
        done.append(1)

done = []
source = stubborn()
next(source)
next(source)
source.close()
print(done)
""",
        prints="[1]\n",
    ),
    Row(
        name="generator_that_ignores_generator_exit",
        source="""
def stubborn():
    try:
        yield 1
    except GeneratorExit:  #T
        yield 2
    never = 1  #-

source = stubborn()
next(source)
try:
    source.close()
except RuntimeError:  #T
    print("refused")
""",
        prints="refused\n",
    ),
    Row(
        name="yield_from_with_values_both_ways",
        source="""
def inner():
    got = yield 1
    if got:
        return "value"
    return None

def outer():
    while True:
        result = yield from inner()
        if result is None:
            break
    return "end"

source = outer()
next(source)
source.send(True)
try:
    source.send(False)
except StopIteration as stop:  #T
    print(stop.value)
""",
        prints="end\n",
    ),
    Row(
        name="yield_from_in_a_condition_with_throw",
        source="""
def inner():
    try:
        yield 1
    except ValueError:  #T
        return True
    return False  #-

def outer():
    if (yield from inner()):  #T
        return "yes"
    return "no"  #-

source = outer()
next(source)
try:
    source.throw(ValueError)
except StopIteration as stop:  #T
    print(stop.value)
""",
        prints="yes\n",
    ),
    Row(
        name="recursive_generators",
        source="""
def walk(tree):
    if isinstance(tree, list):
        for branch in tree:
            yield from walk(branch)
    else:
        yield tree

print(list(walk([1, [2, [3, []]], 4])))
""",
        prints="[1, 2, 3, 4]\n",
    ),
    Row(
        name="generator_expression_driven_by_two_loops",
        source="""
def odd(number):
    if number % 2:
        return True
    return False

numbers = (
    number
    for number in range(10)
    if odd(number)
)
for number in numbers:  #T
    if number > 3:
        break
rest = list(numbers)
print(rest)
""",
        prints="[7, 9]\n",
    ),
    Row(
        name="comprehension_left_by_an_exception",
        source="""
def check(number):
    if number > 2:
        raise ValueError(number)
    return number

try:
    values = [
        check(number)
        for number in range(5)
    ]
    never = 1  #-
except ValueError:  #T
    print("left")
""",
        prints="left\n",
    ),
    Row(
        name="loop_target_that_cannot_be_unpacked",
        source="""
def loop(items):
    for a, b in items:  #X
        body = 1  #-
    return 2  #-

try:
    loop([1])
except TypeError:  #T
    print("type")
""",
        prints="type\n",
    ),
    Row(
        name="loop_target_attribute_that_refuses",
        source="""
class Strict:
    def __setattr__(self, name, value):
        if value > 0:
            raise AttributeError(name)
        super().__setattr__(name, value)

def loop(thing, items):
    for thing.value in items:
        seen.append(thing.value)
    return "end"

seen = []
print(loop(Strict(), [0, -1]))
try:
    loop(Strict(), [0, 1])
except AttributeError:  #T
    print(seen)
""",
        prints="end\n[0, -1, 0]\n",
    ),
    Row(
        name="loop_target_attribute_that_always_refuses",
        source="""
class Refuser:
    def __setattr__(self, name, value):
        raise AttributeError(name)

    def __setitem__(self, key, value):
        raise KeyError(key)

def by_attribute(thing):
    for thing.value in [1]:  #X
        body = 1  #-
    return 2  #-

def by_item(thing):
    for thing["key"] in [1]:  #X
        body = 1  #-
    return 2  #-

for function in (by_attribute, by_item):
    try:
        function(Refuser())
    except (AttributeError, KeyError):  #T
        print("refused")
""",
        prints="refused\nrefused\n",
    ),
    Row(
        name="iterator_that_raises_in_the_middle",
        source="""
class Breaking:
    def __init__(self, limit):
        self.left = limit

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise OSError("broken")
        self.left -= 1
        return self.left

def total(items):
    result = 0
    for item in items:  #T
        result += item
    return result  #-

def nothing(items):
    for item in items:  #X
        never = item  #-
    return 0  #-

for function, limit in ((total, 3), (nothing, 0)):
    try:
        function(Breaking(limit))
    except OSError:  #T
        print("broken")
""",
        prints="broken\nbroken\n",
    ),
    Row(
        name="truth_value_that_raises",
        source="""
class Undecided:
    def __bool__(self):
        raise ValueError("undecided")

def ask(value):
    if value:  #X
        return 1  #-
    return 2  #-

def loop(value):
    while value:  #X
        never = 1  #-
    return 2  #-

def deny(value):
    if not value:  #X
        return 1  #-
    return 2  #-

for function in (ask, loop, deny):
    try:
        function(Undecided())
    except ValueError:  #T
        print("undecided")
""",
        prints="undecided\n" * 3,
    ),
    Row(
        name="truth_value_that_runs_a_generator",
        source="""
class Lazy:
    def __init__(self, values):
        self.values = iter(values)

    def __bool__(self):
        for value in self.values:
            if value is None:
                continue
            return value
        return False

def ask(lazy):
    if lazy:
        return "yes"
    return "no"

lazy = Lazy([None, True])
print(ask(lazy), ask(lazy))
""",
        prints="yes no\n",
    ),
    Row(
        name="pattern_guards_that_run_generators",
        source="""
def matches(values):
    for value in values:
        if value:
            return True
    return False

def kind(thing):
    match thing:
        case [first, *rest] if matches(iter(rest)):
            return "some"
        case [first, *_]:
            return "none"
        case {"key": value} if value:  #F
            return "key"  #-
        case _:
            return "other"

print(kind([0, 0, 1]), kind([0, 0]), kind({"key": 0}))
""",
        prints="some none other\n",
    ),
    Row(
        name="pattern_whose_class_check_raises",
        source="""
class Odd(type):
    def __instancecheck__(cls, instance):
        raise RuntimeError("no check")

class Thing(metaclass=Odd):
    pass

def kind(value):
    match value:
        case Thing():  #X
            return "thing"  #-
        case _:  #-
            return "other"  #-

try:
    kind(1)
except RuntimeError:  #T
    print("no check")
""",
        prints="no check\n",
    ),
    Row(
        name="coroutine_driven_by_hand_and_left_in_a_condition",
        source="""
class Pause:
    def __await__(self):
        return (yield)

async def ask():
    if await Pause():  #X
        a = 1  #-
    else:
        a = 2  #-

coroutine = ask()
coroutine.send(None)
coroutine.close()
""",
    ),
    Row(
        name="coroutines_interleaved_with_opposite_branches",
        source="""
class Pause:
    def __await__(self):
        return (yield)

async def ask(name):
    if await Pause():
        result = "yes"
    else:
        result = "no"
    answers.append((name, result))

answers = []
a, b = ask("a"), ask("b")
a.send(None)
b.send(None)
for coroutine, value in ((a, True), (b, False)):
    try:
        coroutine.send(value)
    except StopIteration:  #T
        pass
print(answers)
""",
        prints="[('a', 'yes'), ('b', 'no')]\n",
    ),
    Row(
        name="coroutine_that_is_never_awaited",
        source="""
import warnings

warnings.simplefilter("ignore")

async def forgotten():
    never = 1  #-

forgotten()
print("on")
""",
        prints="on\n",
    ),
    Row(
        name="async_generator_driven_by_hand",
        source="""
async def count(limit):
    for number in range(limit):  #T
        if number % 2:
            yield "odd"
        else:
            yield "even"
    end = 1  #-

async def take(source, amount):
    got = []
    async for item in source:  #T
        got.append(item)
        if len(got) == amount:
            break
    return got

try:
    take(count(9), 3).send(None)
except StopIteration as stop:  #T
    print(stop.value)
""",
        prints="['even', 'odd', 'even']\n",
    ),
    Row(
        name="context_manager_made_of_a_generator_that_swallows",
        source="""
from contextlib import contextmanager

@contextmanager
def swallow(*kinds):
    try:
        yield
    except kinds:
        swallowed.append(1)

def work(error):
    with swallow(ValueError):
        if error:
            raise error
        return "returned"
    return "swallowed"

swallowed = []
print(work(None), work(ValueError()))
try:
    work(KeyError())
except KeyError:  #T
    print(len(swallowed))
""",
        prints="returned swallowed\n1\n",
    ),
    Row(
        name="sort_key_and_map_filter_callbacks_in_one_line",
        source="""
def key(value):
    if value < 0:
        return -value
    return value

def keep(value):
    if value:
        return True
    return False

print(sorted(map(key, filter(keep, [3, -2, 0, 1])), key=key))
""",
        prints="[1, 2, 3]\n",
    ),
    Row(
        name="trampoline_of_a_thousand_generators",
        source="""
def task(number):
    for step in range(3):
        if number == 500 and step == 1:
            yield "special"
        else:
            yield step

tasks = [task(number) for number in range(1000)]
specials = 0
while tasks:
    alive = []
    for one in tasks:
        item = next(one, None)
        if item is None:
            continue
        if item == "special":
            specials += 1
        alive.append(one)
    tasks = alive
print(specials)
""",
        prints="1\n",
    ),
    Row(
        name="same_source_compiled_again_and_again",
        source="""
source = open("piece.py").read()
for flag in (0, 0, 1):
    space = {"flag": flag}
    exec(compile(source, "piece.py", "exec"), space)
    print(space["result"])
""",
        files={
            "piece.py": """
def answer(flag):
    if flag:
        return "late"
    return "early"
result = answer(flag)
"""
        },
        prints="early\nearly\nlate\n",
    ),
    Row(
        name="module_reloaded_with_another_outcome",
        source="""
import importlib
import state
import piece

state.flag = True
importlib.reload(piece)
print(piece.result)
""",
        files={
            "state.py": """
flag = False
""",
            "piece.py": """
import state
if state.flag:
    result = "second"
else:
    result = "first"
""",
        },
        prints="second\n",
    ),
    Row(
        name="generator_finished_by_the_interpreters_end",
        source="""
import sys

def guarded():
    try:
        yield 1
        never = 1  #-
    finally:
        print("closed at the end")

source = guarded()
next(source)
sys.exit(4)
""",
        ends=4,
        witness=False,
        prints="closed at the end\n",
    ),
]
