"""Keep one core busy for somebody: `busy.py PID SECONDS`.

It ends when its time is up, and when its parent is not process PID any more, so it outlives nothing.
"""

import os
import sys
import time

parent, until = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
while os.getppid() == parent and time.monotonic() < until:
    for _ in range(100_000):
        pass
