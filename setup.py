"""The C extensions and the startup files. Everything else is in pyproject.toml."""

import sys
import sysconfig
from glob import glob
from typing import ClassVar

from setuptools import Command, Extension, setup
from setuptools.command.build import build

if sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit("covsup does not measure free-threaded Pythons (PEP 703): use a Python with the GIL")


class build_startup_files(Command):
    """Put the startup files at the root of the wheel. pip unpacks them into site-packages.

    This is a separate command, because data_files never reaches an editable install, and setuptools
    hides an error inside a custom build_py there.
    """

    user_options: ClassVar = []
    files = ("covsup.pth", "covsup.start")
    # If there is a .start file, Python imports pkgutil and thirty more modules at each start. Without
    # one, Python before 3.18 executes the line in covsup.pth, which costs almost nothing.
    installed = files[:1] if (3, 15) <= sys.version_info < (3, 18) else files
    build_lib = None
    editable_mode = False

    def initialize_options(self):
        """Set nothing: the class has the initial values of both options."""

    def finalize_options(self):
        self.set_undefined_options("build_py", ("build_lib", "build_lib"))

    def run(self):
        install = self.get_finalized_command("install")
        root = install.install_lib if self.editable_mode else self.build_lib
        self.mkpath(root)
        for name in self.installed:
            self.copy_file(name, f"{root}/{name}")

    def get_source_files(self):
        """Return the files that the sdist must contain."""
        return list(self.files)


build.sub_commands = [*build.sub_commands, ("build_startup_files", None)]

COMPILER = [
    "-std=c11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",  # the C API passes self and args to every function
    "-fvisibility=hidden",
]
# This code runs in threads and signal handlers of the target and must use little of their stacks.
# The smallest stack that Python gives a thread is 32 KiB. Those of greenlets may be smaller.
IN_TARGET = [*COMPILER, "-Wframe-larger-than=512"]
# That does not count arrays of variable length. The carrier has some, as the C library has, whose
# functions it stands before.
NO_VARIABLE_ARRAYS = [*IN_TARGET, "-Wvla"]

# The headers that two rooms share.
SHARED = [
    f"src/covsup/tracer_c/{name}"
    for name in ("contexts/kinds.h", "journal/format.h", "journal/trust.h")
]


def extension(name, room, compiler=IN_TARGET, **more):
    """Return the extension of a room: all C files in the room and its folders.

    A room includes its own headers by their folder ("journal/word_decoder.h"), and headers that two rooms
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


# This is not an extension module: it refers to Python only through the names of functions, and nothing
# imports it. It is built as one so that it is installed with the others.
CARRIER = [
    extension(
        "covsup.carrier._carrier",
        "src/covsup/carrier",
        # For dlsym(), which is in a separate library before glibc 2.34.
        extra_link_args=["-Wl,--as-needed", "-ldl"],
    )
]


setup(
    cmdclass={"build_startup_files": build_startup_files},
    ext_modules=[
        extension("covsup.tracer_c._tracer", "src/covsup/tracer_c", NO_VARIABLE_ARRAYS),
        extension("covsup.datafile._fold", "src/covsup/datafile", COMPILER),
        *(CARRIER if sys.platform == "linux" else []),
    ],
)
