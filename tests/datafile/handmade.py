"""Journals and sessions made by hand, byte by byte after docs/journal-format.md.

They need neither the C extension nor a process: a test says what an image did, and gets the
journal that such an image would have left.
"""

from __future__ import annotations

import os
import secrets
import struct
import time
from binascii import crc32
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from covsup.datafile.session.directory import Session, create_session
from covsup.datafile.session.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from covsup.datafile.fold.result import Result

# The numbers of the format, again on purpose: journals made by hand judge the reader.
MAGIC = b"COVSUPJ\n"
SPAWNED, FORKED, EXECED = 1, 2, 3
EXEC_ABOUT, EXEC_FAILED, PROCESS_SPAWNED, REAPED, ENDED = range(1, 6)
LIBRARY, TRACER, NOTE, UNEXECUTED = range(6, 10)
# A pid that no process has: above the largest pid_max.
DEAD_PID = 5_000_000


@dataclass
class HandMade:
    """The journal of one image. Methods give the journal back, so that they chain."""

    pid: int = DEAD_PID
    ppid: int = 1
    image_id: str = field(default_factory=lambda: secrets.token_hex(16))
    parent_id: str = "0" * 32
    started_ns: int = 1_700_000_000_000_000_000
    boottime_ns: int = 1_000_000_000_000
    generation: int = 0
    start_kind: int = SPAWNED
    branch: bool = False
    segment: int = 0
    core: int = 1
    version: int = 2
    uid: int = field(default_factory=os.getuid)
    threads: int = 1
    lost: tuple[int, int, int, int] = (0, 0, 0, 0)
    words: list[int] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    contexts: dict[str, int] = field(default_factory=dict)

    def ran(self, path: str, *lines: int, context: str = "", module: str = "") -> HandMade:
        """Lines of a file."""
        file_id, context_id = self._file(path, module), self._context(context)
        for line in lines:
            if line < 1 << 20:
                self.words.append(1 << 60 | file_id << 42 | line << 22 | context_id)
            else:
                self.words += [0x21 << 56 | file_id << 32 | context_id, 0x30 << 56 | line]
        return self

    def went(self, path: str, *arcs: tuple[int, int], context: str = "") -> HandMade:
        """Arcs of a file."""
        file_id, context_id = self._file(path, ""), self._context(context)
        mask = (1 << 28) - 1
        for begin, end in arcs:
            line, difference = abs(begin), abs(end) - abs(begin)
            near = -1024 <= difference < 1024 and line < 1 << 18 and context_id < 1 << 15
            if near and not (begin < 0 and end < 0) and self.version > 1:
                kind = 0xB if begin < 0 else 0xD if end < 0 else 0x7
                owner = kind << 60 | file_id << 44 | context_id
                self.words.append(owner | line << 26 | (difference & 0x7FF) << 15)
                continue
            self.words += [
                0x20 << 56 | file_id << 32 | context_id,
                0x30 << 56 | (begin & mask) << 28 | (end & mask),
            ]
        return self

    def event(self, kind: int, payload: bytes, at_ns: int | None = None) -> HandMade:
        at = self.started_ns + 1000 if at_ns is None else at_ns
        return self.blob(3, struct.pack("<IQ", kind, at) + payload)

    def ended(self, status: int, how: int = 1, at_ns: int | None = None) -> HandMade:
        return self.event(ENDED, struct.pack("<Bi", how, status), at_ns)

    def reaped(self, pid: int, status: int, at_ns: int | None = None) -> HandMade:
        return self.event(REAPED, struct.pack("<Ii", pid, status), at_ns)

    def spawned(self, pid: int, *argv: str, at_ns: int | None = None) -> HandMade:
        payload = struct.pack("<I", pid) + b"\0".join(map(os.fsencode, argv))
        return self.event(PROCESS_SPAWNED, payload, at_ns)

    def unexecuted(self, pid: int, at_ns: int | None = None) -> HandMade:
        return self.event(UNEXECUTED, struct.pack("<I", pid), at_ns)

    def about_to_exec(self, path: str, *argv: str, at_ns: int | None = None) -> HandMade:
        return self.event(EXEC_ABOUT, b"\0".join(map(os.fsencode, (path, *argv))), at_ns)

    def exec_failed(self, errno: int, at_ns: int | None = None) -> HandMade:
        return self.event(EXEC_FAILED, struct.pack("<i", errno), at_ns)

    def knows(self, key: str, value: bytes) -> HandMade:
        """A property."""
        return self.blob(4, key.encode() + b"\0" + value)

    def blob(self, kind: int, payload: bytes) -> HandMade:
        check = crc32(payload) & 0xFFFFFF
        self.words.append(0x40 << 56 | kind << 48 | len(payload) << 24 | check)
        for at in range(0, len(payload), 7):
            self.words.append(0x31 << 56 | int.from_bytes(payload[at : at + 7], "little"))
        return self

    def to_bytes(self) -> bytes:
        body = struct.pack(f"={len(self.words)}Q", *self.words)
        identity = (
            struct.pack("=IIQ", self.version, 512, 0x0102030405060708)
            + bytes.fromhex(self.image_id)
            + bytes.fromhex(self.parent_id)
            + struct.pack("=QQQQ", self.pid, self.ppid, self.started_ns, self.boottime_ns)
            + struct.pack("=II", self.generation, self.start_kind)
            + struct.pack("=IIII", 0x030D00F0, self.core, int(self.branch), self.segment)
            + struct.pack("=QQ", 64 << 20, self.uid)
        ).ljust(240, b"\0")
        mutable = struct.pack("=QQ", 512 + len(body), 8192)
        mutable += struct.pack("=QQIIQ", *self.lost, self.threads)
        header = MAGIC + identity + struct.pack("=Q", crc32(identity)) + mutable
        return (header.ljust(512, b"\0") + body).ljust(8192, b"\0")

    def write(self, directory: Path) -> Path:
        path = directory / f"{self.pid}-{self.image_id}.{self.segment}.journal~"
        path.write_bytes(self.to_bytes())
        return path

    def next_segment(self) -> HandMade:
        """The journal that goes on where this one is full; it knows the same ids."""
        return HandMade(
            pid=self.pid, ppid=self.ppid, image_id=self.image_id, parent_id=self.parent_id,
            started_ns=self.started_ns, boottime_ns=self.boottime_ns, branch=self.branch,
            segment=self.segment + 1, files=dict(self.files), contexts=dict(self.contexts),
        )  # fmt: skip

    def _file(self, path: str, module: str) -> int:
        if path not in self.files:
            self.files[path] = len(self.files)
            payload = struct.pack("<I", self.files[path]) + os.fsencode(path)
            self.blob(1, payload + b"\0" + module.encode())
        return self.files[path]

    def _context(self, label: str) -> int:
        if not label:
            return 0
        if label not in self.contexts:
            self.contexts[label] = len(self.contexts) + 1
            self.blob(2, struct.pack("<I", self.contexts[label]) + os.fsencode(label))
        return self.contexts[label]


def handmade_session(
    data_file: Path, journals: Iterable[HandMade] = (), **settings: object
) -> Session:
    """A session directory beside `data_file` with these journals."""
    values = {"started_ns": time.time_ns(), "data_file": str(data_file), **settings}
    session = create_session(
        data_file,
        lambda name: Settings(session=name, **values),  # type: ignore[arg-type]
    )
    for journal in journals:
        journal.write(session.path)
    return session


def with_liveness(
    result: Result, *, running: Iterable[str], gone: Iterable[str], at_ns: int
) -> Result:
    """The result with the ids of the images that ran at `at_ns`, and of those that no longer did."""
    images = dict(result.images)
    for image_id in running:
        images[image_id] = images[image_id]._replace(running_ns=at_ns)
    for image_id in gone:
        images[image_id] = images[image_id]._replace(gone_ns=at_ns)
    return result._replace(images=images)
