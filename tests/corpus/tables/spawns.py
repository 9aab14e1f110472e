"""Spawns: subprocess and its kin, every way to name a program, scrubbed environments."""

from __future__ import annotations

from tests.corpus.row import Row

CHILD = """
import sys

def work(arguments):
    if arguments:  #T
        return "with " + " ".join(arguments)
    return "without"  #-

print(work(sys.argv[1:]))
"""


def spawning(name: str, *lines: str, prints: str = "with x\n", **more: object) -> Row:
    """Give a program that starts child.py with the argument x."""
    source = "\n".join(
        [
            "import os",
            "import subprocess",
            "import sys",
            "python = sys.executable",
            'command = [python, "child.py", "x"]',
            *lines,
            "",
        ]
    )
    return Row(name=name, source=source, files={"child.py": CHILD}, prints=prints, **more)  # type: ignore[arg-type]


ROWS = [
    spawning("subprocess_run", "subprocess.run(command, check=True)"),
    spawning("subprocess_with_an_empty_environment", "subprocess.run(command, env={}, check=True)"),
    spawning(
        "subprocess_with_a_small_environment",
        "subprocess.run(command, env={'PATH': '/bin', 'LANG': 'C'}, check=True)",
    ),
    spawning(
        "subprocess_with_an_environment_of_bytes",
        "subprocess.run(command, env={b'A': b'1'}, check=True)",
    ),
    spawning(
        "subprocess_with_the_environment_less_ours",
        "environment = {k: v for k, v in os.environ.items() if 'COV' not in k}",
        "subprocess.run(command, env=environment, check=True)",
    ),
    spawning(
        "subprocess_after_our_variables_were_deleted",
        "for name in [name for name in os.environ if name.startswith('COVSUP')]:  #?",
        "    del os.environ[name]  #?",
        "subprocess.run(command, check=True)",
    ),
    spawning(
        "subprocess_after_os_environ_was_cleared",
        "os.environ.clear()",
        "subprocess.run(command, check=True)",
    ),
    spawning(
        "check_output_and_popen",
        "print(subprocess.check_output(command, text=True), end='')",
        "with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:",
        "    print(process.stdout.read(), end='')",
        prints="with x\nwith x\n",
    ),
    spawning("python_dash_m", "subprocess.run([python, '-m', 'child', 'x'], check=True)"),
    Row(
        name="python_dash_m_of_a_package",
        source="""
import subprocess
import sys

subprocess.run([sys.executable, "-m", "package", "x"], check=True)
subprocess.run([sys.executable, "-m", "package.inner"], check=True, env={})
""",
        files={
            "package/__init__.py": "NAME = 'package'\n",
            "package/__main__.py": """
import sys
from package import NAME
if NAME:  #T
    print(NAME, sys.argv[1])
""",
            "package/inner.py": """
if __name__ == "__main__":  #T
    print("inner")
""",
        },
        prints="package x\ninner\n",
    ),
    spawning(
        "python_dash_c",
        "code = 'import sys; sys.argv = [1, \"x\"]; import child'",
        "subprocess.run([python, '-c', code], check=True)",
    ),
    spawning(
        "python_dash_c_with_an_empty_environment",
        "code = 'import sys; sys.argv = [1, \"x\"]; import child'",
        "subprocess.run([python, '-c', code], check=True, env={})",
    ),
    spawning(
        "python_reads_its_program_from_stdin",
        "code = 'import sys; sys.argv = [1, \"x\"]; import child'",
        "subprocess.run([python, '-'], input=code, text=True, check=True)",
        "subprocess.run([python], input=code, text=True, check=True)",
        prints="with x\nwith x\n",
    ),
    spawning("python_isolated", "subprocess.run([python, '-I', *command[1:]], check=True)"),
    spawning(
        "python_isolated_with_an_empty_environment",
        "subprocess.run([python, '-I', *command[1:]], check=True, env={})",
    ),
    spawning(
        "python_that_ignores_the_environment",
        "subprocess.run([python, '-E', *command[1:]], check=True)",
    ),
    spawning(
        "python_with_many_flags",
        "flags = ['-s', '-P', '-B', '-O', '-u', '-X', 'utf8', '-W', 'error']",
        "subprocess.run([python, *flags, *command[1:]], check=True)",
    ),
    spawning(
        "shell_true",
        "subprocess.run(f'{python} child.py x', shell=True, check=True)",
    ),
    spawning(
        "shell_pipeline_and_subshell",
        "subprocess.run(f'({python} child.py x | cat) && true', shell=True, check=True)",
    ),
    spawning(
        "shell_script_that_starts_python_in_the_background",
        "subprocess.run(f'{python} child.py x & wait', shell=True, check=True)",
    ),
    spawning(
        "shell_with_an_empty_environment",
        "subprocess.run(f'{python} child.py x', shell=True, check=True, env={})",
    ),
    spawning(
        "os_system",
        "sys.stdout.flush()",
        "print(os.system(f'{python} child.py x'))",
        prints="with x\n0\n",
    ),
    spawning(
        "os_system_after_the_environment_was_cleared",
        "os.environ.clear()",
        "os.system(f'{python} child.py x')",
    ),
    spawning(
        "os_popen",
        "with os.popen(f'{python} child.py x') as stream:",
        "    print(stream.read(), end='')",
    ),
    spawning(
        "posix_spawn",
        "pid = os.posix_spawn(python, command, os.environ)",
        "os.waitpid(pid, 0)",
    ),
    spawning(
        "posix_spawn_with_an_empty_environment",
        "pid = os.posix_spawn(python, command, {})",
        "os.waitpid(pid, 0)",
    ),
    spawning(
        "posix_spawn_with_options",
        "pid = os.posix_spawn(python, command, {'A': '1'}, setpgroup=0,"
        " file_actions=[(os.POSIX_SPAWN_CLOSE, 0)])",
        "os.waitpid(pid, 0)",
    ),
    spawning(
        "posix_spawnp",
        "os.environ['PATH'] = os.path.dirname(python)",
        "pid = os.posix_spawnp('python', command, {'A': '1'})",
        "os.waitpid(pid, 0)",
    ),
    spawning("os_spawnv", "print(os.spawnv(os.P_WAIT, python, command))", prints="with x\n0\n"),
    spawning(
        "os_spawnve_with_an_empty_environment",
        "print(os.spawnve(os.P_WAIT, python, command, {}))",
        prints="with x\n0\n",
    ),
    spawning(
        "os_spawnlp_nowait",
        "pid = os.spawnlp(os.P_NOWAIT, python, *command)",
        "os.waitpid(pid, 0)",
    ),
    spawning(
        "close_fds_false_and_new_session",
        "subprocess.run(command, close_fds=False, start_new_session=True, check=True)",
    ),
    spawning(
        "another_working_directory",
        "here = os.getcwd()",
        "os.mkdir('elsewhere')",
        "subprocess.run([python, here + '/child.py', 'x'], cwd='elsewhere', check=True, env={})",
    ),
    spawning(
        "vfork_and_posix_spawn_switched_off",
        "subprocess._USE_VFORK = False",
        "subprocess._USE_POSIX_SPAWN = False",
        "subprocess.run(command, check=True, env={})",
    ),
    spawning(
        "posix_spawn_path_of_subprocess",
        "subprocess.run(command, close_fds=False, env={}, check=True)",
    ),
    spawning(
        "from_a_thread",
        "import threading",
        "thread = threading.Thread(target=subprocess.run, args=(command,), kwargs={'env': {}})",
        "thread.start()",
        "thread.join()",
    ),
    spawning(
        "through_env_command",
        "subprocess.run(['env', 'A=1', *command], check=True)",
    ),
    spawning(
        "through_a_measured_python_in_the_middle",
        "code = 'import subprocess, sys; subprocess.run(sys.argv[1:], env={})'",
        "subprocess.run([python, '-c', code, *command], check=True, env={})",
    ),
    Row(
        name="zipapp_that_uses_a_module_outside",
        source="""
import os
import subprocess
import sys
import zipfile

with zipfile.ZipFile("app.zip", "w") as app:
    app.writestr("__main__.py", "import inside, helper; print(helper.help(inside.WHO))")
    app.writestr("inside.py", "WHO = 'zip'")
environment = {"PYTHONPATH": os.getcwd()}
subprocess.run([sys.executable, "app.zip"], env=environment, check=True)
""",
        files={
            "helper.py": """
def help(who):
    if who == "zip":  #T
        return "helped " + who
    return who  #-
"""
        },
        prints="helped zip\n",
    ),
    Row(
        name="directory_with_a_main_as_program",
        source="""
import subprocess
import sys

subprocess.run([sys.executable, "application", "x"], env={}, check=True)
""",
        files={
            "application/__main__.py": """
import sys
import part
print(part.join(sys.argv[1:]))
""",
            "application/part.py": """
def join(words):
    return "+".join(words) + "!"
""",
        },
        prints="x!\n",
    ),
    Row(
        name="tree_of_processes_by_subprocess",
        source="""
import subprocess
import sys

depth = int(sys.argv[1]) if len(sys.argv) > 1 else 3
if depth == 0:
    print("leaf", flush=True)
    sys.exit(0)
for _ in range(2):
    subprocess.run([sys.executable, "program.py", str(depth - 1)], env={}, check=True)
if depth == 3:
    print("root")
""",
        prints="leaf\n" * 8 + "root\n",
    ),
    Row(
        name="command_is_a_shell_script",
        source="""
import sys

if len(sys.argv) > 1:
    print("argument", sys.argv[1])
else:
    print("none")
""",
        files={"start.sh": "#!/bin/sh\npython program.py\npython program.py 1\nexit 4\n"},
        command=("sh", "start.sh"),
        prints="none\nargument 1\n",
        ends=4,
    ),
    Row(
        name="command_is_an_executable_script_with_a_shebang",
        source="""
#!/usr/bin/env python
import sys
print("ran", len(sys.argv))
""",
        command=("./program.py", "x"),
        prints="ran 2\n",
    ),
    Row(
        name="command_is_python_itself",
        source="""
import sys
if sys.flags.dont_write_bytecode:  #T
    print(sys.argv)
""",
        command=("python", "-B", "program.py", "-x"),
        prints="['program.py', '-x']\n",
    ),
    Row(
        name="command_is_a_module_of_a_package",
        source="""
unused = 1  #-
""",
        files={
            "package/__init__.py": "",
            "package/__main__.py": """
import sys
print(__name__, __package__, sys.argv[1:])
""",
        },
        command=("-m", "package", "--flag", "-m"),
        prints="__main__ package ['--flag', '-m']\n",
    ),
    Row(
        name="child_that_dies_by_a_signal_of_its_parent",
        source="""
import signal
import subprocess
import sys

child = subprocess.Popen([sys.executable, "child.py"], stdout=subprocess.PIPE, env={})
child.stdout.readline()
child.send_signal(signal.SIGKILL)
print(child.wait())
""",
        files={
            "child.py": """
import signal
print("ready", flush=signal.pause is not None) or signal.pause()
never = 1  #-
"""
        },
        prints="-9\n",
    ),
    Row(
        name="child_started_and_never_waited_for",
        source="""
import subprocess
import sys
import warnings

warnings.simplefilter("ignore")
child = subprocess.Popen([sys.executable, "child.py"], stdin=subprocess.PIPE)
child.stdin.close()
""",
        files={
            "child.py": """
import sys
sys.stdin.read()
for number in range(3):
    last = number
"""
        },
        prints="",
    ),
    Row(
        name="fork_exec_keeps_its_face",
        source="""
import _posixsubprocess
import inspect
import os
import posix
import subprocess

for function in (
    os.fork, os.forkpty, os.execv, os.execve, os.posix_spawn, os.posix_spawnp, os.system,
    os._exit, os.waitpid, os.wait, os.kill, os.abort, _posixsubprocess.fork_exec,
):
    print(repr(function)[:20], function.__name__, function.__module__, function.__qualname__)
    print(type(function), function.__self__.__name__, len(function.__doc__))
    print(getattr(function, "__text_signature__", None))
print(os.fork is posix.fork, os.execve is posix.execve)
""",
        same_as_plain=True,
    ),
    Row(
        name="environment_given_is_not_changed",
        source="""
import os
import subprocess
import sys

environment = {"A": "1"}
subprocess.run([sys.executable, "-c", "pass"], env=environment, check=True)
pid = os.posix_spawn(sys.executable, [sys.executable, "-c", "pass"], environment)
os.waitpid(pid, 0)
try:
    os.execve("/nowhere", ["x"], environment)
except OSError:  #T
    pass
print(environment, os.getenv("A"))
""",
        prints="{'A': '1'} None\n",
    ),
]
