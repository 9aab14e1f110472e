"""Targets that are no Python, and Pythons behind other programs and other users."""

from __future__ import annotations

from tests.corpus.row import Row

CHILD = """
import sys

def work(words):
    if words:  #T
        return " ".join(words)
    return "nothing"  #-

print(work(sys.argv[1:]), flush=True)
"""


def command(name: str, *words: str, prints: str, **more: object) -> Row:
    """Give a row whose target is a command line; program.py prints its arguments."""
    return Row(name=name, source=CHILD, command=words, prints=prints, **more)  # type: ignore[arg-type]


# Drops all privileges.
AS_NOBODY = """
import os

def drop():
    os.setgroups([])
    os.setgid(54321)
    os.setuid(54321)
    os.chdir("/")
"""

ROWS = [
    command("nohup", "nohup", "python", "program.py", "a", prints="a\n"),
    command("nice", "nice", "python", "program.py", "a", prints="a\n"),
    command("timeout", "timeout", "60", "python", "program.py", "a", prints="a\n"),
    command("env_with_a_variable", "env", "A=1", "python", "program.py", "a", prints="a\n"),
    command("setsid", "setsid", "--wait", "python", "program.py", "a", prints="a\n", linux=True),
    command(
        "shell_command_line",
        "sh",
        "-c",
        "python program.py a; python program.py b && exit 3",
        prints="a\nb\n",
        ends=3,
    ),
    command("shell_in_the_background", "sh", "-c", "python program.py a & wait $!", prints="a\n"),
    command("shell_that_execs", "sh", "-c", "exec python program.py a", prints="a\n"),
    command("shell_pipeline", "sh", "-c", "python program.py a b | tr a-z A-Z", prints="A B\n"),
    command(
        "shell_here_document",
        "sh",
        "-c",
        "python - <<END\nimport sys\nsys.argv[1:] = ['h']\nimport program\nEND\n",
        prints="h\n",
    ),
    command(
        "xargs_in_parallel",
        "sh",
        "-c",
        "printf '1 2 3 4' | xargs -n1 -P2 python program.py | sort",
        prints="1\n2\n3\n4\n",
    ),
    command(
        "find_exec",
        "find",
        ".",
        "-name",
        "program.py",
        "-exec",
        "python",
        "{}",
        "x",
        ";",
        prints="x\n",
    ),
    command(
        "make",
        "make",
        "-s",
        "-f",
        "rules",
        prints="one\ntwo\n",
        files={"rules": "all:\n\t@python program.py one\n\t@python program.py two\n"},
    ),
    command(
        "trap_in_a_shell_that_is_ended",
        "sh",
        "-c",
        "trap 'python program.py trapped; exit 5' TERM; kill -TERM $$; while :; do :; done",
        prints="trapped\n",
        ends=5,
    ),
    Row(
        name="interpreter_flags_of_covsup_reach_the_target",
        source="""
import sys
print(sys.flags.isolated, sys.flags.optimize, sys.dont_write_bytecode, __debug__)
""",
        prints="0 0 False True\n",
    ),
    Row(
        name="forks_of_a_process_that_changed_its_user",
        source=AS_NOBODY
        + """
def work(flag):
    if flag:
        return 7
    return 0

if os.fork() == 0:
    drop()
    codes = []
    for flag in (0, 1):
        pid = os.fork()
        if pid == 0:
            os._exit(work(flag))
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os._exit(sum(codes))
print(os.waitstatus_to_exitcode(os.wait()[1]))
""",
        root=True,
        linux=True,
        witness=False,
        prints="7\n",
    ),
    Row(
        name="forks_that_can_make_no_file",
        source="""
import os
import resource

def work(flag):
    if flag:
        return 4
    return 1

def forked(flag):
    pid = os.fork()
    if pid == 0:
        os._exit(work(flag))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
one = forked(0)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
print(one + forked(1))
""",
        linux=True,
        witness=False,
        prints="5\n",
    ),
    Row(
        name="process_in_another_root_directory",
        source="""
import os
import tempfile

def work(flag):
    if flag:
        return 4
    return 0

place = tempfile.mkdtemp(dir="/tmp")
if os.fork() == 0:
    os.chroot(place)
    os.chdir("/")
    pid = os.fork()
    if pid == 0:
        os._exit(work(1))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os._exit(code + work(0))
print(os.waitstatus_to_exitcode(os.wait()[1]))
os.rmdir(place)
""",
        root=True,
        linux=True,
        witness=False,
        prints="4\n",
    ),
]
