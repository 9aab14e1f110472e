"""Run copies of the standard library's tokenize and ast on a module. The copies are measured."""

from __future__ import annotations

import ast as _original  # noqa: F401 - ast adds to the C module once: here, under every tool
import io
from pathlib import Path

from copied import ast, tokenize


def work() -> None:
    source = Path(ast.__file__).read_text(encoding="utf-8")
    for _ in range(4):
        tree = ast.parse(source)
        assert len(ast.dump(tree)) > len(source)
        assert sum(1 for _ in ast.walk(tree)) > 1000
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
        assert tokenize.untokenize(tokens) == source
