"""Replacements for the parts of `typing` that are needed at run time.

The import of `typing` takes two to four milliseconds, and `typing.NamedTuple` compiles every
annotation of its fields: together a quarter of the start of `covsup run`. Names that only annotate
are imported below `if TYPE_CHECKING`.
"""

from __future__ import annotations

__all__ = ("TYPE_CHECKING", "NamedTuple", "assert_never")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple, NoReturn, assert_never
else:
    from collections import namedtuple

    class _NamedTupleMeta(type):
        """Turns a class with annotations and defaults into a named tuple, as typing.NamedTuple does."""

        def __new__(cls, name: str, bases: tuple[type, ...], members: dict[str, object]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, members)
            fields = members.pop("__annotations__")
            defaults = [members.pop(field) for field in fields if field in members]
            made = namedtuple(name, fields, defaults=defaults, module=members.pop("__module__"))
            for member, value in members.items():
                setattr(made, member, value)
            return made

    class NamedTuple(metaclass=_NamedTupleMeta):
        """The base of a class whose instances are tuples with named fields."""

    def assert_never(value: object) -> NoReturn:
        """Assert that a `match` has a case for every value."""
        raise AssertionError(f"not expected: {value!r}")
