"""An interpreter: a small Lisp with lexical scope, and errors that are exceptions."""

from __future__ import annotations

import operator
import re
from typing import Any, Final

SOURCE: Final = """
(define fib (lambda (n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2))))))
(define count (lambda (n found)
  (if (= n 0) found (count (- n 1) (if (= 0 (- n (* 3 (/ n 3)))) (+ found 1) found)))))
(define safe (lambda (n) (catch (/ 10 n) -1)))
(define loop (lambda (n sum) (if (= n 0) sum (loop (- n 1) (+ sum (safe (- n 1)))))))
(list (fib 19) (count 300 0) (loop 300 0))
"""
TOKEN: Final = re.compile(r"[()]|[^\s()]+")
PRIMITIVES: Final[dict[str, Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.floordiv,
    "<": operator.lt,
    "=": operator.eq,
    "list": lambda *items: list(items),
}


class Scope:
    """Names, and the enclosing scope."""

    def __init__(self, names: dict[str, Any], outer: Scope | None = None) -> None:
        self.names = names
        self.outer = outer

    def find(self, name: str) -> Any:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.outer
        raise NameError(name)


def parse(source: str) -> list[Any]:
    """Return the expressions of a source."""
    stack: list[list[Any]] = [[]]
    for token in TOKEN.findall(source):
        if token == "(":
            stack.append([])
        elif token == ")":
            done = stack.pop()
            stack[-1].append(done)
        else:
            try:
                stack[-1].append(int(token))
            except ValueError:
                stack[-1].append(token)
    return stack[0]


def evaluate(form: Any, scope: Scope) -> Any:
    """Return the value of one expression."""
    if isinstance(form, int):
        return form
    if isinstance(form, str):
        return scope.find(form)
    match form:
        case ["define", name, value]:
            scope.names[name] = evaluate(value, scope)
            return None
        case ["if", test, then, otherwise]:
            return evaluate(then if evaluate(test, scope) else otherwise, scope)
        case ["lambda", names, body]:
            return lambda *values: evaluate(body, Scope(dict(zip(names, values)), scope))
        case ["catch", risky, otherwise]:
            try:
                return evaluate(risky, scope)
            except ZeroDivisionError:
                return evaluate(otherwise, scope)
        case [function, *arguments]:
            called = evaluate(function, scope)
            return called(*[evaluate(each, scope) for each in arguments])
    raise SyntaxError(form)


if __name__ == "__main__":
    import sys

    sys.setrecursionlimit(20_000)
    for _ in range(16):
        world = Scope(dict(PRIMITIVES))
        for expression in parse(SOURCE):
            result = evaluate(expression, world)
    print(result)
