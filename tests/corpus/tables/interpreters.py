"""Sub-interpreters: legacy and isolated, in threads, forking, and at the end."""

from __future__ import annotations

from tests.corpus.row import Row

# One spelling for all versions: run(code), then close().
INTERPRETERS = """
import sys

if sys.version_info >= (3, 13):  #?
    import _interpreters as module  #?
else:
    import _xxsubinterpreters as module  #?

def create(isolated=True):
    if sys.version_info >= (3, 13):  #?
        return module.create("isolated" if isolated else "legacy")  #?
    return module.create(isolated=isolated)  #?

def run(interpreter, code):
    failed = module.run_string(interpreter, code)
    if failed is not None:  #?
        raise RuntimeError(failed)  #?

destroy = module.destroy
"""
FILES = {
    "interpreters.py": INTERPRETERS,
    "part.py": """
def decide(flag):
    if flag:
        return "yes"
    return "no"

def only_in_sub(flag):
    for item in range(flag):
        last = item
    return flag
""",
}


def row(name: str, source: str, prints: str, **more: object) -> Row:
    more.setdefault("files", FILES)
    return Row(name=name, source=source, prints=prints, witness=False, **more)  # type: ignore[arg-type]


# What a sub-interpreter needs to find the files of the program.
PATH = 'import sys; sys.path.insert(0, "."); '

ROWS = [
    row(
        "lines_that_run_in_a_sub_interpreter_only",
        f"""
import interpreters
import part

part.decide(True)
sub = interpreters.create()
interpreters.run(sub, '{PATH}import part; part.decide(False); part.only_in_sub(2)')
interpreters.destroy(sub)
print("done")
""",
        "done\n",
    ),
    row(
        "called_in_another_interpreter_from_python_code",
        f"""
import ctypes
from concurrent import interpreters
import counting

def ask(sub):
    if sub is not None:
        return sub.call(counting.count, 3)

counting.count(0)
sub = interpreters.create()
ask(None)
sub.exec('{PATH}')
print(ask(sub))
print(ask(sub))
sub.close()
""",
        "3\n3\n",
        files={
            "counting.py": """
STEP = 1

def count(number):
    total = 0
    for _ in range(number):
        total += STEP
    return total
"""
        },
        python=(3, 14),
    ),
    row(
        "a_function_that_is_given_to_another_interpreter",
        """
from concurrent import interpreters

def make():
    def function(flag):
        if flag:
            return "given"
        return "here"
    def other(flag):
        if flag:  #F
            return "never"  #-
        return "there"
    return function, other

function, other = make()
sub = interpreters.create()
print(function(False))
print(sub.call(function, False))
print(function(True))
print(sub.call(other, False))
sub.close()
""",
        "here\nhere\ngiven\nthere\n",
        files={},
        python=(3, 14),
    ),
    row(
        "legacy_interpreter_that_shares_the_gil",
        f"""
import interpreters
import part

part.decide(False)
sub = interpreters.create(isolated=False)
interpreters.run(sub, '{PATH}import part; part.decide(True); part.only_in_sub(1)')
interpreters.run(sub, 'part.only_in_sub(0)')
interpreters.destroy(sub)
print("done")
""",
        "done\n",
    ),
    row(
        "several_interpreters_in_threads",
        f"""
import interpreters
import threading

def work(flag):
    sub = interpreters.create()
    interpreters.run(sub, '{PATH}import part; part.decide(%d); part.only_in_sub(%d)' % (flag, flag))
    interpreters.destroy(sub)
    done.append(flag)

done = []
threads = [threading.Thread(target=work, args=(flag,)) for flag in (0, 1)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(done))
""",
        "[0, 1]\n",
    ),
    row(
        "threads_inside_a_sub_interpreter",
        f"""
import interpreters

sub = interpreters.create(isolated=False)
interpreters.run(sub, '''
{PATH}import threading, part
threads = [threading.Thread(target=part.decide, args=(flag,)) for flag in (0, 1)]
for thread in threads: thread.start()
for thread in threads: thread.join()
part.only_in_sub(2)
''')
interpreters.destroy(sub)
print("done")
""",
        "done\n",
    ),
    row(
        "exception_in_a_sub_interpreter",
        f"""
import interpreters

sub = interpreters.create()
try:
    interpreters.run(sub, '{PATH}import part; part.decide(1); part.decide(0); part.only_in_sub(1); 1 / 0')
    never = 1  #-
except Exception as error:  #T
    print("failed")
interpreters.destroy(sub)
""",
        "failed\n",
    ),
    row(
        "sub_interpreter_left_alive_at_the_end",
        f"""
import interpreters
import os

sub = interpreters.create()
interpreters.run(sub, '{PATH}import part; part.decide(1); part.decide(0); part.only_in_sub(1)')
print("end", flush=True)
os._exit(0)
""",
        "end\n",
    ),
    row(
        "process_killed_in_a_sub_interpreter",
        f"""
import interpreters

print("start", flush=True)
sub = interpreters.create(isolated=False)
interpreters.run(sub, '{PATH}import part; part.decide(1); part.decide(0); part.only_in_sub(1); '
                      'import os; os._exit(9)')
never = 1  #-
""",
        "start\n",
        ends=9,
    ),
    row(
        "subprocess_started_in_a_sub_interpreter",
        f"""
import interpreters

sub = interpreters.create(isolated=False)
interpreters.run(sub, '''
{PATH}import part, subprocess
part.decide(0)
subprocess.run([{{python!r}}, "-c", "import part; part.decide(1); part.only_in_sub(1)"], env={{{{}}}})
'''.format(python=__import__("sys").executable))
interpreters.destroy(sub)
print("done")
""",
        "done\n",
        until=(3, 12),  # later Pythons cannot import _posixsubprocess in such interpreters
    ),
    row(
        "many_interpreters_one_after_the_other",
        f"""
import interpreters

for number in range(6):
    sub = interpreters.create()
    interpreters.run(sub, '{PATH}import part; part.decide(%d); part.only_in_sub(%d)' % (number % 2, number))
    interpreters.destroy(sub)
print("done")
""",
        "done\n",
    ),
    row(
        "public_module_of_interpreters",
        f"""
from concurrent import interpreters

sub = interpreters.create()
sub.exec('{PATH}import part; part.decide(1); part.decide(0); part.only_in_sub(3)')
sub.close()
print("done")
""",
        "done\n",
        files={"part.py": FILES["part.py"]},
        python=(3, 14),
    ),
    row(
        "interpreter_pool_executor",
        """
from concurrent.futures import InterpreterPoolExecutor
import part

if __name__ == "__main__":  #?
    with InterpreterPoolExecutor(2) as pool:
        print(list(pool.map(part.decide, (0, 1))), pool.submit(part.only_in_sub, 2).result())
""",
        "['no', 'yes'] 2\n",
        files={"part.py": FILES["part.py"]},
        python=(3, 14),
    ),
]
