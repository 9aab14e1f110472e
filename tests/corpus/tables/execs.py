"""Execs: every spelling, scrubbed environments, long chains, and execs that fail."""

from __future__ import annotations

from tests.corpus.row import Row

AGAIN = """
import sys

if sys.argv[1] == "again":  #T
    print("again")
else:
    print("never")  #-
"""


def replacing(name: str, call: str, **more: object) -> Row:
    """Give a program that replaces itself by again.py through the call."""
    source = f"""
import os
import sys

python = sys.executable
arguments = [python, "again.py", "again"]
before = 1
if before:  #T
    {call}
    never = 1  #-
never = 1  #-
"""
    return Row(name=name, source=source, files={"again.py": AGAIN}, prints="again\n", **more)  # type: ignore[arg-type]


ROWS = [
    replacing("execv", "os.execv(python, arguments)"),
    replacing("execl", "os.execl(python, *arguments)"),
    replacing("execle", "os.execle(python, *arguments, dict(os.environ))"),
    replacing("execlp", "os.execlp(python, *arguments)"),
    replacing("execlpe", "os.execlpe(python, *arguments, dict(os.environ))"),
    replacing("execvp", "os.execvp(python, arguments)"),
    replacing("execve_by_position", "os.execve(python, arguments, {'A': '1'})"),
    replacing("execve_by_keyword", "os.execve(path=python, argv=arguments, env={})"),
    replacing("execve_env_by_keyword", "os.execve(python, arguments, env={'PATH': '/nowhere'})"),
    replacing("execve_of_os_environ", "os.execve(python, arguments, os.environ)"),
    replacing("execve_of_bytes", "os.execve(os.fsencode(python), arguments, {b'A': b'1'})"),
    replacing("execve_of_environb", "os.execve(python, arguments, os.environb)"),
    replacing("execvpe", "os.execvpe(python, arguments, {})"),
    replacing("execv_of_a_tuple", "os.execv(python, tuple(arguments))"),
    replacing(
        "execv_of_a_path_object", "import pathlib; os.execv(pathlib.Path(python), arguments)"
    ),
    replacing("execv_bound_early", "from posix import execv; execv(python, arguments)"),
    replacing(
        "execve_of_a_file_descriptor",
        "os.execve(os.open(python, os.O_RDONLY), arguments, {})",
        linux=True,
    ),
    replacing(
        "execv_after_the_environment_was_cleared", "os.environ.clear(); os.execv(python, arguments)"
    ),
    replacing(
        "execv_after_every_variable_was_unset",
        "[os.unsetenv(name) for name in os.environ]; os.execv(python, arguments)",
    ),
    replacing(
        "execve_of_an_environment_without_ours",
        "os.execve(python, arguments, "
        "{k: v for k, v in os.environ.items() if not k.startswith('COVSUP')})",
    ),
    replacing(
        "execv_through_a_shell",
        "os.execv('/bin/sh', ['sh', '-c', f'exec {python} again.py again'])",
    ),
    replacing(
        "execve_through_a_shell_with_an_empty_environment",
        "os.execve('/bin/sh', ['sh', '-c', f'exec {python} again.py again'], {})",
    ),
    replacing("execv_through_env", "os.execvp('env', ['env', 'A=1', *arguments])"),
    replacing(
        "execv_with_unbuffered_and_isolated_flags",
        "os.execv(python, [python, '-u', '-I', *arguments[1:]])",
    ),
    replacing(
        "execv_from_a_thread",
        "import threading; t = threading.Thread(target=os.execv, args=(python, arguments)); "
        "t.start(); t.join()",
    ),
    replacing(
        "execv_in_a_class_body_in_an_exec",
        "exec('class C: os.execv(python, arguments)')",
    ),
    replacing(
        "execv_with_all_descriptors_closed",
        "os.closerange(3, 1024); os.execv(python, arguments)",
    ),
    replacing(
        "execv_from_another_directory",
        "os.chdir('/'); arguments[1] = os.path.join(sys.path[0], 'again.py'); "
        "os.execv(python, arguments)",
    ),
    Row(
        name="chain_of_twenty_generations",
        source="""
import os
import sys

generation = int(sys.argv[1]) if len(sys.argv) > 1 else 0
if generation < 20:
    if generation % 2:
        environment = {}
    else:
        environment = dict(os.environ, GENERATION=str(generation))
    arguments = [sys.executable, "program.py", str(generation + 1)]
    os.execve(sys.executable, arguments, environment)
else:
    print("last", os.environ.get("GENERATION"))
""",
        prints="last None\n",
    ),
    Row(
        name="chain_in_which_each_generation_runs_a_function_of_its_own",
        source="\n".join(
            [
                "import os",
                "import sys",
                *(f"def g{n}():\n    return {n}" for n in range(12)),
                "now = int(sys.argv[1]) if len(sys.argv) > 1 else 0",
                "globals()[f'g{now}']()",
                "if now < 11:",
                "    os.execv(sys.executable, [sys.executable, 'program.py', str(now + 1)])",
                "print(now)",
                "",
            ]
        ),
        prints="11\n",
    ),
    Row(
        name="exec_that_fails_is_caught_and_the_program_goes_on",
        source="""
import os
import sys

def attempt(path, environment):
    try:
        os.execve(path, [path], environment)
        never = 1  #-
    except FileNotFoundError:
        return "missing"
    except (PermissionError, OSError):
        return "refused"

print(attempt("/nowhere/at/all", {}), attempt("/", dict(os.environ)))
print("COVSUP_SOMETHING" in os.environ)
after = 1
""",
        prints="missing refused\nFalse\n",
    ),
    Row(
        name="exec_that_fails_and_then_one_that_works",
        source="""
import os
import sys

for path in ("/nowhere", sys.executable):  #T
    try:
        os.execve(path, [path, "again.py", "again"], {})
        never = 1  #-
    except OSError:  #T
        failed = 1
never = 1  #-
""",
        files={"again.py": AGAIN},
        prints="again\n",
    ),
    Row(
        name="exec_that_is_refused_for_its_arguments",
        source="""
import os
import sys

for arguments, options in (
    ((sys.executable, []), {}),
    ((sys.executable, [""]), {}),
    ((sys.executable, ["a\\0b"]), {}),
    ((sys.executable, ["python"], {"A=B": "1"}), {}),
    ((sys.executable, ["python"], {1: "1"}), {}),
    ((sys.executable, 5), {}),
    ((), {}),
    ((sys.executable,), {"argv": ["python"], "environ": {}}),
):
    try:
        if len(arguments) + len(options) > 2:
            os.execve(*arguments, **options)
        else:
            os.execv(*arguments, **options)
    except (TypeError, ValueError) as error:  #T
        print(type(error).__name__, error)
""",
        same_as_plain=True,
    ),
    Row(
        name="execvp_searches_the_path_and_fails_in_each_directory",
        source="""
import os
import sys

os.environ["PATH"] = os.pathsep.join(f"/nowhere{number}" for number in range(20))
try:
    os.execvp("no-such-program", ["no-such-program"])
except FileNotFoundError:  #T
    missing = 1
print(missing)
""",
        prints="1\n",
    ),
    Row(
        name="exec_in_a_forked_child",
        source="""
import os
import sys

if os.fork() == 0:
    try:
        os.execve(sys.executable, [sys.executable, "again.py", "again"], {})
    finally:
        os._exit(127)  #-
print(os.waitstatus_to_exitcode(os.wait()[1]))
""",
        files={"again.py": AGAIN},
        prints="again\n0\n",
    ),
    Row(
        name="exec_keeps_the_pid_and_children_of_the_old_image",
        source="""
import os
import sys

if len(sys.argv) == 1:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writer)
        os.read(reader, 1)
        in_child = 1
        os._exit(5)
    os.set_inheritable(writer, True)
    os.execv(sys.executable, [sys.executable, "program.py", str(pid), str(os.getpid()), str(writer)])
pid, me, writer = map(int, sys.argv[1:])
os.write(writer, b"x")
_, status = os.waitpid(pid, 0)
print(me == os.getpid(), os.waitstatus_to_exitcode(status))
""",
        prints="True 5\n",
    ),
    Row(
        name="atexit_does_not_run_before_an_exec",
        source="""
import atexit
import os
import sys

@atexit.register
def bye():
    print("bye of", sys.argv[1])

if len(sys.argv) == 1:
    os.execv(sys.executable, [sys.executable, "program.py", "second"])
print("in", sys.argv[1])
""",
        prints="in second\nbye of second\n",
    ),
    Row(
        name="restart_on_sighup_like_servers_do",
        source="""
import os
import signal
import sys

def restart(number, frame):
    os.execv(sys.executable, [sys.executable, "program.py", "restarted"])

if len(sys.argv) > 1:
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    print("restarted", signal.SIGHUP in mask)
    sys.exit(0)
signal.signal(signal.SIGHUP, restart)
os.kill(os.getpid(), signal.SIGHUP)
while True:  #?
    signal.pause()  #?
""",
        prints="restarted False\n",
    ),
    Row(
        name="exec_of_something_that_is_no_python",
        source="""
import os

before = 1
os.execv("/bin/sh", ["sh", "-c", "echo shell; exit 3"])
never = 1  #-
""",
        prints="shell\n",
        ends=3,
    ),
    Row(
        name="exec_by_c_code",
        source="""
import ctypes
import sys

libc = ctypes.CDLL(None)
arguments = [sys.executable.encode(), b"again.py", b"again", None]
array = (ctypes.c_char_p * 4)(*arguments)
libc.execv(arguments[0], array)
never = 1  #-
""",
        files={"again.py": AGAIN},
        prints="again\n",
    ),
    Row(
        name="exec_of_a_module_and_of_a_command_line",
        source="""
import os
import sys

stage = os.environ.get("STAGE")
if stage is None:
    os.execve(sys.executable, [sys.executable, "-m", "program"], {"STAGE": "module"})
elif stage == "module":
    code = "import program"
    os.execve(sys.executable, [sys.executable, "-c", code], {"STAGE": "command"})
else:
    print(stage, __name__)
""",
        prints="command program\n",
    ),
    Row(
        name="loop_that_execs_until_a_file_says_so",
        source="""
import os
import pathlib
import sys

count = pathlib.Path("count")
seen = int(count.read_text()) if count.exists() else 0
if seen == 0:
    first = 1
elif seen == 1:
    second = 1
elif seen == 2:
    third = 1
else:
    print(seen)
    sys.exit(3)
count.write_text(str(seen + 1))
os.execvpe(sys.executable, [sys.executable, *sys.argv], {})
""",
        prints="3\n",
        ends=3,
    ),
]
