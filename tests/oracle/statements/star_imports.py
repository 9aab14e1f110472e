
import starred
from starred import *

if one():
    x = 1
try:
    from starred import missing
except ImportError:
    x = 2
for name in (
    "one",
    "two",
):
    getattr(starred, name)()


def inside():
    import starred as local
    from starred import (
        one,
    )
    from starred import (
        two as second,
    )

    return local, one, second


inside()
