"""Compiles what setup.py names with more options; run in the directory of the copy (see build.py).

The list of extensions and their own options are setup.py's. distutils compiles file by file; here
all processors do it.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from distutils.ccompiler import CCompiler
from distutils.core import run_setup
from typing import Any

from setuptools.command.build_ext import build_ext


def compile_at_once(
    self: Any,
    sources: list[str],
    *,
    output_dir: str | None = None,
    macros: Any = None,
    include_dirs: list[str] | None = None,
    debug: bool = False,
    extra_preargs: list[str] | None = None,
    extra_postargs: list[str] | None = None,
    depends: list[str] | None = None,
) -> list[str]:
    """Do what CCompiler.compile() does, in as many threads as there are processors for us."""
    _, objects, after, options, built = self._setup_compile(
        output_dir, macros, include_dirs, sources, depends, extra_postargs
    )
    before = self._get_cc_args(options, debug, extra_preargs)

    def compile_one(name: str) -> None:
        source, extension = built[name]
        self._compile(name, source, extension, before, after, options)

    with ThreadPoolExecutor(request["jobs"]) as pool:
        list(pool.map(compile_one, built))
    made: list[str] = objects
    return made


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    compiler: Any = CCompiler
    compiler.compile = compile_at_once
    distribution = run_setup("setup.py", stop_after="config")
    for each in distribution.ext_modules:
        more = request["carrier" if each.name == request["name_of_carrier"] else "others"]
        each.extra_compile_args = [*each.extra_compile_args, *more["compile"]]
        each.extra_link_args = [*each.extra_link_args, *more["link"]]
    command = distribution.get_command_obj("build_ext")
    assert isinstance(command, build_ext)
    command.inplace, command.build_temp = True, "objects"
    distribution.run_command("build_ext")
