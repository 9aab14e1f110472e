"""Check that the database answers."""

import time

time.sleep(0.35)
