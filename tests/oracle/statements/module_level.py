"""A module's docstring."""

from __future__ import annotations

import os

try:
    import no_such_module
except ImportError:
    no_such_module = None
else:
    unreached = 1
finally:
    always = 1

x: int = 1
y: int
z: dict[str, int] = {
    "a": 1,
}
if x:
    chosen = 1
elif os:
    chosen = 2
else:
    chosen = 3

for number in range(3):
    if number == 1:
        continue
    if number == 2:
        break
else:
    unreached = 2

while x:
    x -= 1
ended = 1

with open(os.devnull) as stream:
    for line in stream:
        unreached = 3


def function():
    """A docstring."""
    import json

    return json


__all__ = ["chosen", "function"]

function()

if __name__ == "__main__":
    main = True
else:
    main = False

"a string as a statement"
1
x
if x == 5:
    unreached = 4
try:
    raise SystemExit(0)
except SystemExit:
    left = 1
raise RuntimeError("the module ends here")
unreached = 5
