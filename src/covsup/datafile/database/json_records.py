"""Write a result's provenance as JSON texts, and read it back.

`covsup.datafile.database.database` knows which table holds which text. Every text is ASCII, so that
file names and arguments that are not UTF-8 come back unchanged. Keys are sorted, so that equal values
are equal texts.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as _quoted

from covsup.datafile.fold.result import (
    ChildExit,
    FailedSpawn,
    Identity,
    Image,
    Lost,
    Problem,
    Result,
    Spawn,
)
from covsup.datafile.journal.events import AboutToExec, Ended, EndedHow, ExecFailed
from covsup.datafile.journal.header import Core, StartKind
from covsup.datafile.session.notes import SessionNote
from covsup.datafile.session.observations import Observation
from covsup.datafile.session.settings import Settings
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any, Final

    from covsup.datafile.fold.result import ImageKey
    from covsup.datafile.fold.sets import LineSet


def encode_settings(settings: Settings) -> str:
    """The settings of a session as JSON."""
    return _json(settings.to_text())


_IMAGE: Final = (
    '{"about_to_exec":%s,"ended":%s,"exec_failed":%s,"forks_lost":%s,"gone_ns":%d,'
    '"identity":{"boottime_ns":%d,"branch":%s,"core":%d,"generation":%d,"image_id":%s,'
    '"parent_id":%s,"pid":%d,"ppid":%d,"python":%d,"session":%s,"started":%d,"started_ns":%d,'
    '"uid":%d},"libraries":%s,"lines":%d,"lost":%s,"notes":%s,"properties":[%s],'
    '"running_ns":%d,"threads":%d,"tracers":%s}'
)
_LOST: Final = '{"errno":%d,"events":%d,"facts":%d,"stage":%d}'
"""Templates, because every process has such a record, and an encoder costs five times as much."""

_NOTHING_LOST: Final = Lost()
_NOTHING: Final = _LOST % (0, 0, 0, 0)

_NUMBERS: Final = ("boottime_ns", "generation", "pid", "ppid", "python", "started_ns", "uid")


def encode_image(image: Image) -> str:
    """Everything known of an image as JSON."""
    identity, about, failed, ended = (
        image.identity,
        image.about_to_exec,
        image.exec_failed,
        image.ended,
    )
    return _IMAGE % (
        _json([about.at_ns, about.path, about.argv]) if about else "null",
        f"[{ended.at_ns:d},{ended.how:d},{ended.status:d}]" if ended else "null",
        _json([failed.at_ns, failed.errno]) if failed else "null",
        _lost(image.forks_lost),
        image.gone_ns,
        identity.boottime_ns,
        "true" if identity.branch else "false",
        identity.core,
        identity.generation,
        _quoted(identity.image_id),
        "null" if identity.parent_id is None else _quoted(identity.parent_id),
        identity.pid,
        identity.ppid,
        identity.python,
        _quoted(identity.session),
        identity.started,
        identity.started_ns,
        identity.uid,
        _json(sorted(image.libraries)) if image.libraries else "[]",
        image.lines,
        _lost(image.lost),
        _json(sorted(image.notes)) if image.notes else "[]",
        ",".join([f"[{_quoted(key)},{_quoted(value)}]" for key, value in sorted(image.properties)]),
        image.running_ns,
        image.threads,
        _json(sorted(image.tracers)) if image.tracers else "[]",
    )


def encode_others(result: Result) -> Iterator[tuple[str, str]]:
    """Every record of a result that belongs to no single image: its kind and its JSON."""
    for child_exit in sorted(result.child_exits):
        yield "reap", _json(child_exit._asdict())
    for spawn in sorted(result.spawns):
        yield "spawn", _json(spawn._asdict())
    for failed_spawn in sorted(result.failed_spawns):
        yield "stillborn", _json(failed_spawn._asdict())
    for problem in sorted(result.problems):
        yield "problem", _json(problem._asdict())
    for session, note in sorted(result.notes):
        yield "note", _json({"session": session, "note": note._asdict()})
    for session, observation in result.observations:
        yield "observation", _json({"session": session, "observation": observation._asdict()})


def result_from(
    *,
    settings: Iterable[str],
    images: Iterable[str],
    others: Iterable[tuple[str, str]],
    first: Mapping[str, Mapping[ImageKey, LineSet]],
    shared: Mapping[str, LineSet],
    modules: Mapping[str, frozenset[str]],
) -> Result:
    """The result that the texts were made from, without its lines and arcs.

    Raises ValueError, KeyError or TypeError for texts that covsup did not write. Unknown kinds of
    records are from a newer covsup, and are ignored.
    """
    sessions = [Settings.from_text(json.loads(text)) for text in settings]
    decoded = [_image(json.loads(text)) for text in images]
    child_exits, spawns, failed_spawns, problems = set(), set(), set(), set()
    notes, observations = set(), set()
    for kind, text in others:
        record = json.loads(text)
        match kind:
            case "reap":
                child_exits.add(ChildExit(**record))
            case "spawn":
                spawns.add(Spawn(**{**record, "argv": tuple(record["argv"])}))
            case "stillborn":
                failed_spawns.add(FailedSpawn(**record))
            case "problem":
                problems.add(Problem(**record))
            case "note":
                note = record["note"]
                argv = tuple(note["argv"])
                notes.add((record["session"], SessionNote(**{**note, "argv": argv})))
            case "observation":
                observation = Observation.from_mapping(record["observation"])
                observations.add((record["session"], observation))
            case _:
                continue
    return Result(
        first=first,
        shared=shared,
        modules=modules,
        images={image.identity.image_id: image for image in decoded},
        sessions={each.session: each for each in sessions},
        child_exits=frozenset(child_exits),
        spawns=frozenset(spawns),
        failed_spawns=frozenset(failed_spawns),
        problems=frozenset(problems),
        notes=frozenset(notes),
        observations=frozenset(observations),
    )


def _image(record: dict[str, Any]) -> Image:
    identity, ended = record["identity"], record["ended"]
    about, failed = record["about_to_exec"], record["exec_failed"]
    lost, forks_lost = record["lost"], record.get("forks_lost", {})
    _check_numbers(*(identity[name] for name in _NUMBERS), *(ended or ()))
    _check_numbers(*(record[name] for name in ("lines", "threads", "running_ns", "gone_ns")))
    _check_numbers(*lost.values(), *forks_lost.values())
    return Image(
        identity=Identity(
            **{
                **identity,
                "started": StartKind(identity["started"]),
                "core": Core(identity["core"]),
            }
        ),
        properties=frozenset((key, value) for key, value in record["properties"]),
        ended=ended and Ended(at_ns=ended[0], how=EndedHow(ended[1]), status=ended[2]),
        about_to_exec=about and AboutToExec(at_ns=about[0], path=about[1], argv=tuple(about[2])),
        exec_failed=failed and ExecFailed(at_ns=failed[0], errno=failed[1]),
        libraries=frozenset((name, version) for name, version in record["libraries"]),
        tracers=frozenset(record["tracers"]),
        notes=frozenset((at_ns, text) for at_ns, text in record["notes"]),
        lines=record["lines"],
        threads=record["threads"],
        lost=Lost(**lost),
        forks_lost=Lost(**forks_lost),
        running_ns=record["running_ns"],
        gone_ns=record["gone_ns"],
    )


def _lost(lost: Lost) -> str:
    if lost == _NOTHING_LOST:
        return _NOTHING
    return _LOST % (lost.errno, lost.events, lost.facts, lost.stage)


def _check_numbers(*found: object) -> None:
    """Raise TypeError for a value that is not an int: later code relies on that."""
    if not all(type(each) is int for each in found):
        raise TypeError(f"not numbers: {found}")


_json: Final = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
