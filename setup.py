"""The C extensions and the startup files; all else is in pyproject.toml."""

import sys
import sysconfig
from glob import glob
from typing import ClassVar

from setuptools import Command, Extension, setup
from setuptools.command.build import build

if sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit("covsup does not measure free-threaded Pythons (PEP 703): use a Python with the GIL")


class build_startup_files(Command):
    """Put the startup files at the wheel's root; pip unpacks that into site-packages.

    A command of its own, because data_files never reaches an editable install, and an error inside
    a custom build_py is swallowed there.
    """

    user_options: ClassVar = []
    files = ("covsup.pth", "covsup.start")
    # For any .start file Python imports pkgutil and thirty modules more, at each start. The line in
    # covsup.pth is executed until 3.18 where no .start lies beside it, and costs next to nothing.
    installed = files[:1] if (3, 15) <= sys.version_info < (3, 18) else files
    build_lib = None
    editable_mode = False

    def initialize_options(self):
        """Nothing to set: both options have their start value in the class."""

    def finalize_options(self):
        self.set_undefined_options("build_py", ("build_lib", "build_lib"))

    def run(self):
        install = self.get_finalized_command("install")
        root = install.install_lib if self.editable_mode else self.build_lib
        self.mkpath(root)
        for name in self.installed:
            self.copy_file(name, f"{root}/{name}")

    def get_source_files(self):
        """Name what the sdist must carry."""
        return list(self.files)


build.sub_commands = [*build.sub_commands, ("build_startup_files", None)]

COMPILER = [
    "-std=c11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",  # the C API gives every function its self and args
    "-fvisibility=hidden",
]
# What runs in a thread or a signal handler of the target has to do with the stack that is left
# there: 32 KiB is the smallest that Python gives a thread, and greenlets' may be smaller.
IN_TARGET = [*COMPILER, "-Wframe-larger-than=512"]

# The headers that two rooms share.
SHARED = [
    f"src/covsup/tracer_c/{name}"
    for name in ("contexts/kinds.h", "journal/format.h", "journal/trust.h")
]


def extension(name, room, compiler=IN_TARGET, **more):
    """Everything that is C in a room and its folders is one extension.

    A room includes its own headers by their folder ("journal/words.h"), and those that two rooms
    share by their room ("tracer_c/journal/format.h").
    """
    return Extension(
        name,
        sources=sorted(glob(f"{room}/**/*.c", recursive=True)),
        depends=[*sorted(glob(f"{room}/**/*.h", recursive=True)), *SHARED],
        include_dirs=[room, "src/covsup"],
        extra_compile_args=compiler,
        **more,
    )


# No extension module: it knows Python by the names of functions alone, and nothing imports it. Built
# as one it goes wherever the others go.
CARRIER = [
    extension(
        "covsup.carrier._carrier",
        "src/covsup/carrier",
        # dlsym(), which glibc has in a library of its own before 2.34.
        extra_link_args=["-Wl,--as-needed", "-ldl"],
    )
]


setup(
    cmdclass={"build_startup_files": build_startup_files},
    ext_modules=[
        extension("covsup.tracer_c._tracer", "src/covsup/tracer_c"),
        extension("covsup.datafile._fold", "src/covsup/datafile", COMPILER),
        *(CARRIER if sys.platform == "linux" else []),
    ],
)
