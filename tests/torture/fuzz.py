"""Mutates journals and has them read, united and shown: each gives a result or one clear error.

    python tests/torture/fuzz.py [--seconds=60] [--seed=N] [--facts=SANITIZED_EXTENSION] [--guided]

Starts from the samples of `tests/journal` and from what once went wrong (`tests/torture/corpus`).
Prints how many inputs were tried; an input that breaks something is written to that corpus, and the
exit status is 1. With `--facts`, an extension that was built with sanitizers is used. With
`--guided`, atheris chooses by what the Python code did with earlier ones, and keeps mutating what led
somewhere new.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import random
import struct
import sys
import tempfile
import time
import traceback
from binascii import crc32
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CORPUS = HERE / "corpus"
SAMPLES = HERE.parent / "journal" / "samples"

HEADER, IDENTITY, CHECK = 512, slice(8, 240), 240
MOST_CPU_SECONDS = 5.0
INTERESTING = (0, 1, 7, 8, 255, 511, 512, 1 << 16, (1 << 24) - 1, 1 << 24, (1 << 31) - 1, 1 << 31,
               (1 << 32) - 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
KINDS = (0x10, 0x11, 0x20, 0x21, 0x30, 0x31, 0x40, 0x41, 0x70, 0xB0, 0xD0, 0xFF)


SEEN: Final = tuple(
    attrgetter(name)
    for name in ("header", "lines", "arcs", "files", "contexts", "properties", "events", "problems")
)
"""What there is to see of a journal."""


class Broken(Exception):
    """What an input did that none may do."""


def load_facts(path: Path) -> None:
    """Use this build of the C extension."""
    name = "covsup.datafile._fold"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module


def make_check(directory: Path) -> Callable[[bytes], None]:
    """Give the function that tries one input; it raises what an input may not cause."""
    # Not earlier: the C extension is chosen first.
    from covsup.datafile.errors import JournalError
    from covsup.datafile.fold.fold import fold
    from covsup.datafile.fold.gather import ImageFold, image_result
    from covsup.datafile.journal.reader import (
        read_any_journal,
        read_borrowers,
        read_journal,
        read_slots,
    )
    from covsup.datafile.provenance.derive import provenance_of
    from covsup.supervisor.tree.process_tree import process_trees

    path = directory / "77-00000000000000000000000000000000.0.journal"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        begun = time.process_time()
        try:
            read_borrowers(path)
            journal = read_journal(path)
            slots = read_slots(path, journal.header)
            other = read_any_journal(path)
        except JournalError as error:
            if "\n" in str(error):
                raise Broken(f"the error takes more than one line: {error}") from error
            return
        if any(seen(journal) != seen(other) for seen in SEEN):
            raise Broken("it is not the same when it is read step by step")
        journals = [journal, *slots.journals]
        one = image_result([journal], session="s")
        result = fold([one, one])
        if result != one:
            raise Broken("folding it twice changes it")
        image_fold = ImageFold()
        for each in journals:
            image_fold.add([each], session="s", static_context="")
        for node in process_trees(provenance_of(image_fold.result())):
            str(node)
        for of_file in (journal.lines, journal.arcs, journal.files, journal.contexts):
            len(of_file)
        if time.process_time() - begun > MOST_CPU_SECONDS:
            raise Broken(f"{len(data)} bytes took {time.process_time() - begun:.1f} s")

    return check


def _flip(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    bit = chance.randrange(8 * len(data))
    data[bit // 8] ^= 1 << bit % 8


def _word(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    at = _somewhere(data, chance)
    word = chance.choice([*INTERESTING, chance.choice(KINDS) << 56 | chance.getrandbits(56)])
    data[at : at + 8] = struct.pack("<Q", word)


def _kind(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    at = _somewhere(data, chance) + 7
    data[at : at + 1] = bytes([chance.choice(KINDS)])


def _field(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    at = 4 * chance.randrange(HEADER // 4)
    data[at : at + 4] = struct.pack("<I", chance.choice(INTERESTING) & 0xFFFFFFFF)


def _cut_out(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    at = _somewhere(data, chance)
    del data[at : at + 8 * chance.randint(1, 4)]


def _cut_off(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    del data[chance.randrange(len(data)) :]


def _repeat(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    at, to = _somewhere(data, chance), _somewhere(data, chance)
    data[to:to] = data[at : at + 8 * chance.randint(1, 16)]


def _splice(data: bytearray, chance: random.Random, others: list[bytes]) -> None:
    other, to = chance.choice(others), _somewhere(data, chance)
    at = _somewhere(other, chance)
    data[to:to] = other[at : at + 8 * chance.randint(1, 32)]


CHANGES: Final = (_flip, _word, _word, _kind, _field, _cut_out, _cut_off, _repeat, _splice)


def _somewhere(data: bytes | bytearray, chance: random.Random) -> int:
    return 8 * chance.randrange(max(len(data) // 8, 1))


def mutated(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """One to eight changes, mostly in whole words; mostly with a header that is sound again."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        if changed:
            chance.choice(CHANGES)(changed, chance, others)
    return mended(changed, chance)


def mended(data: bytes | bytearray, chance: random.Random) -> bytes:
    """The same, mostly with a header that is sound again."""
    changed = bytearray(data)
    if chance.randrange(10) and len(changed) >= HEADER:
        changed[:8] = b"COVSUPJ\n"
        changed[CHECK : CHECK + 8] = struct.pack("<Q", crc32(changed[IDENTITY]))
        if chance.randrange(2):
            changed[CHECK + 8 : CHECK + 16] = struct.pack("<Q", len(changed))
    return bytes(changed)


def fuzz(seconds: float, seed: int, *, tell: Callable[[str], None]) -> tuple[int, list[Path]]:
    """Try inputs for so long; gives how many, and where those that broke something are."""
    chance = random.Random(seed)
    seeds = [path.read_bytes() for path in sorted(SAMPLES.glob("*.journal"))]
    known = [path.read_bytes() for path in sorted(CORPUS.glob("*.journal"))]
    count, broken = 0, []
    with tempfile.TemporaryDirectory(prefix="covsup-fuzz-") as directory:
        check = make_check(Path(directory))
        until = time.monotonic() + seconds
        while count < len(known) or time.monotonic() < until:
            if count < len(known):
                data = known[count]
            else:
                data = mutated(chance.choice(seeds + known), seeds, chance)
            count += 1
            try:
                check(data)
            except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
                path = kept(data)
                broken.append(path)
                tell(f"{path}:\n{traceback.format_exc()}")
                if len(broken) == 3:
                    break
    return count, broken


def kept(data: bytes) -> Path:
    """Where an input that broke something is from now on."""
    CORPUS.mkdir(exist_ok=True)
    path = CORPUS / f"{hashlib.sha256(data).hexdigest()[:16]}.journal"
    path.write_bytes(data)
    return path


def fuzz_guided(seconds: float, seed: int) -> None:
    """Have atheris try inputs for so long; the process ends with it."""
    import atheris  # only some have it

    # What has no pure Python that could be guided by is imported before.
    import coverage  # noqa: F401

    directory = Path(tempfile.mkdtemp(prefix="covsup-fuzz-"))
    with atheris.instrument_imports(include=["covsup"]):
        check = make_check(directory)
    seeds = [path.read_bytes() for path in sorted(SAMPLES.glob("*.journal"))]

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.randrange(2):
            return mutated(data, seeds, chance)[:most]
        return mended(atheris.Mutate(data, len(data)), chance)

    def tried(data: bytes) -> None:
        try:
            check(data)
        except Exception:
            kept(data)
            raise

    grown = directory / "corpus"
    grown.mkdir()
    places = [str(each) for each in (grown, SAMPLES, CORPUS) if each.exists()]
    limits = [
        f"-max_total_time={seconds:.0f}",
        f"-seed={seed or 1}",
        "-max_len=8192",
        "-timeout=60",
    ]
    atheris.Setup(
        [sys.argv[0], *limits, f"-artifact_prefix={directory}/", "-print_final_stats=1", *places],
        tried, custom_mutator=mutate,
    )  # fmt: skip
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--facts", type=Path, help="the C extension to use")
    parser.add_argument("--guided", action="store_true", help="let atheris choose the inputs")
    options = parser.parse_args()
    if options.facts is not None:
        load_facts(options.facts)
    if options.guided:
        fuzz_guided(options.seconds, options.seed)
    count, broken = fuzz(options.seconds, options.seed, tell=lambda text: print(text, flush=True))
    print(f"{count} inputs, {len(broken)} broke something (seed {options.seed})")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
