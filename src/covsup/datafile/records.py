"""A result's provenance as JSON texts and back, for the tables of the data file.

Only the spelling is here: which table holds what is `covsup.datafile.database`'s. Every text is
ASCII, so that file names and arguments which are no UTF-8 come back as they were; keys are sorted,
so that equal values are equal texts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from covsup.datafile.journal import AboutToExec, Core, Ended, EndedHow, ExecFailed, StartKind
from covsup.datafile.result import Identity, Image, Lost, Problem, Reap, Result, Spawn
from covsup.datafile.session import Observation, SessionNote, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from covsup.datafile.facts import Bits
    from covsup.datafile.result import Owner


def encode_settings(settings: Settings) -> str:
    """The settings of a session as JSON."""
    return _json(settings.to_text())


def encode_image(image: Image) -> str:
    """Everything known of an image as JSON."""
    identity, about, failed, ended = (
        image.identity,
        image.about_to_exec,
        image.exec_failed,
        image.ended,
    )
    return _json(
        {
            "identity": {
                "image_id": identity.image_id,
                "session": identity.session,
                "pid": identity.pid,
                "ppid": identity.ppid,
                "parent_id": identity.parent_id,
                "started": identity.started.value,
                "generation": identity.generation,
                "started_ns": identity.started_ns,
                "boottime_ns": identity.boottime_ns,
                "python": identity.python,
                "core": identity.core.value,
                "branch": identity.branch,
                "uid": identity.uid,
            },
            "properties": sorted(image.properties),
            "ended": ended and [ended.at_ns, ended.how.value, ended.status],
            "about_to_exec": about and [about.at_ns, about.path, list(about.argv)],
            "exec_failed": failed and [failed.at_ns, failed.errno],
            "libraries": sorted(image.libraries),
            "tracers": sorted(image.tracers),
            "notes": sorted(image.notes),
            "lines": image.lines,
            "threads": image.threads,
            "lost": _lost(image.lost),
            "forks_lost": _lost(image.forks_lost),
            "running_ns": image.running_ns,
            "gone_ns": image.gone_ns,
        }
    )


def encode_others(result: Result) -> Iterator[tuple[str, str]]:
    """Everything in a result that belongs to no single image: its kind and its JSON."""
    for reap in sorted(result.reaps):
        yield "reap", _json(reap._asdict())
    for spawn in sorted(result.spawns):
        yield "spawn", _json(spawn._asdict())
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
    first: Mapping[str, Mapping[Owner, Bits]],
    shared: Mapping[str, Bits],
    modules: Mapping[str, frozenset[str]],
) -> Result:
    """The result of which the texts were made; its lines and arcs are not among them.

    Raises ValueError, KeyError or TypeError where the texts are not ours. Unknown kinds of
    records are those of a newer covsup, and left alone.
    """
    sessions = [Settings.from_text(json.loads(text)) for text in settings]
    decoded = [_image(json.loads(text)) for text in images]
    reaps, spawns, problems = set(), set(), set()
    notes, observations = set(), set()
    for kind, text in others:
        record = json.loads(text)
        match kind:
            case "reap":
                reaps.add(Reap(**record))
            case "spawn":
                spawns.add(Spawn(**{**record, "argv": tuple(record["argv"])}))
            case "problem":
                problems.add(Problem(**record))
            case "note":
                note = record["note"]
                argv = tuple(note["argv"])
                notes.add((record["session"], SessionNote(**{**note, "argv": argv})))
            case "observation":
                seen = Observation.from_mapping(record["observation"])
                observations.add((record["session"], seen))
            case _:
                continue
    return Result(
        first=first,
        shared=shared,
        modules=modules,
        images={image.identity.image_id: image for image in decoded},
        sessions={each.session: each for each in sessions},
        reaps=frozenset(reaps),
        spawns=frozenset(spawns),
        problems=frozenset(problems),
        notes=frozenset(notes),
        observations=frozenset(observations),
    )


def _image(record: dict[str, Any]) -> Image:
    identity, ended = record["identity"], record["ended"]
    about, failed = record["about_to_exec"], record["exec_failed"]
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
        lost=Lost(**record["lost"]),
        forks_lost=Lost(**record.get("forks_lost", {})),
        running_ns=record["running_ns"],
        gone_ns=record["gone_ns"],
    )


def _lost(lost: Lost) -> dict[str, int]:
    return {
        "facts": lost.facts, "events": lost.events, "errno": lost.errno, "stage": lost.stage
    }  # fmt: skip


_json: Final = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
