"""Observations: what the supervisor saw of the processes of a session."""

from __future__ import annotations

import json

from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final, Literal, Self, TypeAlias

EndSource: TypeAlias = 'Literal["", "wait", "pidfd", "gone"]'
"""How the supervisor learned that a process ended: from wait(), from a pidfd, or from the process
being gone, which says nothing of its status. "" = it was not seen to end."""

_END_SOURCES: Final[dict[str, EndSource]] = {
    "": "",
    "wait": "wait",
    "pidfd": "pidfd",
    "gone": "gone",
}


class Observation(NamedTuple):
    """What the supervisor saw of one process of the tree, measured or not.

    A process is observed several times: when it appears, when an exec changes its command line,
    when it ends. The fold takes the union of these observations. `pid` and `create_time` together
    name the process.
    """

    pid: int
    create_time: float  # seconds since 1970, as psutil gives it
    at_ns: int = 0  # when it was seen, wall clock, nanoseconds since 1970
    ppid: int = 0
    argv: tuple[str, ...] = ()
    executable: str = ""
    python: bool | None = None  # whether it is a Python; None = unknown
    ended: EndSource = ""
    status: int | None = None  # raw wait status, as os.waitpid gives it; None = unknown
    reason: str = ""  # why a Python process is not measured, where the supervisor knows
    boottime_ns: int = (
        0  # when it was created, since boot; no change of the clock moves it. 0 = unknown
    )
    namespace: str = ""  # its pid namespace, if that is not the supervisor's
    inner_pid: int = 0  # its pid in that namespace

    def to_json(self) -> str:
        """One line for observed.jsonl, without the newline."""
        return json.dumps(self._asdict(), separators=(",", ":"))

    @classmethod
    def from_mapping(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote. Unknown keys are ignored; ValueError for a wrong type."""
        try:
            python, status = record.get("python"), record.get("status")
            return cls(
                pid=int(record["pid"]),
                create_time=float(record["create_time"]),
                at_ns=int(record.get("at_ns", 0)),
                ppid=int(record.get("ppid", 0)),
                argv=tuple(str(each) for each in record.get("argv", ())),
                executable=str(record.get("executable", "")),
                python=None if python is None else bool(python),
                ended=_end_source(record.get("ended", "")),
                status=None if status is None else int(status),
                reason=str(record.get("reason", "")),
                boottime_ns=int(record.get("boottime_ns", 0)),
                namespace=str(record.get("namespace", "")),
                inner_pid=int(record.get("inner_pid", 0)),
            )
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"not an observation: {error!r}") from error


def _end_source(value: object) -> EndSource:
    """A known end source. An unknown one, of a newer version, still means that it ended."""
    return _END_SOURCES.get(str(value), "gone")
