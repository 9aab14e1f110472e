"""The named tuples of covsup.hints are those of typing."""

from __future__ import annotations

import pickle
import typing

import pytest

from covsup import hints

PLACE = """
class Place(NamedTuple):
    "Where something is."

    path: str
    line: int = 0
    "Counted from one."
    names: tuple[Unknown, ...] = ()

    @property
    def shown(self) -> str:
        return f"{self.path}:{self.line}"

    @classmethod
    def named(cls, *names: str) -> Self:
        return cls("-", names=names)
"""


def made_with(base: object) -> typing.Any:
    code = compile(f"from __future__ import annotations\n{PLACE}", __file__, "exec")
    names = {"NamedTuple": base, "__name__": __name__}
    exec(code, names)
    return names["Place"]


Place = made_with(hints.NamedTuple)


def test_a_named_tuple_is_what_it_is_with_typing() -> None:
    place, other = Place, made_with(typing.NamedTuple)
    assert (place._fields, place._field_defaults) == (other._fields, other._field_defaults)
    assert (place.__doc__, place.__module__, place.__name__) == (
        "Where something is.",
        __name__,
        "Place",
    )
    assert place.__mro__[1:] == other.__mro__[1:] == (tuple, object)
    for one, two in ((place("a"), other("a")), (place("a", line=3), other("a", line=3))):
        assert (repr(one), one.shown, tuple(one)) == (repr(two), two.shown, tuple(two))
        assert one == two
        assert one._replace(path="b")._asdict() == two._replace(path="b")._asdict()
    assert place.named("x", "y") == other.named("x", "y") == ("-", 0, ("x", "y"))


def test_instances_are_pickled_and_cannot_be_changed() -> None:
    place = Place("a", 3)
    assert pickle.loads(pickle.dumps(place)) == place
    assert type(pickle.loads(pickle.dumps(place))) is Place
    with pytest.raises(AttributeError):
        place.line = 4
    with pytest.raises(TypeError):
        Place()


def test_a_case_that_should_not_be_is_told() -> None:
    with pytest.raises(AssertionError, match="not expected: 3"):
        hints.assert_never(3)  # type: ignore[arg-type]
