"""Text: generate, parse, group and report the lines of a log. Libraries take much of the time."""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE = re.compile(
    r"(?P<host>[\d.]+) \[(?P<minute>\d+)\] \"(?P<method>\w+) (?P<path>\S+)\" "
    r"(?P<status>\d{3}) (?P<size>\d+|-) (?P<more>\{.*\})?"
)


@dataclass(frozen=True)
class Entry:
    """One request."""

    host: str
    minute: int
    method: str
    path: str
    status: int
    size: int
    user: str | None


def lines(count: int) -> Iterator[str]:
    """Generate a log, always the same; one line in fifty is broken."""
    dice = random.Random(7)
    for number in range(count):
        if number % 50 == 49:
            yield f"#{number}: broken"
            continue
        host = ".".join(str(dice.randrange(1, 30)) for _ in range(4))
        status = dice.choice((200, 200, 200, 304, 404, 500))
        size = "-" if status == 304 else str(dice.randrange(20_000))
        path = f"/{dice.choice(('a', 'b', 'c'))}/{dice.randrange(200)}"
        more = json.dumps({"user": f"u{dice.randrange(90)}"}) if number % 3 else ""
        yield f'{host} [{number // 60}] "GET {path}" {status} {size} {more}'


def parse(line: str) -> Entry:
    """Read a line. Raises ValueError."""
    found = LINE.match(line)
    if found is None:
        raise ValueError(line)
    more = found["more"]
    return Entry(
        host=found["host"],
        minute=int(found["minute"]),
        method=found["method"],
        path=found["path"],
        status=int(found["status"]),
        size=0 if found["size"] == "-" else int(found["size"]),
        user=json.loads(more).get("user") if more else None,
    )


def report(entries: list[Entry], broken: int) -> str:
    """Summarise the log."""
    statuses: Counter[int] = Counter()
    sizes: defaultdict[str, list[int]] = defaultdict(list)
    users: set[str] = set()
    for entry in entries:
        statuses[entry.status] += 1
        if entry.status < 400:
            sizes[entry.path.split("/")[1]].append(entry.size)
        if entry.user is not None:
            users.add(entry.user)
    said = [f"{status}: {count}" for status, count in sorted(statuses.items())]
    said += [f"{area}: {median(found):.0f}" for area, found in sorted(sizes.items())]
    return ", ".join([*said, f"{len(users)} users", f"{broken} broken"])


def main() -> None:
    entries, broken = [], 0
    for line in lines(130_000):
        try:
            entries.append(parse(line))
        except ValueError:
            broken += 1
    print(report(entries, broken))


if __name__ == "__main__":
    main()
